"""A book built anew closes every day that was closed, wherever its window lay then."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from pipelines import reach
from pipelines.sandbox.serve import Sandbox
from pipelines.tables import CLOSED_DAYS, POSTINGS
from tests import tiny
from tests.closing_once import DAILY, House, house


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Sandbox]]:
    """A book that was closed from its beginning in two calendars, and then from the fourth day on, in one of them and a new one."""
    folder = tmp_path_factory.mktemp("moved")
    with Sandbox(tiny.dataset(folder / "d")) as sandbox:
        plain = sandbox.config_text()
        assert "start = 2025-01-01" in plain
        with named(folder / "book", sandbox, plain, "2025-01-01", '["utc", "tokyo"]') as book:
            book.run()
        with named(folder / "book", sandbox, plain, "2025-01-04", '["utc", "paris"]') as book:
            book.run()
        yield folder, sandbox


def named(folder: Path, sandbox: Sandbox, plain: str, start: str, calendars: str) -> AbstractContextManager[House]:
    text = plain.replace("start = 2025-01-01", f"start = {start}\ncalendars = {calendars}")
    zones = "".join(f'\n[[calendar]]\nname = "{c}"\ntimezone = "{z}"\ncut_off = "00:00"\n' for c, z in ZONES.items() if c in calendars)
    sandbox.config_text = lambda: text + zones  # type: ignore[method-assign]
    return house(folder, sandbox)


ZONES = {"tokyo": "Asia/Tokyo", "paris": "Europe/Paris"}


def test_a_window_that_moved_leaves_its_days_in_a_book_built_anew(moved: tuple[Path, Sandbox], tmp_path: Path) -> None:
    home, sandbox = moved
    with house(home / "book", sandbox) as book:
        before = {t.name: book.table(t) for t in (*DAILY, POSTINGS)}
        days = book.table(CLOSED_DAYS).group_by("calendar").len().sort("calendar").rows()
        assert days == [("paris", 4), ("utc", 7)]
        assert list(reach.told(book.journal)) == ["utc"], "the calendar that was dropped took its days with it"
    for store in ("archive", "journal"):
        shutil.copytree(home / "book" / store, tmp_path / store)
    with house(tmp_path, sandbox) as anew:
        anew.run()
        for table in (*DAILY, POSTINGS):
            assert anew.table(table).equals(before[table.name]), table.name


def test_a_window_that_moves_while_the_warehouse_is_lost_leaves_them_too(moved: tuple[Path, Sandbox], tmp_path: Path) -> None:
    home, sandbox = moved
    for store in ("archive", "journal"):
        shutil.copytree(home / "book" / store, tmp_path / store)
    text = sandbox.config_text()
    later = text.replace("start = 2025-01-04", "start = 2025-01-06")
    assert later != text
    sandbox.config_text = lambda: later  # type: ignore[method-assign]
    with house(tmp_path, sandbox) as anew:
        anew.run()
        assert anew.table(CLOSED_DAYS).group_by("calendar").len().sort("calendar").rows() == [("paris", 4), ("utc", 7)]
    sandbox.config_text = lambda: text  # type: ignore[method-assign]
