"""Calendars → the instants at which days end. It is about days, never about rows of facts; no clock.

Day D ends at the cut-off on D; a cut-off of 00:00 is the 24:00 of D. A local time that does not exist moves to the
first that does; one that happens twice is the first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.errors import ContractError
from pipelines.tables import CLOSED_DAYS

EASTERNMOST = timedelta(days=1)
"""No day ends more than this before the end of its date in UTC."""
_SCHEMA = pl.Schema({name: CLOSED_DAYS.schema[name] for name in ("calendar", "day", "as_of")})


def days(calendars: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """Every day from `first` to `last`, both included, of every calendar: calendar, day, as_of."""
    rows = [
        (calendar["calendar"], day, day_end(day, ZoneInfo(calendar["timezone"]), time.fromisoformat(calendar["cut_off"])))
        for calendar in calendars.sort("calendar").iter_rows(named=True)
        for day in _dates(first, last)
    ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def ended(calendars: pl.DataFrame, start: date, end: date | None, at: datetime) -> pl.DataFrame:
    """Every day from `start` to before `end` whose cut-off is not after `at`: calendar, day, as_of."""
    last = min(d for d in (at.astimezone(UTC).date() + EASTERNMOST, end and end - timedelta(days=1)) if d is not None)
    return days(calendars, start, max(last, start)).filter(pl.col("as_of") <= at, pl.col("day") <= last)


def instant(as_of: datetime) -> pl.DataFrame:
    """One row for any instant: it belongs to no calendar (an empty name), and its day is its date in UTC."""
    if as_of.tzinfo is None:
        raise ContractError(f"The instant {as_of} has no time zone.")
    moment = as_of.astimezone(UTC)
    return pl.DataFrame([("", moment.date(), moment)], schema=_SCHEMA, orient="row")


def day_end(day: date, zone: ZoneInfo, cut_off: time) -> datetime:
    """The exclusive instant at which `day` ends in `zone`, in UTC."""
    date_of_end = day if cut_off != time(0) else day + timedelta(days=1)
    local = datetime.combine(date_of_end, cut_off, zone)
    moment = local.astimezone(UTC)
    exists = moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None)
    return moment if exists else _first_after_gap(local, moment, zone)


def _first_after_gap(local: datetime, moment: datetime, zone: ZoneInfo) -> datetime:
    """The instant of the change itself. `moment` reads `local` with the old offset, so it lies at or after the change."""
    earlier = local.replace(fold=1).astimezone(UTC)  # the new offset: before the change
    old: Any = earlier.astimezone(zone).utcoffset()
    seconds = range(int((moment - earlier).total_seconds()) + 1)
    changed = bisect_left(seconds, True, key=lambda s: (earlier + timedelta(seconds=s)).astimezone(zone).utcoffset() != old)
    return earlier + timedelta(seconds=changed)


def _dates(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))
