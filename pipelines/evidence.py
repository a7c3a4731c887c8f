"""A publication at an instant → the evidence behind a statement: openings, entries, candles, prices, policies, as tables read by name.

Nothing is computed here that a statement prints, except which market and which candles stand behind a price.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import polars as pl

from pipelines.book import Facts, Reader
from pipelines.stages import below, exact, known, prices, totals, transfers, transit, valuations
from pipelines.stages import days as day_stage
from pipelines.tables import (
    ADJUSTMENTS,
    CANDLES,
    DAILY_VALUES,
    INSTANT,
    OPENINGS,
    POLICIES,
    POSTINGS,
    PRODUCTS,
    PUBLICATIONS,
    PULLS,
    SUSPENSE,
    TEXT,
    TRANSFERS,
    Table,
)

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
    entity: str | None = None

    @cached_property
    def facts(self) -> Facts:
        return Facts.of(self.source, self.known_at, self.portfolio, self.entity)

    @cached_property
    def accounts(self) -> pl.DataFrame:
        columns = ("account_id", "entity", "venue", *_NAMED, "asset", "network", "asset_class")
        return self.facts.accounts.select(columns).sort("entity", "venue", *_NAMED).collect()

    @cached_property
    def entries(self) -> pl.LazyFrame:
        """Postings before the instant, as the roll-forward takes them."""
        return known.facts(self._mine(POSTINGS, "occurred_at < ?", self.as_of).lazy(), self.known_at).collect().lazy()

    @cached_property
    def opened(self) -> pl.LazyFrame:
        """Openings in force, as the roll-forward takes them."""
        return known.newest(self._mine(OPENINGS).lazy(), ["account_id"], self.known_at).collect().lazy()

    @cached_property
    def postings(self) -> pl.DataFrame:
        """Every entry before the instant, in the order of its account."""
        return self.named(self.entries.drop("retired_at")).sort(*_NAMED, "occurred_at", "position").collect()

    @cached_property
    def openings(self) -> pl.DataFrame:
        return self.named(self.opened).sort(_NAMED).collect()

    @cached_property
    def adjustments(self) -> pl.DataFrame:
        """What was adjusted by then, oldest first."""
        made = known.recorded(self.source.read(ADJUSTMENTS, "occurred_at < ?", self.as_of).lazy(), self.known_at)
        return made.join(self.accounts.lazy().select(_NAMED), on=_NAMED, how="semi").sort("occurred_at", "record").collect()

    @cached_property
    def read_through(self) -> pl.DataFrame:
        """Up to where each account in scope was read."""
        newest = known.newest(self.source.read(PULLS, "kind = 'ACCOUNT'").lazy(), ["portfolio", "subject"], self.known_at)
        names = self.accounts.lazy().select(_NAMED)
        read = newest.select("portfolio", "read_through", "asked_at", "batch", native_code="subject")
        return read.join(names, on=_NAMED, how="semi").sort(_NAMED).collect()

    @cached_property
    def candles(self) -> pl.DataFrame:
        """The candles of the 24 hours before the instant, of every market in scope; none that ends after it."""
        window = "start >= ? AND start <= ?"
        read = self.source.read(CANDLES, window, self.as_of - timedelta(hours=24), self.as_of - timedelta(hours=1))
        return (
            known.facts(read.lazy(), self.known_at)
            .join(self._markets(), on="product_id")
            .select("asset", "product_id", "start", "low", "high", "open", "close", "volume", "recorded_at")
            .sort("asset", "start")
            .collect()
        )

    @cached_property
    def prices(self) -> pl.DataFrame:
        """One row per asset: price or reason, the market behind it, and how far its last close lies from the price."""
        closes = self.candles.filter(pl.col("start") == pl.col("start").max().over("asset")).select("asset", last_close="close")
        apart = exact.quotient(pl.col("last_close"), pl.col("price")) - 1
        bps = exact.product(apart, pl.lit(10_000)).round(0).cast(pl.Int64)
        return (
            self.prices_at(self.as_of)
            .drop("calendar", "day", "as_of", "spread_bps", "bound_status")
            .join(self._markets(), on="asset", how="left")
            .join(closes.lazy(), on="asset", how="left")
            .with_columns(last_vs_price_bps=pl.when(pl.col("price_basis") == "VWAP_24H").then(bps))
            .sort("asset")
            .collect()
        )

    @cached_property
    def transfers(self) -> pl.DataFrame:
        """What moved between own portfolios, as published; asked for less knowledge, matched again with that."""
        if self.source.read(PUBLICATIONS)["known_through"][0] <= self.known_at:
            found = self.source.read(TRANSFERS)
        else:
            moved = self.source.read(POSTINGS, f"event_type IN {transfers.TYPES}")
            found = transfers.transfers(known.facts(moved.lazy(), self.known_at), Facts.of(self.source, self.known_at).accounts)
        return found.filter(pl.col("entity") == self.entity if self.entity else pl.lit(True))

    @cached_property
    def adjusted(self) -> pl.DataFrame:
        """What adjustments add to each account by then."""
        return below.adjusted(self.adjustments.lazy(), self.accounts.lazy(), self.prices_at(self.as_of)).collect()

    @cached_property
    def in_transit(self) -> pl.DataFrame:
        """What was on the way at the instant; a portfolio alone has nothing in transit."""
        found = self.transfers if self.portfolio is None else self.transfers.clear()
        return transit.lines(found.lazy(), self.facts.accounts, self.prices_at(self.as_of), self.as_of).collect()

    def prices_at(self, moment: datetime) -> pl.LazyFrame:
        """daily_prices of one instant."""
        return self.facts.prices(day_stage.instant(moment))

    def basis_of(self, asset: str) -> str | None:
        """What the price of an asset rests on, whether or not it is held."""
        one = pl.LazyFrame({"asset": [asset], "asset_class": [_class_of(asset)]}, schema={"asset": TEXT, "asset_class": TEXT})
        found = Facts(self.source, self.known_at, None, one).prices(day_stage.instant(self.as_of)).collect()
        basis: str | None = found["price_basis"][0]
        return basis

    @cached_property
    def policies(self) -> pl.DataFrame:
        """What policies were in the configuration at K, whatever instants they speak of."""
        policies = known.facts(self.source.read(POLICIES).lazy(), self.known_at)
        return policies.drop("recorded_at", "retired_at").sort("asset", "since").collect()

    @cached_property
    def suspense(self) -> pl.DataFrame:
        """Rows that were refused, verbatim: they may belong to this scope."""
        refused = known.recorded(self.source.read(SUSPENSE).lazy(), self.known_at)
        own = ["", *self.accounts["portfolio"].unique()]
        mine = refused if self.facts.scope is None else refused.filter(pl.col("portfolio").is_in(own))
        return mine.sort("recorded_at", "page_sha256", "position").collect()

    @cached_property
    def daily_values(self) -> pl.DataFrame:
        """What was published for the closed days that end at the instant; none where later knowledge went into it."""
        known_through = self.source.read(PUBLICATIONS)["known_through"][0]
        published = self._mine(DAILY_VALUES, "as_of = ?", self.as_of).lazy()
        return self.named(published.filter(known_through <= self.known_at)).sort("calendar", *_NAMED).collect()

    def history(self, calendar: str) -> pl.DataFrame:
        """Value per closed day up to the instant, at most 90 of them."""
        days = self.source.sql(_CLOSED, calendar, self.as_of, DAYS_SHOWN).cast({"as_of": INSTANT})
        values = valuations.daily_values(self.facts.balances(days), self.facts.prices(days), self.facts.accounts)
        return totals.history(values, self.facts.accounts).collect()

    def _mine(self, table: Table, condition: str = "true", *params: object) -> pl.DataFrame:
        """A table's rows of the accounts in scope."""
        return self.source.read(table, f"{condition} AND {self.facts.mine}", *params)

    def named(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """account_id → portfolio and native code."""
        names = self.accounts.lazy().select("account_id", *_NAMED)
        return rows.join(names, on="account_id").select(*_NAMED, pl.all().exclude(*_NAMED, "account_id"))

    def _markets(self) -> pl.LazyFrame:
        """The USD pair of each asset in scope, and of those it is the same as, as `stages.prices` chooses it; none for a currency."""
        products = known.newest(self.source.read(PRODUCTS).lazy(), ["product_id"], self.known_at)
        held = prices.with_aliased(self.accounts.lazy().select("asset", "asset_class").drop_nulls(), self.policies.lazy())
        mine = held.filter(pl.col("asset_class") != "fiat").select("asset").unique()
        pairs = products.filter(pl.col("quote") == "USD").group_by(asset="base").agg(pl.col("product_id").min())
        return pairs.join(mine, on="asset", how="semi")


def _class_of(asset: str) -> str:
    return "fiat" if asset in prices.PAR_CURRENCIES else "crypto"
