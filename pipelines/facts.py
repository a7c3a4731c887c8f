"""Tables → the facts a stage needs, as known at K, and no more of them. What they amount to is the stages' work; nothing is written.

How far back an account's history must be read is `histories`' business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import polars as pl

from pipelines.histories import Histories, Part, Reader, among, moment
from pipelines.stages import completeness, known, prices, snapshots
from pipelines.tables import (
    CANDLE_COVERAGE,
    CANDLES,
    COMPLETENESS,
    DAILY_BALANCES,
    DAILY_PRICES,
    OPENINGS,
    PAST_LABELS,
    POLICIES,
    POSTINGS,
    PRODUCTS,
)  # fmt: skip

ACCOUNTS_NAMED = """
    SELECT account_id, entity, venue, portfolio, native_code, asset, network, asset_class, a.recorded_at
    FROM accounts a JOIN portfolios USING (portfolio)
"""
WATERMARKS = """
    SELECT account_id, max_by(read_through, pulls.recorded_at) AS read_through
    FROM pulls JOIN accounts ON kind = 'ACCOUNT' AND pulls.portfolio = accounts.portfolio AND subject = native_code
    WHERE {known} AND {mine} GROUP BY account_id
"""
FIRST_KNOWN = "SELECT product_id, min(start) AS first_known FROM candles WHERE {known} GROUP BY product_id"
LOOKS_BACK = timedelta(hours=25)
"""More than any price does."""
CANDLES_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Facts:
    """What is known at K (None: the newest), of the accounts in scope. Tables are read when they are first asked for."""

    source: Reader
    known_at: datetime | None
    scope: str | None
    accounts: pl.LazyFrame

    @classmethod
    def of(cls, source: Reader, known_at: datetime | None = None, portfolio: str | None = None, entity: str | None = None) -> Facts:
        names = {"portfolio": portfolio, "entity": entity}
        asked = {kind: name for kind, name in names.items() if name is not None}
        mine = " AND ".join(["true", *(f"{kind} = ?" for kind in asked)])
        named = source.sql(f"{ACCOUNTS_NAMED} WHERE {mine} ORDER BY account_id", *asked.values())
        accounts = known.labelled(known.recorded(named.lazy(), known_at), source.read(PAST_LABELS).lazy(), known_at)
        return cls(source, known_at, portfolio or entity, accounts.collect().lazy())

    @cached_property
    def postings(self) -> pl.LazyFrame:
        return self.source.read(POSTINGS, f"{self.live} AND {self.mine}").lazy()

    @cached_property
    def openings(self) -> pl.LazyFrame:
        return known.newest(self.source.read(OPENINGS, self.mine).lazy(), ["account_id"], self.known_at).collect().lazy()

    @cached_property
    def watermarks(self) -> pl.LazyFrame:
        mine = self.mine if self.scope is None else f"accounts.{self.mine}"
        return self.source.sql(WATERMARKS.format(known=self._recorded("pulls."), mine=mine)).lazy()

    @cached_property
    def candles(self) -> pl.LazyFrame:
        return self.source.read(CANDLES, self.live).lazy()

    @cached_property
    def coverage(self) -> pl.LazyFrame:
        return known.recorded(self.source.read(CANDLE_COVERAGE).lazy(), self.known_at)

    @cached_property
    def products(self) -> pl.LazyFrame:
        return known.newest(self.source.read(PRODUCTS).lazy(), ["product_id"], self.known_at)

    @cached_property
    def policies(self) -> pl.LazyFrame:
        return known.facts(self.source.read(POLICIES).lazy(), self.known_at)

    @cached_property
    def held(self) -> pl.DataFrame:
        """The accounts with their openings and watermarks."""
        return snapshots.opened(self.openings, self.accounts, self.watermarks)

    @cached_property
    def histories(self) -> Histories:
        return Histories(self.source, self.known_at, self.held, self.mine, self.live)

    @cached_property
    def mine(self) -> str:
        """The condition that keeps to the accounts in scope."""
        return "true" if self.scope is None else among(self.accounts.select("account_id").collect().to_series())

    @property
    def live(self) -> str:
        """The condition of law 8: recorded, and not yet retired."""
        if self.known_at is None:
            return "retired_at IS NULL"
        return f"{self._recorded()} AND (retired_at IS NULL OR retired_at > {moment(self.known_at)})"

    def _recorded(self, of: str = "") -> str:
        return "true" if self.known_at is None else f"{of}recorded_at <= {moment(self.known_at)}"

    def balances(self, days: pl.DataFrame) -> pl.LazyFrame:
        """daily_balances of all accounts in scope on these days."""
        return pl.concat([DAILY_BALANCES.empty(), *(part.rows for part in self.closing(days))]).lazy()

    def closing(self, days: pl.DataFrame, since: pl.DataFrame | None = None) -> Iterator[Part]:
        """daily_balances part by part, with what was proved of them; `since` as in `Histories.closing`."""
        proved = self.proved  # now: while the parts come, another thread reads
        for part in self.histories.closing(days, since):
            yield Part(part.days, completeness.marked(part.rows, proved))

    @cached_property
    def proved(self) -> pl.DataFrame:
        return self.source.read(COMPLETENESS, f"{self.live} AND {self.mine}")

    def prices(self, days: pl.DataFrame) -> pl.LazyFrame:
        """The daily_prices that values rest on, of all assets in scope on these days."""
        return pl.concat([DAILY_PRICES.empty(), *(part.rows for part in self.pricing(days, side_by_side=False))]).lazy()

    def pricing(self, days: pl.DataFrame, among_assets: pl.Series | None = None, side_by_side: bool = True) -> Iterator[Part]:
        """daily_prices part by part, of all assets in scope or of those named."""
        assets = self.accounts.filter(pl.col("asset").is_not_null()).select("asset", "asset_class").unique()
        if among_assets is not None:
            assets = assets.filter(pl.col("asset").is_in(among_assets.implode()))
        assets = assets.collect().lazy()
        at_once = max(CANDLES_AT_ONCE // (24 * max(assets.select(pl.len()).collect().item(), 1)), 1)
        make = prices.side_by_side if side_by_side else prices.daily_prices
        ordered = days.select("calendar", "day", "as_of").sort("as_of")
        for now in ordered.iter_slices(at_once):
            candles = self._candles(now, assets).lazy()
            rows = make(candles, self.coverage, self.products, assets, self.policies, now.lazy(), self._first_known)
            yield Part(now, DAILY_PRICES.conform(rows))

    @cached_property
    def _first_known(self) -> pl.LazyFrame:
        return self.source.sql(FIRST_KNOWN.format(known=self.live)).lazy()

    def _candles(self, days: pl.DataFrame, assets: pl.LazyFrame) -> pl.DataFrame:
        """Candles of these assets' markets in the days' windows, and between them."""
        held = prices.with_aliased(assets, self.policies)
        found = self.products.filter(pl.col("quote") == prices.QUOTE).join(held, left_on="base", right_on="asset", how="semi")
        names = ", ".join(quoted(name) for name in found.select("product_id").collect().to_series()) or "NULL"
        first, last = days["as_of"][0] - LOOKS_BACK, days["as_of"][-1]
        return self.source.read(CANDLES, f"{self.live} AND start >= ? AND start < ? AND product_id IN ({names})", first, last)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
