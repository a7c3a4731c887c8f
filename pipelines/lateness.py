"""A publication and a clock → what is wrong between them, as a sentence; empty where all is well. It asks no venue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from pipelines import closing, publications
from pipelines.archive import Archive
from pipelines.config import Config
from pipelines.errors import Outdated, UsageError
from pipelines.home import Home
from pipelines.journal import Journal

LATEST = timedelta(hours=26)
"""A run a day, and two hours for it to end."""
AHEAD = timedelta(minutes=5)
_MINUTE = "%Y-%m-%d %H:%M UTC"


def behind(home: Home, config: Config, at: datetime) -> str:
    """Where runs no longer happen or no longer publish, of a book that goes on. `at`: now, by the clock of the price venue."""
    if config.book.end is not None and at.date() >= config.book.end:
        return ""
    last = _published(home)
    if last is None or at - last <= LATEST:
        return ""
    return (
        f"the newest publication is of {last:{_MINUTE}}, {(at - last) / timedelta(hours=1):.0f} hours ago; no run has published since. "
        "See that the daemon of `closebook ui` lives, or whatever starts your runs, and what the last run says; `closebook run` catches up."
    )


def _published(home: Home) -> datetime | None:
    """How late it was in the book when it was last published."""
    with suppress(UsageError, Outdated), publications.newest(home) as newest:
        return closing.book_time(newest)
    return None


def ahead(home: Home, at: datetime) -> str:
    """Where something is stamped with an instant that has not come. `at`: now, by the clock of this machine."""
    newest = max(_stamps(home), default=at)
    if newest - at <= AHEAD:
        return ""
    return (
        f"the book knows something since {newest:{_MINUTE}}, and by this machine's clock it is {at:{_MINUTE}}: it is behind, or was "
        "ahead when that was recorded. No number is wrong by it, but --known-at, locks and what came late go by such stamps. "
        "Set the clock; docs/runbook.md says what else (*Something was recorded in the future*)."
    )


def _stamps(home: Home) -> Iterator[datetime]:
    """The newest instant of the publication, of the archive and of the journal."""
    name = max(Archive(home.archive).names(), default="")
    with suppress(ValueError):
        yield datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC)
    with suppress(ValueError):  # a strange file in the journal is said elsewhere
        yield from filter(None, (publications.known_through(home), Journal(home.journal).newest()))
