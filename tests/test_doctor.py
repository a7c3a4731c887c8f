"""`closebook doctor` on a healthy book, on keys that open less than they should, and on what nobody configured."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from pipelines import lateness, publications
from pipelines.closing import note_time
from pipelines.config import load
from pipelines.doctor import Finding, examine
from pipelines.home import Home
from pipelines.warehouse import Warehouse
from tests.sandbox.asking import serving, write

RECORDED = datetime(2025, 1, 9, tzinfo=UTC)
GONE = "[[portfolio]]"


def examined(folder: Path, leave_out: str = "", wrong: tuple[str, str] | None = None, **settings: object) -> list[Finding]:
    """What is found with the written configuration, but for one portfolio, or for one secret of one portfolio."""
    with serving(write(folder / "dataset") if folder.mkdir() is None else folder, **settings) as ask:
        parts = ask.sandbox.config_text().split(GONE)
        text = GONE.join(part for part in parts if f'name = "{leave_out}"' not in part)
        text = text.replace(ask.keys[wrong[0]][wrong[1]], "guessed") if wrong else text
        (folder / "closebook.toml").write_text(text)
        return list(examine(folder / "closebook.toml", Home(folder / "home")))


def said(findings: list[Finding], subject: str) -> list[str]:
    return [f.said for f in findings if f.subject == subject]


def test_every_key_of_a_healthy_book_opens_its_portfolio(tmp_path: Path) -> None:
    findings = examined(tmp_path / "book")
    assert [f for f in findings if f.exit_code] == []
    for subject in ("coinbase desk", "pacifica margin", "cryptofuse till"):
        assert said(findings, subject)[0] == "its key opens it"
    assert said(findings, "coinbase") == []


def test_a_profile_that_nobody_configured_is_named(tmp_path: Path) -> None:
    [told] = said(examined(tmp_path / "book", leave_out="vault"), "coinbase")
    assert told.startswith("the profile 'vault' (")
    assert told.endswith("exists and is not configured: it is not in the book")


def test_a_key_that_may_write_is_warned_of(tmp_path: Path) -> None:
    findings = examined(tmp_path / "book")
    assert said(findings, "cryptofuse till")[1] == "its key may do more than read (read write): whoever finds it can move money"
    assert len(said(findings, "coinbase desk")) == 1, "Coinbase does not tell what a key may do"


def test_a_key_that_only_reads_is_enough_for_the_history(tmp_path: Path) -> None:
    findings = examined(tmp_path / "book", scopes=("read",))
    [told] = said(findings, "cryptofuse till")
    assert told.startswith("NO_BALANCE_SCOPE")
    assert [f for f in findings if f.exit_code] == []


def test_a_key_that_opens_nothing_is_the_trouble_of_its_portfolio_alone(tmp_path: Path) -> None:
    findings = examined(tmp_path / "book", wrong=("desk", "passphrase"))
    assert [(f.subject, f.exit_code) for f in findings if f.exit_code] == [("coinbase desk", 3)]
    assert "Invalid Passphrase" in said(findings, "coinbase desk")[0]


def test_a_wrong_secret_is_not_taken_for_a_key_that_only_reads(tmp_path: Path) -> None:
    findings = examined(tmp_path / "book", wrong=("till", "client_secret"))
    assert [(f.subject, f.exit_code) for f in findings if f.exit_code] == [("cryptofuse till", 3)]
    assert "invalid_client" in said(findings, "cryptofuse till")[0]


def test_a_key_that_may_not_even_read_the_history_is_said(tmp_path: Path) -> None:
    findings = examined(tmp_path / "book", scopes=())
    assert [f.subject for f in findings if f.exit_code] == ["cryptofuse till", "cryptofuse kiosk"]


def test_somebody_else_s_directory_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("root")
    [home] = [f for f in examine(tmp_path / "none.toml", Home(tmp_path)) if f.subject == "home"]
    assert (home.exit_code, "holds files that are not a book's" in home.said) == (2, True)


def test_a_home_whose_mark_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "home.toml").write_text("kind =")
    [home] = [f for f in examine(tmp_path / "none.toml", Home(tmp_path)) if f.subject == "home"]
    assert (home.exit_code, "cannot be read" in home.said) == (2, True)


def test_one_portfolio_behind_two_keys_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys do not look the same: one stands in the file, the other comes from the environment."""
    with serving(write(tmp_path / "dataset")) as ask:
        head, *parts = ask.sandbox.config_text().split(GONE)
        [desk] = [part for part in parts if 'name = "desk"' in part]
        copy = desk.replace('name = "desk"', 'name = "copy"').replace(f'key = "{ask.keys["desk"]["key"]}"', 'key = "env:COPY"')
        monkeypatch.setenv("COPY", ask.keys["desk"]["key"])
        (tmp_path / "closebook.toml").write_text(GONE.join([head, copy, *parts]))
        findings = list(examine(tmp_path / "closebook.toml", Home(tmp_path / "home")))
    [twice] = [f for f in findings if f.exit_code]
    assert (twice.subject, twice.exit_code) == ("coinbase desk", 3)
    assert "opens the same as coinbase copy" in twice.said


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The book of 8 January 2025, 00:00, recorded on the ninth."""
    folder = tmp_path_factory.mktemp("late")
    home = Home(folder / "book")
    home.move_in("book")
    with closing(Warehouse(home.warehouse, clock=lambda: RECORDED)) as warehouse:
        note_time(warehouse, datetime(2025, 1, 8, tzinfo=UTC))
        publications.publish(home, publications.build(home, warehouse, date(2025, 1, 1), None), 1)
    return home


@pytest.mark.parametrize(
    ("end", "at", "late"),
    [
        (None, datetime(2025, 1, 9, 2, tzinfo=UTC), False),
        (None, datetime(2025, 1, 9, 2, 1, tzinfo=UTC), True),
        (date(2025, 1, 8), datetime(2025, 6, 1, tzinfo=UTC), False),  # the book has ended
        (date(2026, 1, 1), datetime(2025, 6, 1, tzinfo=UTC), True),
    ],
)
def test_a_publication_of_a_day_and_more_ago_is_said_while_the_book_goes_on(
    published: Home, tmp_path: Path, end: date | None, at: datetime, late: bool
) -> None:
    with serving(write(tmp_path / "dataset")) as ask:
        (tmp_path / "closebook.toml").write_text(ask.sandbox.config_text())
    config = load(tmp_path / "closebook.toml")
    told = lateness.behind(published, config.model_copy(update={"book": config.book.model_copy(update={"end": end})}), at)
    assert ("of 2025-01-08 00:00 UTC" in told and "`closebook run` catches up" in told) is late


def test_what_is_stamped_with_an_instant_that_has_not_come_is_said(published: Home) -> None:
    assert lateness.ahead(published, RECORDED - timedelta(minutes=4)) == ""
    told = lateness.ahead(published, RECORDED - timedelta(minutes=6))
    assert "knows something since 2025-01-09 00:00 UTC, and by this machine's clock it is 2025-01-08 23:54 UTC" in told


def test_the_price_venue_s_clock_is_what_a_publication_s_age_goes_by(published: Home, tmp_path: Path) -> None:
    """A sandbox's own time alarms nobody; a book of it that goes on and is two days behind does."""
    with serving(write(tmp_path / "dataset")) as ask:
        text = "".join(line for line in ask.sandbox.config_text().splitlines(keepends=True) if not line.startswith("end = "))
        (tmp_path / "closebook.toml").write_text(text)
        findings = list(examine(tmp_path / "closebook.toml", published))
    [answers] = said(findings, "prices")
    assert answers.endswith("answers; it is on this machine, a sandbox, and keeps its own time: 2025-01-11 00:00 UTC")
    assert [(f.subject, f.said[:55]) for f in findings if f.exit_code == 4] == [
        ("publication", "the newest publication is of 2025-01-08 00:00 UTC, 72 h")
    ]


def test_another_version_s_publication_is_said_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.move_in("book")
    duckdb.connect(str(home.publication)).close()
    with serving(write(tmp_path / "dataset")) as ask:
        (tmp_path / "closebook.toml").write_text(ask.sandbox.config_text())
        findings = list(examine(tmp_path / "closebook.toml", home))
    assert said(findings, "publication") == [
        f"The publication {home.publication} was made by another version. `closebook run` publishes anew."
    ]
    assert said(findings, "coinbase desk")[0] == "its key opens it"
