"""`closebook run`: one run of the graph in this process, and what came of it as an exit code."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from pipelines import screen
from pipelines.archive import Archive
from pipelines.closing import newest_day
from pipelines.config import load
from pipelines.defs import runs
from pipelines.errors import UsageError
from pipelines.home import Home
from pipelines.pull import book_time


@dataclass(frozen=True)
class Outcome:
    exit_code: int


def run(config: Path, home: Home, through: date | None = None) -> Outcome:
    """Pull, close, check, publish; print what happened. 0 done, 1 a check blocked, 3 some portfolio was not pulled."""
    configured = load(config)
    home.move_in(home.kind() or "book")
    home.require_room()
    day = newest_day(configured, asyncio.run(book_time(configured)))
    with screen.pulling():
        report = runs.close_book(home, config.absolute(), day, through)
    return _told(report)


def rebuild(config: Path, home: Home) -> Outcome:
    """The warehouse anew from archive and journal, without asking anybody; then as in `run`."""
    configured = load(config)
    home.require_room()
    day = newest_day(configured, _read_through(Archive(home.archive)))
    return _told(runs.close_book(home, config.absolute(), day, None, anew=True))


def _read_through(archive: Archive) -> datetime:
    """How far the newest history in the archive reaches."""
    for name in reversed(list(archive.names())):
        if (batch := archive.get(name).batch).kind == "HISTORY":
            return batch.until
    raise UsageError("The archive holds no history.", "Name the book's home with --home, or run `closebook run`.")


def _told(report: runs.Report) -> Outcome:
    screen.show_run(report.facts)
    for rule, metadata in report.failed_checks:
        screen.show_violations(rule, metadata)
    for missed in report.not_pulled:
        print(f"Not pulled: {missed['subject']}. {missed['error']}")
    if report.blocked:
        print("Nothing was published; the last publication stands.")
    return Outcome(1 if report.blocked else 3 if report.not_pulled else 0)
