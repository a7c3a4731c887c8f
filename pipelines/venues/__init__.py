"""Places that hold balances: connect(portfolio) → a client that asks, page by page; `wire` reads the pages. One door: `http`.

Nothing is interpreted, kept or computed here; a client never reads money.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol, Self

from pipelines.config import CoinbasePortfolio, CryptofusePortfolio, PacificaPortfolio
from pipelines.pages import Page
from pipelines.venues.coinbase.client import CoinbaseClient, PriceClient
from pipelines.venues.cryptofuse.client import CryptofuseClient
from pipelines.venues.http import Clock, Patience, utc_now
from pipelines.venues.pacifica.client import PacificaClient
from pipelines.venues.replies import MissingRight

__all__ = ["Client", "MissingRight", "Patience", "PriceClient", "connect"]


class Client(Protocol):
    """One portfolio's side of a venue, for one run: `async with connect(portfolio) as client`."""

    subjects_by_account: bool
    """True: history is asked per account; False: one walk covers the portfolio."""

    @property
    def identity(self) -> str:
        """Whose portfolio it is, where that is known without asking: the address, or a hash of the key. Else empty."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *_: object) -> None: ...

    async def balances(self) -> list[Page]:
        """Live balances; `MissingRight` where the key opens the portfolio and may not read them."""

    def history(self, account: str | None, since: datetime | None) -> AsyncIterator[Page]:
        """Pages newest first, up to the one that shows a row older than `since`, or all. `account`: the venue's id where asked for."""

    async def currencies(self) -> list[Page]:
        """What the venue says its codes mean, where it says so."""

    async def population(self) -> list[Page]:
        """What the key's owner has at the venue, this portfolio included; none where it does not tell."""

    @property
    def dated(self) -> datetime | None:
        """How late it is at the venue, by its newest reply, be it a refusal; None before one came."""

    @property
    def rights(self) -> str:
        """What the key may do, in the venue's words; empty where it does not tell."""


def connect(
    portfolio: CoinbasePortfolio | PacificaPortfolio | CryptofusePortfolio, patience: Patience | None = None, clock: Clock = utc_now
) -> Client:
    """The client of a portfolio's venue; not yet connected to anything."""
    match portfolio:
        case CoinbasePortfolio():
            return CoinbaseClient(portfolio, patience, clock)
        case PacificaPortfolio():
            return PacificaClient(portfolio, patience, clock)
        case CryptofusePortfolio():
            return CryptofuseClient(portfolio, patience, clock)
