"""Which publication tells an instant: the one a locked day was locked with, else the newest. What it tells, is `book`'s work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from pipelines import locks, publications
from pipelines.errors import MachineError
from pipelines.home import Home
from pipelines.journal import Journal
from pipelines.publications import Publication
from pipelines.tables import CALENDARS


@contextmanager
def telling(
    home: Home,
    newest: Publication,
    moment: datetime,
    calendar: str | None = None,
    known_at: datetime | None = None,
    rather: str = "",
) -> Iterator[Publication]:
    """Open what tells the instant, in one calendar or in whichever of the book's locks it; the newest, asked for other knowledge.

    `rather`: the calendar whose lock holds where several do.
    """
    every = sorted(newest.read(CALENDARS)["calendar"], key=lambda name: (name != rather, name))
    journal, names = Journal(home.journal), [calendar] if calendar else every
    lock = next((found for name in names if (found := locks.lock_of(journal, newest, name, moment))), None)
    if lock is None or known_at or lock.publication == newest.facts()["publication_id"]:
        yield newest
        return
    with publications.version(home, lock.publication) as locked:
        if locked.facts()["known_through"] != lock.known_at:
            raise MachineError(
                f"The publication {lock.publication} is another one than that with which days were locked.",
                "Restore its file from a backup.",
            )
        yield locked
