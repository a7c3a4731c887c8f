"""A book can be backed up while it is written, restored elsewhere, and rebuilt from archive and journal with nobody to ask."""

from __future__ import annotations

import json
import re
import tarfile
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines import backups, replay
from pipelines.doctor import examine
from pipelines.errors import ConfigError, MachineError, UsageError
from pipelines.home import Home
from pipelines.journal import Journal
from pipelines.sandbox.serve import Sandbox
from pipelines.tables import ACCOUNTS, CALENDARS, CANDLES, OPENINGS, PAGES, PAST_LABELS, POLICIES, PORTFOLIOS, POSTINGS, PRODUCTS
from pipelines.warehouse import now
from tests import tiny
from tests.closing_once import house
from tests.command import begin, ended
from tests.conftest import closebook

FACTS = ("postings", "candles", "openings", "accounts", "pages", "candle_coverage", "products", "suspense", "pulls")
VERSIONED = (POLICIES, PAST_LABELS, PORTFOLIOS, CALENDARS, POSTINGS, CANDLES, OPENINGS, ACCOUNTS, PAGES, PRODUCTS)
DAILY = ("daily_balances", "daily_prices", "daily_values")


def published(home: Path, tables: tuple[str, ...]) -> dict[str, pl.DataFrame]:
    with duckdb.connect(str((home / "published/closebook.duckdb").resolve()), read_only=True) as con:
        found = {name: con.sql(f"SELECT * FROM {name} ORDER BY ALL").pl() for name in tables}
    return {name: frame.filter(pl.col("kind") != "BOOK") if name == "pulls" else frame for name, frame in found.items()}


@pytest.fixture
def book(closed: Path) -> Path:
    """A closed book; nobody asks its venues anything."""
    return closed


def test_a_rebuilt_book_is_the_same_with_recorded_at_and_nobody_was_asked(book: Path) -> None:
    before = published(book / "data", FACTS + DAILY)
    assert min(frame.height for name, frame in before.items() if name != "suspense") > 0
    done = closebook("rebuild", cwd=book)
    assert done.returncode == 0, done.stderr
    assert "built anew from the archive" in done.stdout
    assert "Published 2" in done.stdout
    after = published(book / "data", FACTS + DAILY)
    for name, frame in before.items():
        assert frame.equals(after[name]), name


LATER = """
[[policy]]
asset = "USDC"
price = "1"
currency = "USD"
approver = "controller"
[[opening]]
portfolio = "desk"
native_code = "XBT"
amount = "5"
at = 2025-01-02T00:00:00Z
document = "letter"
[[asset]]
venue = "coinbase"
native_code = "XBT"
asset = "BTC"
"""


def test_a_book_whose_configuration_changed_is_rebuilt_with_every_version_and_its_instant(tmp_path: Path) -> None:
    with Sandbox(tiny.dataset(tmp_path / "d")) as sandbox:
        end = sandbox.now
        for days, more in ((3, ""), (2, LATER), (1, LATER.replace('"5"', '"6"').replace('"1"', '"0.99"')), (0, "")):
            sandbox.now = end - timedelta(days=days)
            with house(tmp_path / "book", sandbox, more) as book:
                book.run()
                before = {table: book.table(table) for table in VERSIONED}
        with house(tmp_path / "again", sandbox) as again:
            again.archive, again.journal = book.archive, book.journal
            asked = sum(sandbox.requests.values())
            replay.catch_up(again.warehouse, again.archive, again.journal, again.config)
            assert sum(sandbox.requests.values()) == asked
            for table, frame in before.items():
                assert again.table(table).equals(frame), table.name
    assert before[POLICIES].height == 2
    assert before[OPENINGS].filter(pl.col("kind") == "ASSERTED").height == 2
    assert before[PAST_LABELS].height == 1


def test_a_backup_taken_from_a_book_and_restored_elsewhere_is_that_book(book: Path) -> None:
    home = Home(book / "data")
    decided = Journal(home.journal).append("ACCEPTANCE", "controller", {"matter": "a break", "reason": "known"}, now())
    saved = closebook("backup", "book.tar", cwd=book)
    assert saved.returncode == 0, saved.stderr
    assert (book / "book.tar").stat().st_mode & 0o077 == 0
    restored = closebook("restore", "book.tar", "--home", "elsewhere", cwd=book)
    assert restored.returncode == 0, restored.stderr
    same = ("snapshot", "--day", "2025-01-07", "--format", "csv")
    assert closebook(*same, "--home", "elsewhere", cwd=book).stdout == closebook(*same, cwd=book).stdout != ""
    assert [r.name for r in Journal(Home(book / "elsewhere").journal).records("ACCEPTANCE")] == [decided.name]
    assert sorted(p.name for p in (book / "elsewhere/statements").iterdir()) == sorted(p.name for p in (book / "data/statements").iterdir())
    assert closebook("rebuild", "--home", "elsewhere", cwd=book).returncode == 0
    for name, frame in published(book / "data", FACTS + DAILY).items():
        assert frame.equals(published(book / "elsewhere", (name,))[name]), name


