"""Raw rows of reply pages → exact values, in rows that are kept and rows that are refused. No HTTP, no clock, no venue.

Numbers are read from their text, quoted or not, and never through a float. A row that cannot be read goes to `refused`, verbatim,
with the reason; only a page that is not of the published shape is an error, which names its keys and none of its values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
import polars as pl

from pipelines.errors import Unreadable
from pipelines.pages import Page
from pipelines.tables import INSTANT, INT, MONEY, TEXT

T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOTHING = msgspec.Raw(b"null")
BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
PLACES = 18
_QUANTUM = Decimal(1).scaleb(-PLACES)
_EXACT = Context(prec=38)
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,6})?")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6}0*)?(Z|[+-]\d\d(:?\d\d)?)", re.ASCII)

HISTORY = {
    "native_code": TEXT,
    "venue_account_id": TEXT,
    "occurred_at": INSTANT,
    "event_id": TEXT,
    "event_type": TEXT,
    "amount": MONEY,
    "balance_after": MONEY,
    "pending_after": MONEY,
    "page_sha256": TEXT,
    "position": INT,
}
BALANCES = {"native_code": TEXT, "venue_account_id": TEXT, "scope": TEXT, "amount": MONEY}
REFUSED = {"native_code": TEXT, "reason": TEXT, "row": TEXT, "page_sha256": TEXT, "position": INT}


@dataclass(frozen=True)
class Reading:
    """What pages say: rows that could be read, and rows that could not."""

    rows: pl.DataFrame
    refused: pl.DataFrame


@dataclass(frozen=True)
class Row:
    """One row of a page as the venue sent it."""

    page: Page
    position: int
    raw: bytes


class BadRow(ValueError):
    """Why one row is refused."""


Values = Mapping[str, object]


def exact(name: str, raw: msgspec.Raw) -> Decimal:
    """A number with at most 18 decimals and below 10^18, as printed; minus zero is zero."""
    text = words(name, raw)
    if len(text) > 200 or not _NUMBER.fullmatch(text):
        raise BadRow(f"{name} is not a number")
    number = Decimal(text)
    if int(number.as_tuple().exponent) < -PLACES:
        raise BadRow(f"{name} has more than {PLACES} decimals")
    if not number:
        return Decimal(0)
    if number.adjusted() >= 18:
        raise BadRow(f"{name} is 10^18 or more")
    return number.quantize(_QUANTUM, context=_EXACT)


def words(name: str, raw: msgspec.Raw) -> str:
    """A quoted text, or a bare number as it is printed."""
    printed = bytes(raw)
    if printed[:1] == b'"':
        return msgspec.json.decode(printed, type=str)
    if printed[:1] in b"-0123456789":
        return printed.decode("ascii")
    raise BadRow(f"{name} is missing" if printed == b"null" else f"{name} is not a text")


def named(name: str, raw: msgspec.Raw) -> str:
    """A text that must not be empty, such as a code."""
    text = words(name, raw).strip()
    if not text:
        raise BadRow(f"{name} is empty")
    return text


def moment(name: str, raw: msgspec.Raw) -> datetime:
    """ISO 8601 with up to microseconds and a time zone, or Postgres' form of it."""
    text = words(name, raw)
    try:
        if _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BadRow(f"{name} is not an instant with a time zone")


def after_epoch(name: str, raw: msgspec.Raw, unit: timedelta) -> datetime:
    """Whole units since 1970, quoted or not."""
    text = words(name, raw)
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise BadRow(f"{name} is not a whole number of time")
    try:
        return EPOCH + int(text) * unit
    except OverflowError:
        raise BadRow(f"{name} is too far from now") from None


@cache
def _decoder(form: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(form)


def struct(raw: bytes, form: type[T]) -> T:
    """One row in its published form; what else it carries is not looked at."""
    try:
        return cast(T, _decoder(cast(Hashable, form)).decode(raw))
    except BROKEN as wrong:
        raise BadRow(str(wrong)) from None


def decode(page: Page, form: type[T]) -> T:
    """A page in its published form, or Unreadable."""
    try:
        page.body.decode()
        return cast(T, _decoder(cast(Hashable, form)).decode(page.body))
    except BROKEN:
        raise unreadable(page) from None


def unreadable(page: Page) -> Unreadable:
    what = f"{page.endpoint} of {page.venue}" + (f" for portfolio {page.portfolio}" if page.portfolio else "")
    return Unreadable(f"{what} is not of the published shape: {_seen(page.body)}.", "Report it to us; nothing was taken from it.")


def _seen(body: bytes) -> str:
    try:
        keys = sorted(msgspec.json.decode(body, type=dict[str, msgspec.Raw]))
    except msgspec.ValidationError:
        return "it is not an object"
    except BROKEN:
        return "it is not JSON"
    return "it has the keys " + ", ".join(f"{k:.40}" for k in keys[:20]) if keys else "it has no keys"


def listed(page: Page, rows: Iterable[msgspec.Raw]) -> list[Row]:
    return [Row(page, position, bytes(raw)) for position, raw in enumerate(rows)]


def read(
    schema: Mapping[str, pl.DataType], rows: Iterable[Row], parse: Callable[[Row], Iterable[Values]], code: str = "currency"
) -> Reading:
    """Parse each row on its own. `code`: the field of a refused row that names its currency."""
    kept: list[Values] = []
    refused: list[Values] = []
    for row in rows:
        place = {"page_sha256": row.page.sha256, "position": row.position}
        try:
            kept += [{**values, **place} for values in parse(row)]
        except (BadRow, *BROKEN) as bad:
            refused.append({"native_code": _field(row.raw, code), "reason": str(bad), "row": row.raw.decode(), **place})
    return Reading(frame(schema, kept), frame(REFUSED, refused))


def _field(raw: bytes, name: str) -> str | None:
    try:
        value = msgspec.json.decode(raw)[name]
    except (*BROKEN, TypeError, KeyError, IndexError):
        return None
    return value if isinstance(value, str) else None


def frame(schema: Mapping[str, pl.DataType], rows: list[Values]) -> pl.DataFrame:
    return pl.DataFrame([pl.Series(name, [row.get(name) for row in rows], dtype=dtype) for name, dtype in schema.items()])


def oldest_first(reading: Reading) -> Reading:
    """Venues list newest first; one that is found to list the other way round is left in its order."""
    times = reading.rows["occurred_at"]
    ascending = len(times) > 1 and times[0] < times[-1] and times.is_sorted()
    return reading if ascending else Reading(reading.rows.reverse(), reading.refused.reverse())


class Once:
    """Refuses the second row of the same name."""

    def __init__(self) -> None:
        self._seen: set[object] = set()

    def __call__(self, name: object) -> None:
        if name in self._seen:
            raise BadRow(f"{name} is listed twice")
        self._seen.add(name)
