"""Numbers, instants and words as a person reads them on paper. Exact figures stand in the other forms; nothing is added up here."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

NONE = "–"
PRICE_DIGITS = 10
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_LONGEST = 60


def number(x: Decimal | None, least: int = 0) -> str:
    """Every digit, in groups of three, with at least so many decimals."""
    if x is None:
        return NONE
    whole, _, fraction = f"{x:,f}".partition(".")
    fraction = fraction.rstrip("0").ljust(least, "0")
    return f"{whole}.{fraction}" if fraction else whole


def units(x: Decimal | None) -> str:
    """A quantity that may well be nothing: nothing is a dash, unknown is said."""
    return "unknown" if x is None else NONE if x == 0 else number(x)


def price(x: Decimal | None, least: int) -> str:
    """Ten significant digits, and the currency's decimals at least."""
    if x is None or x == 0:
        return number(x, least)
    decimals = max(PRICE_DIGITS - 1 - x.adjusted(), least)
    return number(x.quantize(Decimal(1).scaleb(-decimals), context=_WIDE), least)


def instant(moment: datetime | None) -> str:
    """2025-02-01 00:00:00Z, with a fraction only where there is one."""
    if moment is None:
        return "never"
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction}Z"


def name(text: str | None) -> str:
    """A name of somebody else's: on one line, and cut where it would leave the page."""
    shown = " ".join((text or NONE).split())
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


def title(column: str) -> str:
    """A column's name as words."""
    return column.replace("_", " ").capitalize()


def money(row: dict[str, Any], amount: str = "printed") -> str:
    """An amount of a row that is already at its currency's minor unit."""
    return "out of range" if row[amount] is None else number(row[amount], row["minor_units"])
