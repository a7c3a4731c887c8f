"""What is closed, and by which rules: days, calendars, policies, openings, names of assets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.config.kinds import EARLIEST, LATEST, Code, Currency, Exact, Frozen, Name, Timezone


class Book(Frozen):
    """Which days are closed: from `start` to before `end`, in each calendar."""

    start: date = Field(ge=EARLIEST, description="the first day to close")
    end: date | None = Field(default=None, le=LATEST, description="the first day not to close; without it the book goes on")
    calendars: tuple[Name, ...] = Field(default=("utc",), description="`utc`, `new_york` (17:00 there) or a [[calendar]] of your own")
    keep: int = Field(default=30, ge=2, description="publications kept")
    lock_wait: float = Field(default=60.0, ge=0, description="seconds a run waits for another to end")
    reporting_currency: Currency | None = Field(
        default=None, description="a currency that values are told in besides their own; needs [[rates]]"
    )
    materiality: Mapping[Currency, Annotated[Exact, Field(gt=0)]] = Field(
        default={}, description="how much of late effects, per currency, may be carried into the open period instead of a revision"
    )

    @model_validator(mode="after")
    def _forward(self) -> Book:
        if self.end is not None and self.end <= self.start:
            raise ValueError("[book] end must lie after start; it is the first day not to close")
        return self


class Calendar(Frozen):
    """A day of this calendar ends at `cut_off` local time; 00:00 is the 24:00 of the day."""

    name: Name = Field(description="as [book] calendars names it")
    timezone: Timezone = Field(default="UTC", description="whose local time; IANA name")
    cut_off: time = Field(default=time(0, 0), description="when the day ends, in whole minutes")

    @model_validator(mode="after")
    def _whole_minutes(self) -> Calendar:
        if self.cut_off.second or self.cut_off.microsecond or self.cut_off.tzinfo:
            raise ValueError("cut_off is a local time in whole minutes, as in 17:00")
        return self


class Policy(Frozen):
    """Prices what the market does not, prices an asset as another, or refuses to price it; the row says so."""

    name: str = Field(default="", max_length=80, description="what it is called; without it, its asset and its first instant")
    asset: Code = Field(description="the asset it speaks of")
    exclude: bool = Field(default=False, description="the asset is not priced at all")
    price: Exact | None = Field(default=None, gt=0, description="fiat per unit")
    currency: Currency | None = Field(default=None, description="the currency of the price")
    bound: Exact | None = Field(default=None, gt=0, description="how far the market may lie from the price, in its currency")
    same_as: Code | None = Field(default=None, description="the asset whose price it takes, as WBTC may that of BTC")
    since: datetime | None = Field(default=None, alias="from", description="the first as-of it applies to; without it, all before `to`")
    until: datetime | None = Field(default=None, alias="to", description="the first as-of it no longer applies to")
    approver: str = Field(min_length=1, description="who answers for it")

    @model_validator(mode="after")
    def _one_thing(self) -> Policy:
        if self.exclude + (self.price is not None) + (self.same_as is not None) != 1 or (self.price is None) != (self.currency is None):
            raise ValueError("a policy either excludes an asset, gives it a price and a currency, or prices it the same_as another")
        if self.bound is not None and self.price is None:
            raise ValueError("a bound says how far the market may lie from a price; there is none")
        if self.same_as == self.asset:
            raise ValueError("an asset is the same as itself without a policy")
        if any(t is not None and t.tzinfo is None for t in (self.since, self.until)):
            raise ValueError("from and to need a time zone, as in 2025-01-01T00:00:00Z")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("from must lie before to, which is the first instant the policy no longer holds")
        return self

    @property
    def called(self) -> str:
        return self.name or self.asset + (f" from {self.since.isoformat()}" if self.since else "")

    @property
    def row(self) -> dict[str, object]:
        """As the table of policies holds it, but for when it was recorded."""
        plain = ("asset", "exclude", "price", "currency", "bound", "same_as", "since", "until", "approver")
        return {"name": self.called} | {name: getattr(self, name) for name in plain}

    def meets(self, other: Policy) -> bool:
        """Both speak of one asset at some instant."""
        apart = (self.until and other.since and self.until <= other.since) or (other.until and self.since and other.until <= self.since)
        return self.asset == other.asset and not apart


class Rates(Frozen):
    """Dated rates into the reporting currency: a CSV of `date,rate`, as 2025-01-31,1.0353; a rate may be left empty."""

    currency: Currency = Field(description="the currency of the values it converts")
    file: Path = Field(description="the CSV; beside the configuration, where the path is not absolute")
    document: str = Field(min_length=1, max_length=200, description="whose rates they are, and where they were published")
    inverse: bool = Field(
        default=False, description="the file says what one unit of the reporting currency costs in `currency`, as the ECB's does"
    )
    longest: int = Field(default=5, ge=0, le=31, description="days that a rate may be used after its own; 0: on its own only")
    timezone: Timezone = Field(default="UTC", description="whose local time")
    known_at: time = Field(default=time(0, 0), description="when the rate of a date is known, in whole minutes; 00:00 is its 24:00")


class Statements(Frozen):
    """What every run writes of its newest day beside the CSVs: of whom, and in which forms. They are drafts until somebody issues one."""

    portfolios: tuple[Name, ...] = Field(default=(), description="of each of these portfolios")
    entities: tuple[Name, ...] = Field(default=(), description="of all portfolios of each of these entities")
    formats: tuple[Literal["pdf", "xlsx", "json", "parquet", "bundle"], ...] = Field(default=("pdf",), description="the forms")
    by: Literal["portfolio", "asset"] = Field(default="portfolio", description="how lines are grouped")


class Opening(Frozen):
    """An asserted opening balance, with the document that proves it."""

    portfolio: Name = Field(description="a configured portfolio")
    native_code: str = Field(description="the venue's own code of the account")
    amount: Exact = Field(description="units held just before that instant")
    at: datetime = Field(description="the account is in the book from here on")
    document: str = Field(min_length=1, description="what proves it")

    @model_validator(mode="after")
    def _aware(self) -> Opening:
        if self.at.tzinfo is None:
            raise ValueError("at needs a time zone, as in 2025-01-01T00:00:00Z")
        return self


class Asset(Frozen):
    """Overrides assets.toml for one native code of a venue."""

    venue: Literal["coinbase", "cryptofuse", "pacifica"] = Field(description="whose code it is")
    native_code: Code = Field(description="the venue's own code")
    asset: Code = Field(description="what it is in the book")
    network: str | None = Field(default=None, description="the network the code names")
    asset_class: Literal["fiat", "stable", "crypto"] = Field(default="crypto", alias="class", description="what kind of asset it is")
