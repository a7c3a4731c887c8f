"""The book at any instant: tables read, stages run. One answer for the CLI, statements, the API and the daily close.

Nothing is written here and nobody is asked; which days must be closed is said by `closing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Protocol

import polars as pl

from pipelines.errors import UsageError
from pipelines.stages import days as day_stage
from pipelines.stages import known, prices, snapshots, statements, valuations
from pipelines.tables import (
    CALENDARS,
    CANDLE_COVERAGE,
    CANDLES,
    OPENINGS,
    POLICIES,
    POSTINGS,
    PRODUCTS,
    PUBLICATIONS,
    Table,
)

ACCOUNTS_NAMED = """
    SELECT account_id, entity, venue, portfolio, native_code, asset, network, asset_class, a.recorded_at
    FROM accounts a JOIN portfolios USING (portfolio)
"""
WATERMARKS = """
    SELECT account_id, read_through, pulls.recorded_at
    FROM pulls JOIN accounts ON kind = 'ACCOUNT' AND pulls.portfolio = accounts.portfolio AND subject = native_code
"""


class Reader(Protocol):
    """A warehouse or a publication."""

    def read(self, table: Table, condition: str = "true", *params: object) -> pl.DataFrame: ...
    def sql(self, query: str, *params: object) -> pl.DataFrame: ...


@dataclass(frozen=True)
class Facts:
    """What is known at K, of the accounts in scope."""

    accounts: pl.LazyFrame
    postings: pl.LazyFrame
    openings: pl.LazyFrame
    watermarks: pl.LazyFrame
    candles: pl.LazyFrame
    coverage: pl.LazyFrame
    products: pl.LazyFrame
    policies: pl.LazyFrame

    @classmethod
    def of(cls, source: Reader, known_at: datetime | None = None, portfolio: str | None = None) -> Facts:
        accounts = known.recorded(source.sql(ACCOUNTS_NAMED).lazy(), known_at).collect()
        if portfolio is not None:
            accounts = accounts.filter(pl.col("portfolio") == portfolio)
        mine = f"account_id IN ({', '.join(map(str, accounts['account_id'])) or 'NULL'})" if portfolio else "true"
        return cls(
            accounts.lazy(),
            known.facts(source.read(POSTINGS, mine).lazy(), known_at),
            known.newest(source.read(OPENINGS, mine).lazy(), ["account_id"], known_at),
            known.newest(source.sql(WATERMARKS).lazy(), ["account_id"], known_at),
            known.facts(source.read(CANDLES).lazy(), known_at),
            known.recorded(source.read(CANDLE_COVERAGE).lazy(), known_at),
            known.newest(source.read(PRODUCTS).lazy(), ["product_id"], known_at),
            source.read(POLICIES).lazy(),
        )

    def balances(self, days: pl.DataFrame) -> pl.LazyFrame:
        return snapshots.daily_balances(self.postings, self.openings, self.accounts, self.watermarks, days.lazy())

    def prices(self, days: pl.DataFrame) -> pl.LazyFrame:
        assets = self.accounts.filter(pl.col("asset").is_not_null()).select("asset", "asset_class").unique("asset")
        return prices.daily_prices(self.candles, self.coverage, self.products, assets, self.policies, days.lazy())


@dataclass(frozen=True)
class Snapshot:
    """The book at one instant: one row per account, and what it was read from."""

    as_of: datetime
    known_at: datetime
    publication_id: int
    rows: pl.DataFrame

    def by_asset(self) -> pl.DataFrame:
        return statements.by_asset(self.rows.lazy()).collect()

    def subtotals(self) -> pl.DataFrame:
        return statements.subtotals(self.rows.lazy()).collect()

    def unpriced(self) -> pl.DataFrame:
        return statements.unpriced(self.rows.lazy()).collect()


def at(source: Reader, as_of: datetime, known_at: datetime | None = None, portfolio: str | None = None) -> Snapshot:
    """The book at any instant, as known at K (default: all the publication knows)."""
    about = source.read(PUBLICATIONS).row(0, named=True)
    _require_portfolio(source, portfolio)
    asked = known_at or about["known_through"]
    facts = Facts.of(source, asked, portfolio)
    instant = day_stage.instant(as_of)
    balances = facts.balances(instant).collect()
    priced = facts.prices(instant).collect()
    values = valuations.daily_values(balances.lazy(), priced.lazy(), facts.accounts)
    rows = statements.by_portfolio(balances.lazy(), values, priced.lazy(), facts.accounts, asked)
    return Snapshot(as_of, asked, about["publication_id"], rows.collect())


def _require_portfolio(source: Reader, portfolio: str | None) -> None:
    names = source.sql("SELECT portfolio FROM portfolios ORDER BY portfolio")["portfolio"].to_list()
    if portfolio is not None and portfolio not in names:
        raise UsageError(f"There is no portfolio {portfolio!r} in this book.", f"It has {', '.join(names)}.")


def instant_of(source: Reader, day: date, calendar: str) -> datetime:
    """The cut-off that ends `day` in one of the book's calendars."""
    calendars = source.read(CALENDARS)
    mine = calendars.filter(pl.col("calendar") == calendar)
    if mine.is_empty():
        raise UsageError(f"The book has no calendar {calendar!r}.", f"It has {', '.join(calendars['calendar'])}.")
    found: datetime = day_stage.days(mine, day, day)["as_of"][0]
    return found


def calendar_frame(calendars: Sequence[tuple[str, str, time]]) -> pl.DataFrame:
    return CALENDARS.frame({"calendar": name, "timezone": zone, "cut_off": cut.strftime("%H:%M")} for name, zone, cut in calendars)


def newest_instants(source: Reader) -> list[datetime]:
    """The cut-off of the newest closed day of each calendar, each instant once."""
    found = source.sql("SELECT DISTINCT max(as_of) AS as_of FROM closed_days GROUP BY calendar ORDER BY as_of")
    return found["as_of"].to_list()
