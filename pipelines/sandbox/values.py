"""Instants and amounts as the wire prints and reads them. Exact, no float; no rows, no HTTP."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
SECOND = 1_000_000  # instants are whole microseconds since 1970 inside the sandbox
HOUR = 3600
DAY = 86_400 * SECOND
EXACT = Context(prec=200)
_DECIMAL = re.compile(r"[+-]?[0-9]{1,100}(\.[0-9]{1,60})?")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d(:?\d\d)?)?", re.ASCII)


def decimal(text: str) -> Decimal:
    """Plain decimal text, without an exponent; ValueError else."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError(text)
    return Decimal(text)


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // TICK


def instant(text: str) -> int:
    """RFC 3339 with a time zone and at most microseconds; ValueError else."""
    if not _INSTANT.fullmatch(text):
        raise ValueError(text)
    return micros(datetime.fromisoformat(text))


def loose_instant(text: str) -> int:
    """A date, or a date and a time in UTC unless it says otherwise, as clients write them; ValueError else."""
    if not _DATE.fullmatch(text):
        raise ValueError(text)
    read = datetime.fromisoformat(text)
    return micros(read if read.tzinfo else read.replace(tzinfo=UTC))


def printed(at: int, form: str = "microseconds") -> str:
    """2025-01-01T00:00:00.000000Z; `form` as in datetime.isoformat."""
    return (EPOCH + at * TICK).replace(tzinfo=None).isoformat(timespec=form) + "Z"


def fixed(value: Decimal, places: int) -> str:
    """With at least so many decimals; its own where it has more."""
    own = -int(value.as_tuple().exponent)
    return f"{value:.{max(places, own)}f}" if value else f"{Decimal(0):.{max(places, own)}f}"


def short(value: Decimal) -> str:
    """Without trailing zeros and exponent."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def plus(a: Decimal, b: Decimal) -> Decimal:
    return EXACT.add(a, b)
