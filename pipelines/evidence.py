"""Facts at an instant → the evidence behind a statement: openings, entries, candles, prices, policies, as tables that read by name.

Nothing is computed here that a statement prints, except which market and which candles stand behind a price.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import polars as pl

from pipelines.book import Facts, Reader
from pipelines.stages import days as day_stage
from pipelines.stages import exact, known, totals, valuations
from pipelines.tables import DAILY_VALUES, INSTANT, POLICIES, PUBLICATIONS, SUSPENSE, TEXT

DAYS_SHOWN = 90
_NAMED = ("portfolio", "native_code")
_CLOSED = "SELECT calendar, day, as_of FROM closed_days WHERE calendar = ? AND as_of <= ? ORDER BY as_of DESC LIMIT ?"


@dataclass(frozen=True)
class Evidence:
    """What was known at K about the accounts in scope, up to an instant."""

    source: Reader
    as_of: datetime
    known_at: datetime
    portfolio: str | None = None

    @cached_property
    def facts(self) -> Facts:
        return Facts.of(self.source, self.known_at, self.portfolio)

    @cached_property
    def accounts(self) -> pl.DataFrame:
        return self.facts.accounts.drop("recorded_at").collect()

    @cached_property
    def prices(self) -> pl.DataFrame:
        """One row per asset: price or reason, the market behind it, and how far its last close lies from the price."""
        last = pl.col("start") == pl.col("start").max().over("asset")
        closes = self.candles.filter(last).select("asset", last_close="close")
        ratio = exact.quotient(pl.col("last_close"), pl.col("price")) - 1
        return (
            self.facts.prices(day_stage.instant(self.as_of))
            .drop("calendar", "day", "as_of")
            .join(self._markets(), on="asset", how="left")
            .join(closes.lazy(), on="asset", how="left")
            .with_columns(last_vs_price_bps=pl.when(pl.col("price_basis") == "VWAP_24H").then(exact.product(ratio, pl.lit(10_000)).round(0).cast(pl.Int64)))
            .sort("asset")
            .collect()
        )

    @cached_property
    def candles(self) -> pl.DataFrame:
        """The candles of the 24 hours before the instant, of every market in scope; none that ends after it."""
        start, hour = pl.col("start"), timedelta(hours=1)
        return (
            self.facts.candles.filter(start >= self.as_of - timedelta(hours=24), start + hour <= self.as_of)
            .join(self._markets(), on="product_id")
            .select("asset", "product_id", "start", "low", "high", "open", "close", "volume", "recorded_at")
            .sort("asset", "start")
            .collect()
        )

    @cached_property
    def postings(self) -> pl.DataFrame:
        """Every entry before the instant, in the order of its account."""
        return (
            self._named(self.facts.postings.filter(pl.col("occurred_at") < self.as_of).drop("retired_at"))
            .sort(*_NAMED, "occurred_at", "position")
            .collect()
        )

    @cached_property
    def openings(self) -> pl.DataFrame:
        return self._named(self.facts.openings).sort(_NAMED).collect()

    @cached_property
    def read_through(self) -> pl.DataFrame:
        return self._named(self.facts.watermarks).sort(_NAMED).collect()

    @cached_property
    def policies(self) -> pl.DataFrame:
        return self.source.read(POLICIES).sort("asset", "since")

    @cached_property
    def suspense(self) -> pl.DataFrame:
        """Rows that were refused, verbatim: they may belong to this scope."""
        refused = known.recorded(self.source.read(SUSPENSE).lazy(), self.known_at)
        mine = refused if self.portfolio is None else refused.filter(pl.col("portfolio").is_in(["", self.portfolio]))
        return mine.sort("recorded_at", "page_sha256", "position").collect()

    @cached_property
    def daily_values(self) -> pl.DataFrame:
        """What was published for the closed days that end at the instant; none where later knowledge went into it."""
        known_through = self.source.read(PUBLICATIONS)["known_through"][0]
        published = self.source.read(DAILY_VALUES, "as_of = ?", self.as_of).lazy()
        return self._named(published.filter(known_through <= self.known_at)).sort("calendar", *_NAMED).collect()

    def history(self, calendar: str) -> pl.DataFrame:
        """Value per closed day up to the instant, at most 90 of them."""
        days = self.source.sql(_CLOSED, calendar, self.as_of, DAYS_SHOWN).cast({"as_of": INSTANT})
        values = valuations.daily_values(self.facts.balances(days), self.facts.prices(days), self.facts.accounts)
        return totals.history(values, self.facts.accounts).collect()

    def _named(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """account_id → portfolio and native code."""
        names = self.facts.accounts.select("account_id", *_NAMED)
        return rows.join(names, on="account_id").select(*_NAMED, pl.all().exclude(*_NAMED, "account_id"))

    def _markets(self) -> pl.LazyFrame:
        """The USD pair of each asset in scope, as `stages.prices` chooses it; none for a currency that is priced in itself."""
        mine = self.facts.accounts.filter(pl.col("asset").is_not_null(), pl.col("asset_class") != "fiat").select(
            asset=pl.col("asset").cast(TEXT)
        )
        return (
            self.facts.products.filter(pl.col("quote") == "USD")
            .group_by(asset="base")
            .agg(pl.col("product_id").min())
            .join(mine.unique(), on="asset", how="semi")
        )
