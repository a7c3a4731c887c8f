"""The journal's locks and reopenings → which days are locked, and as known when. Nothing is decided here, no number is made.

A lock keeps days as they were published: the book of a locked day is that of the publication it was locked with, which is kept for
good, whatever facts, labels or policies change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from pipelines import book
from pipelines.histories import Reader
from pipelines.journal import Journal, Record


@dataclass(frozen=True)
class Lock:
    """Days of a calendar, both ends included, kept as one publication tells them."""

    calendar: str
    first: date
    last: date
    publication: int
    known_at: datetime
    by: str
    reason: str = ""


def locks(journal: Journal, calendar: str) -> list[Lock]:
    """What is locked, oldest days first: the newest lock of a day holds; a reopening gives it and those after it back."""
    held: list[Lock] = []
    for record in journal.records("LOCK", "REOPEN"):
        if record.words["calendar"] != calendar:
            continue
        day = date.fromisoformat(record.words["day"])
        if record.kind == "REOPEN":
            held = [_until(lock, day - timedelta(days=1)) for lock in held if lock.first < day]
        else:
            fresh = _lock(record)
            held = sorted([*(lock for lock in held if lock.first != fresh.first), fresh], key=lambda lock: lock.first)
    return held


def _lock(record: Record) -> Lock:
    words = record.words
    first, last = date.fromisoformat(words["first"]), date.fromisoformat(words["day"])
    known_at = datetime.fromisoformat(words["known_at"])
    return Lock(words["calendar"], first, last, int(words["publication"]), known_at, record.by, words["reason"])


def _until(lock: Lock, last: date) -> Lock:
    return replace(lock, last=min(lock.last, last))


def lock_of(journal: Journal, source: Reader, calendar: str, as_of: datetime) -> Lock | None:
    """The lock that holds at an instant."""
    for lock in locks(journal, calendar):
        before = book.instant_of(source, lock.first - timedelta(days=1), calendar)
        if before < as_of <= book.instant_of(source, lock.last, calendar):
            return lock
    return None


def locked_until(journal: Journal, source: Reader, moment: datetime) -> datetime | None:
    """Where the locked days that `moment` lies in end, in whichever calendar ends them last; None where it lies in none."""
    ends = [
        book.instant_of(source, lock.last, calendar)
        for calendar in source.sql("SELECT calendar FROM calendars")["calendar"]
        for lock in locks(journal, calendar)
    ]
    return max((end for end in ends if moment < end), default=None)
