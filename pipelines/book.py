"""The book at any instant: tables read, stages run. One answer for the CLI, statements, the API and the daily close.

Nothing is written here and nobody is asked; which days must be closed is said by `closing`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime

import polars as pl

from pipelines.config import Config
from pipelines.errors import UsageError
from pipelines.facts import Facts
from pipelines.histories import Reader
from pipelines.stages import days as day_stage
from pipelines.stages import known, reporting, statements, valuations
from pipelines.tables import CALENDARS, PUBLICATIONS, RATES

__all__ = ["Facts", "Reader", "Snapshot", "at", "calendars_of", "instant_of", "newest_instants", "reported"]


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

    def in_reporting_currency(self) -> pl.DataFrame:
        """Of a book that was `reported`."""
        return reporting.in_reporting_currency(self.rows)

    def unpriced(self) -> pl.DataFrame:
        return statements.unpriced(self.rows.lazy()).collect()


def at(
    source: Reader, as_of: datetime, known_at: datetime | None = None, portfolio: str | None = None, entity: str | None = None
) -> Snapshot:
    """The book at any instant, as known at K (default: all the publication knows)."""
    about = source.read(PUBLICATIONS).row(0, named=True)
    for kind, name in (("portfolio", portfolio), ("entity", entity)):
        _require(source, kind, name)
    asked = known_at or about["known_through"]
    facts = Facts.of(source, asked, portfolio, entity)
    instant = day_stage.instant(as_of)
    balances = facts.balances(instant).collect()
    priced = facts.prices(instant).collect()
    values = valuations.daily_values(balances.lazy(), priced.lazy(), facts.accounts)
    rows = statements.by_portfolio(balances.lazy(), values, priced.lazy(), facts.accounts, asked)
    return Snapshot(as_of, asked, about["publication_id"], rows.collect())


def reported(source: Reader, found: Snapshot) -> Snapshot:
    """The same book with each value told in the reporting currency beside its own."""
    rates = known.facts(source.read(RATES).lazy(), found.known_at)
    if rates.limit(1).collect().is_empty():
        raise UsageError("This book knows no rates.", "Configure [book] reporting_currency and [[rates]], then run again.")
    currencies = found.rows["currency"].drop_nulls().unique().sort().to_list()
    told = reporting.daily_rates(rates, day_stage.instant(found.as_of).lazy(), currencies)
    return replace(found, rows=reporting.beside(found.rows.lazy(), told).collect())


def _require(source: Reader, kind: str, name: str | None) -> None:
    names = sorted(set(source.sql(f"SELECT {kind} FROM portfolios")[kind]))
    if name is not None and name not in names:
        raise UsageError(f"There is no {kind} {name!r} in this book.", f"It has {', '.join(names)}.")


def instant_of(source: Reader, day: date, calendar: str) -> datetime:
    """The cut-off that ends `day` in one of the book's calendars."""
    calendars = source.read(CALENDARS)
    mine = calendars.filter(pl.col("calendar") == calendar)
    if mine.is_empty():
        raise UsageError(f"The book has no calendar {calendar!r}.", f"It has {', '.join(calendars['calendar'])}.")
    found: datetime = day_stage.days(mine, day, day)["as_of"][0]
    return found


def calendars_of(config: Config) -> pl.DataFrame:
    """The calendars the book is closed in."""
    return CALENDARS.frame({"calendar": c.name, "timezone": c.timezone, "cut_off": f"{c.cut_off:%H:%M}"} for c in config.calendars())


def newest_instants(source: Reader) -> list[datetime]:
    """The cut-off of the newest closed day of each calendar, each instant once."""
    found = source.sql("SELECT DISTINCT max(as_of) AS as_of FROM closed_days GROUP BY calendar ORDER BY as_of")
    return found["as_of"].to_list()
