"""A long pull says how far it has come: bars on a terminal, lines in a log, nothing elsewhere."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from pathlib import Path

from rich.console import Console

from pipelines import progress, screen
from tests.faults.house import END, dataset, house, venues


def pulled(tmp_path: Path, listener: progress.Listener) -> None:
    with (
        venues(dataset(tmp_path / "dataset"), now=END - timedelta(days=5)) as sandbox,
        house(tmp_path, sandbox.config_text()) as book,
        progress.listening(listener),
    ):
        assert book.run() == {}


def test_a_log_says_what_is_being_pulled_and_what_was(tmp_path: Path) -> None:
    said: list[str] = []
    seconds = iter(range(0, 10_000, 5))
    counts = progress.Counts(said.append, lambda: next(seconds))
    pulled(tmp_path, counts)
    counts.ended()
    assert said[0].startswith("Pulling: ")
    assert 2 < len(said) < 60
    assert said[-1] == (
        "Pulled: desk 13 pages, 5 of 5 walks; perps 5 pages, 1 of 1 walks; prices 3 pages, 2 of 2 walks; shop 7 pages, 1 of 1 walks."
    )


def test_who_no_longer_listens_hears_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    counts = progress.Counts(said.append)
    with progress.listening(counts):
        pass
    progress.page("desk")
    counts.ended()
    assert said == []


def test_a_terminal_shows_a_bar_a_portfolio() -> None:
    out = StringIO()
    with screen.pulling(Console(file=out, force_terminal=True, width=100)):
        progress.begin("desk", 2)
        for _ in range(3):
            progress.page("desk")
        progress.walked("desk")
        progress.page("")
    for word in ("desk", "1/2", "3 pages", "prices"):
        assert word in out.getvalue()


def test_where_there_is_no_terminal_there_is_no_bar() -> None:
    out = StringIO()
    with screen.pulling(Console(file=out)):
        progress.begin("desk", 2)
        progress.page("desk")
    assert out.getvalue() == ""
