"""Instants as the Reports API reads and writes them: UTC, microseconds in its own times, whole seconds in an as-of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from pipelines.errors import UsageError

Clock = Callable[[], datetime]
_FIRST = datetime(1970, 1, 2, tzinfo=UTC)  # a day of candles lies before every as-of


def now() -> datetime:
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """Always 27 characters, so that text sorts as time does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def second(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant(text: str, field: str, latest: datetime) -> datetime:
    """A past instant; without a zone it is UTC, as at the venue."""
    try:
        read = datetime.fromisoformat(text)
        moment = (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{field} is not an instant.", "Write it as 2025-02-01T00:00:00Z.") from None
    if not _FIRST <= moment <= latest:
        where = "in the future" if moment > latest else "before the epoch"
        raise UsageError(f"{field} lies {where}.", "Ask for an instant that has passed.")
    return moment