def test_a_locked_day_is_told_as_it_was_locked_after_a_restore_and_by_every_command(book: Path) -> None:
    policy = '\n[[policy]]\nasset = "BTC"\nprice = "5"\ncurrency = "USD"\napprover = "controller"\n'
    day = ("--day", "2025-01-05")
    before = closebook("snapshot", *day, "--format", "csv", cwd=book).stdout
    locked = closebook("lock", "--through", "2025-01-05", "--by", "controller", cwd=book)
    assert locked.returncode == 0, locked.stderr
    config = book / "closebook.toml"
    config.write_text(config.read_text() + policy)
    assert closebook("rebuild", cwd=book).returncode == 0
    assert closebook("backup", "book.tar", cwd=book).returncode == 0
    assert closebook("restore", "book.tar", "--home", "elsewhere", cwd=book).returncode == 0
    for home in ("data", "elsewhere"):
        assert closebook("snapshot", *day, "--format", "csv", "--home", home, cwd=book).stdout == before
        assert closebook("snapshot", "--as-of", "2025-01-06T00:00:00Z", "--format", "csv", "--home", home, cwd=book).stdout == before
        told = closebook("explain", *day, "--portfolio", "desk", "--asset", "BTC", "--home", home, cwd=book).stdout
        assert "FIXED_POLICY" not in told
        assert "over 24 candles" in told
    later = closebook("snapshot", "--day", "2025-01-07", "--format", "csv", cwd=book).stdout
    assert "FIXED_POLICY" in later


def test_a_backup_may_be_taken_while_a_run_writes(book: Path) -> None:
    running, taken = begin("rebuild", cwd=book), 0
    while running.is_alive():
        backups.backup(Home(book / "data"), book / f"{taken}.tar")
        taken += 1
    assert ended(running) == 0
    assert taken > 1
    for number in (0, taken // 2, taken - 1):
        assert backups.restore(book / f"{number}.tar", Home(book / f"home-{number}")) > 5


def test_a_damaged_backup_leaves_nothing_and_no_home_is_overwritten(book: Path) -> None:
    home, saved = Home(book / "data"), book / "book.tar"
    backups.backup(home, saved)
    with pytest.raises(UsageError, match="exists"):
        backups.backup(home, saved)
    with pytest.raises(ConfigError, match="is not empty"):
        backups.restore(saved, home)
    body = saved.read_bytes()
    for spoilt in (body[: len(body) // 2], b"no tar at all", body.replace(b"version", b"vermin!", 1)):
        (book / "spoilt.tar").write_bytes(spoilt)
        with pytest.raises(UsageError, match=r"spoilt\.tar is"):
            backups.restore(book / "spoilt.tar", Home(book / "new"))
        assert not (book / "new").exists()
        assert [p.name for p in book.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("lost", [False, True])
def test_an_archive_that_is_not_whole_is_not_backed_up_and_the_doctor_says_it(book: Path, lost: bool) -> None:
    home = Home(book / "data")
    path = sorted(home.archive.rglob("*.parquet"))[0]
    assert [f.exit_code for f in examine(book / "none.toml", home) if f.subject == "archive"] == [0]
    path.unlink() if lost else path.write_bytes(path.read_bytes()[:-1])
    said = f"The archived batch {path.stem} is {'missing' if lost else 'cut short or damaged'}. Restore the file from a backup."
    with pytest.raises(MachineError, match=re.escape(said)):
        backups.backup(home, book / "book.tar")
    assert not list(book.glob("*.tar"))
    assert [(f.said, f.exit_code) for f in examine(book / "none.toml", home) if f.subject == "archive"] == [(said, 4)]


def test_a_backup_without_a_publication_that_days_were_locked_with_is_refused(book: Path) -> None:
    home = Home(book / "data")
    Journal(home.journal).append("LOCK", "controller", {"publication": "7"}, now())
    with pytest.raises(MachineError, match=r"The publication 7, with which days were locked, is not at .* Restore the file from a backup"):
        backups.backup(home, book / "book.tar")
    assert not list(book.glob("*book.tar*"))


def test_a_backup_that_points_outside_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        for name, body in (("../outside", b"x"), ("backup.json", json.dumps({"files": {}, "link": ""}).encode())):
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, BytesIO(body))
    with pytest.raises(UsageError, match="no whole backup"):
        backups.restore(tmp_path / "evil.tar", Home(tmp_path / "new"))
    assert not (tmp_path / "outside").exists()
