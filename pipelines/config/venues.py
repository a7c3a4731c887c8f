"""Who is asked: portfolios at their venues, prices, the venue's own reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from pipelines.config.kinds import Frozen, Name, Url
from pipelines.config.secrets import reveal


class PortfolioBase(Frozen):
    """What one key opens. Rate and burst are the venue's published limits unless set."""

    name: Name = Field(description="what the book calls it, for good")
    entity: Name = Field(default="default", description="whose books these are")
    owner: str | None = Field(default=None, min_length=1, max_length=100, description="who is to resolve its issues")
    base_url: Url = Field(description="the venue's API")
    timeout: float = Field(default=30.0, gt=0, description="seconds one call may take, all in all")
    page_size: int | None = Field(default=None, ge=1, le=1000, description="rows of a page; the venue's largest unless set")

    def reveal(self, value: SecretStr) -> str:
        return reveal(value, self.base_url, f"portfolio {self.name}")


class CoinbasePortfolio(PortfolioBase):
    venue: Literal["coinbase"] = Field(description="Coinbase Exchange")
    key: SecretStr = Field(description="an API key that may view, and nothing else")
    secret: SecretStr = Field(description="its secret")
    passphrase: SecretStr = Field(description="its passphrase")
    rate: float = Field(default=15.0, gt=0, description="requests a second")
    burst: int = Field(default=30, ge=1, description="requests at once")


class PacificaPortfolio(PortfolioBase):
    venue: Literal["pacifica"] = Field(description="Pacifica")
    account: str = Field(
        min_length=1, max_length=64, pattern=r"^[A-Za-z0-9]+$", description="the account's address; nothing is ever signed"
    )
    api_key: SecretStr | None = Field(default=None, description="raises the venue's limit, opens nothing")
    credits: int | None = Field(default=None, ge=1, description="credits in 60 s; 100 without a key, 300 with one")


class CryptofusePortfolio(PortfolioBase):
    venue: Literal["cryptofuse"] = Field(description="CryptoFuse")
    client_id: SecretStr = Field(description="the OAuth2 client's id")
    client_secret: SecretStr = Field(description="its secret")
    scope: str = Field(default="read write", description="what the token is asked for; live balances want both words, history only read")
    rate_per_minute: int = Field(default=100, ge=1, description="requests in 60 s")
    rate_per_hour: int = Field(default=1000, ge=1, description="requests in an hour")
    rate_per_day: int = Field(default=5000, ge=1, description="requests in a day")


Portfolio = Annotated[CoinbasePortfolio | PacificaPortfolio | CryptofusePortfolio, Field(discriminator="venue")]


class Prices(Frozen):
    """Where candles come from, and when a closed one is final."""

    base_url: Url = Field(default="https://api.exchange.coinbase.com", description="Coinbase Exchange's public API")
    rate: float = Field(default=10.0, gt=0, description="requests a second")
    burst: int = Field(default=15, ge=1, description="requests at once")
    finality_minutes: int = Field(default=5, ge=0, le=10_080, description="minutes after its end from which an hour's candle is final")
    spread_tolerance_bps: int = Field(
        default=1000, ge=0, le=1_000_000_000, description="1/10000 another method may lie from VWAP_24H without a word"
    )
    refetch_days: int = Field(default=2, ge=0, le=3_650, description="days whose candles are asked for again, because venues restate them")
    timeout: float = Field(default=30.0, gt=0, description="seconds one call may take, all in all")


class Pulling(Frozen):
    """How far back is read again: venues put rows in late, and not all restate the balances after them."""

    overlap_days: int = Field(default=7, ge=0, le=3_650, description="days that each pull reads again")
    whole_days: int = Field(
        default=7, ge=1, le=3_650, description="days after which an account is read again from its beginning, used or not"
    )


Columns = Mapping[str, Literal["native_code", "balance", "price", "currency", "value", "as_of", "ignore"]]
_COLUMNS: Columns = {
    "portfolio": "ignore",
    "currency": "native_code",
    "balance": "balance",
    "balance unit": "ignore",
    "price": "price",
    "price unit": "currency",
    "value": "value",
    "value unit": "ignore",
    "as of": "as_of",
}


class BalanceReport(Frozen):
    """How Coinbase's own balance reports are read: nobody publishes the header of their CSV."""

    columns: Columns = Field(default=_COLUMNS, description="heading in the file → what it is, or ignore; one that is not here is refused")
    wait: float = Field(default=600.0, gt=0, description="seconds a report may take to be made")
