"""Reply pages of any venue → rows, exact. The venue's name chooses the reader; no HTTP, no clock.

What a row means for the book (sign, account, position among equals) is decided in the stages.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.errors import ContractError
from pipelines.pages import Page
from pipelines.venues.coinbase import report_wire
from pipelines.venues.coinbase import wire as coinbase
from pipelines.venues.cryptofuse import wire as cryptofuse
from pipelines.venues.pacifica import wire as pacifica
from pipelines.venues.reading import Reading

__all__ = [
    "Reading", "count", "read_balances", "read_candles", "read_currencies", "read_history", "read_population", "read_products",
    "read_report",
]  # fmt: skip

_BALANCES = {"coinbase": coinbase.read_balances, "cryptofuse": cryptofuse.read_balances, "pacifica": pacifica.read_balances}
_HISTORY = {"coinbase": coinbase.read_history, "cryptofuse": cryptofuse.read_history, "pacifica": pacifica.read_history}

read_report = report_wire.read_report
read_population = coinbase.read_population
read_products = coinbase.read_products
read_candles = coinbase.read_candles
read_currencies = cryptofuse.read_currencies


def read_balances(venue: str, pages: Sequence[Page]) -> tuple[str | None, Reading]:
    """The venue's own id of the portfolio where it tells, and its live balances by code and scope."""
    return _BALANCES[_known(venue)](pages)


def read_history(venue: str, pages: Sequence[Page]) -> Reading:
    """Pages of one or more walks, newest first as walked → events oldest first per account."""
    return _HISTORY[_known(venue)](pages)


def count(venue: str, pages: Sequence[Page]) -> int | None:
    """How many events the venue says there are in all, where it says so."""
    return cryptofuse.count(pages) if venue == "cryptofuse" else None


def _known(venue: str) -> str:
    if venue not in _HISTORY:
        raise ContractError(f"No reader for the venue {venue!r}.")
    return venue
