"""Configuration and facts → which days must be closed; those days → daily tables. Writes through the warehouse only.

A day is closed again when something it rests on changed; only rows that differ are written.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime

import polars as pl

from pipelines import labels
from pipelines.book import Facts, calendar_frame
from pipelines.config import Config
from pipelines.errors import ConfigError
from pipelines.stages import days as day_stage
from pipelines.stages import ledger, valuations
from pipelines.tables import (
    ACCOUNTS,
    CALENDARS,
    CLOSED_DAYS,
    DAILY_BALANCES,
    DAILY_PRICES,
    DAILY_VALUES,
    DIRTY,
    POLICIES,
    PORTFOLIOS,
    PULLS,
    Table,
)
from pipelines.warehouse import Commit, Replaced, Warehouse

IN_CLOSING = "(calendar, day) IN (SELECT calendar, day FROM closing)"


@dataclass(frozen=True)
class Closed:
    """What closing days did to one table."""

    days: pl.DataFrame
    rows: pl.DataFrame
    replaced: Replaced


def configure(warehouse: Warehouse, config: Config) -> None:
    """Bring portfolios, calendars, policies and labels up to the configuration; what they change becomes dirty."""
    with warehouse.commit("configuration") as commit:
        _portfolios(warehouse, commit, config)
        commit.replace(CALENDARS, calendar_frame([(c.name, c.timezone, c.cut_off) for c in config.calendars()]))
        _policies(warehouse, commit, config)
        _relabel(warehouse, commit, config)


def _portfolios(warehouse: Warehouse, commit: Commit, config: Config) -> None:
    known = warehouse.read(PORTFOLIOS)
    names = {p.name for p in config.portfolio}
    if known.height and not names & set(known["portfolio"]):
        raise ConfigError(
            f"The home holds the book of {', '.join(known['portfolio'])}; the configuration names none of them.",
            "Name the book's own home with --home.",
        )
    before = {row["portfolio"]: row for row in known.to_dicts()}
    for p in config.portfolio:
        if (row := before.get(p.name)) and row["venue"] != p.venue:
            raise ConfigError(f"Portfolio {p.name} is bound to {row['venue']}, not {p.venue}.", "Give the new one a new name.")
        row = (
            {"venue_id": None, "recorded_at": commit.recorded_at}
            | (row or {})
            | {"portfolio": p.name, "entity": p.entity, "venue": p.venue}
        )
        commit.replace(PORTFOLIOS, PORTFOLIOS.frame([row]), f"portfolio = '{p.name}'")


def _policies(warehouse: Warehouse, commit: Commit, config: Config) -> None:
    rows = [
        {
            "asset": p.asset,
            "exclude": p.exclude,
            "price": p.price,
            "currency": p.currency,
            "since": p.since,
            "until": p.until,
            "approver": p.approver,
        }
        for p in config.policy
    ]
    before, after = warehouse.read(POLICIES), POLICIES.frame(rows)
    commit.replace(POLICIES, after)
    changed = pl.concat(
        [
            before.join(after, on=before.columns, how="anti", nulls_equal=True),
            after.join(before, on=before.columns, how="anti", nulls_equal=True),
        ]
    )
    _dirty(commit, "ASSET", changed["asset"].unique().to_list(), "policy changed")


def _relabel(warehouse: Warehouse, commit: Commit, config: Config) -> None:
    accounts = warehouse.read(ACCOUNTS)
    venues = warehouse.read(PORTFOLIOS).select("portfolio", "venue")
    known = labels.Map.of(config, warehouse)
    named = accounts.join(venues, on="portfolio", maintain_order="left")
    parts = [named.filter(pl.col("venue") == v) for v in sorted(set(named["venue"]))]
    relabelled = pl.concat(
        [ACCOUNTS.empty(), *(p.with_columns(labels.columns(p["venue"][0], p["native_code"], known)).drop("venue") for p in parts)]
    )
    commit.replace(ACCOUNTS, relabelled)
    changed = relabelled.join(accounts, on=accounts.columns, how="anti", nulls_equal=True)
    _dirty(commit, "ACCOUNT", changed["account_id"].to_list(), "label changed")


def _dirty(commit: Commit, kind: str, subjects: Collection[object], cause: str) -> None:
    rows = [{"kind": kind, "subject": str(s), "since": ledger.EPOCH, "cause": cause, "recorded_at": commit.recorded_at} for s in subjects]
    commit.insert(DIRTY, DIRTY.frame(rows), counts=False)


def note_time(warehouse: Warehouse, at: datetime) -> None:
    """The book's own watermark: how late it is for this run."""
    row = {"kind": "BOOK", "portfolio": "", "subject": "", "read_through": at, "asked_at": at, "batch": ""}
    with warehouse.commit("book time") as commit:
        frame = pl.DataFrame([row], schema={k: v for k, v in PULLS.schema.items() if k != "recorded_at"})
        commit.insert(PULLS, frame, counts=False)


def book_time(warehouse: Warehouse) -> datetime | None:
    """How late it is in the book; None before the first pull."""
    found = warehouse.sql("SELECT read_through FROM pulls WHERE kind = 'BOOK' ORDER BY recorded_at DESC LIMIT 1")
    return next(iter(found["read_through"]), None)


def to_close(warehouse: Warehouse, config: Config, also: Collection[date] = (), through: date | None = None) -> pl.DataFrame:
    """Days that are missing or dirty, or asked for: calendar, day, as_of, in order. Empty before the first pull."""
    closable = closable_days(warehouse, config, through)
    closed = warehouse.read(CLOSED_DAYS)
    dirty = closed.join_where(
        warehouse.read(DIRTY).select("since", "until"),
        pl.col("as_of") > pl.col("since"),
        pl.col("until").is_null() | (pl.col("as_of") < pl.col("until")),
    ).select("calendar", "day")
    missing = closable.join(closed, on=["calendar", "day"], how="anti").select("calendar", "day")
    asked = closable.filter(pl.col("day").is_in(list(also))).select("calendar", "day")
    return closable.join(pl.concat([dirty, missing, asked]).unique(), on=["calendar", "day"], how="semi").sort("as_of", "calendar")


def closable_days(warehouse: Warehouse, config: Config, through: date | None = None) -> pl.DataFrame:
    """Every day of the book whose cut-off has passed: from [book] start to before its end."""
    at = book_time(warehouse)
    if at is None or warehouse.empty(ACCOUNTS):
        return CLOSED_DAYS.empty().select("calendar", "day", "as_of")
    last = min(d for d in (at.astimezone(UTC).date(), config.book.end, through) if d is not None)
    every = day_stage.days(warehouse.read(CALENDARS), config.book.start, max(last, config.book.start))
    before_end = pl.lit(True) if config.book.end is None else pl.col("day") < config.book.end
    return every.filter(before_end & (pl.col("as_of") <= at) & (pl.col("day") <= last))


def close_balances(warehouse: Warehouse, days: pl.DataFrame) -> Closed:
    return _replace(warehouse, DAILY_BALANCES, days, Facts.of(warehouse).balances(days))


def close_prices(warehouse: Warehouse, days: pl.DataFrame) -> Closed:
    return _replace(warehouse, DAILY_PRICES, days, Facts.of(warehouse).prices(days))


def close_values(warehouse: Warehouse, days: pl.DataFrame) -> Closed:
    """The last step: with it the days are closed and no longer dirty."""
    balances, prices = (_of_days(warehouse, t, days) for t in (DAILY_BALANCES, DAILY_PRICES))
    frame = valuations.daily_values(balances, prices, Facts.of(warehouse).accounts)
    return _replace(warehouse, DAILY_VALUES, days, frame, final=True)


def _of_days(warehouse: Warehouse, table: Table, days: pl.DataFrame) -> pl.LazyFrame:
    first, last = days["as_of"].min(), days["as_of"].max()
    return warehouse.read(table, "as_of BETWEEN ? AND ?", first, last).join(days, on=["calendar", "day"], how="semi").lazy()


def _replace(warehouse: Warehouse, table: Table, days: pl.DataFrame, frame: pl.LazyFrame, final: bool = False) -> Closed:
    rows = table.conform(frame)
    with warehouse.commit(f"close {table.name}") as commit:
        replaced = commit.replace(table, rows, IN_CLOSING, days)
        if final:
            closed = warehouse.read(CLOSED_DAYS)
            commit.insert(CLOSED_DAYS, days.join(closed, on=["calendar", "day"], how="anti").select("calendar", "day", "as_of"))
            _clean(warehouse, commit, days)
    return Closed(days, rows, replaced)


def _clean(warehouse: Warehouse, commit: Commit, days: pl.DataFrame) -> None:
    """Dirty ranges whose every closed day was closed just now are done; others wait for their days."""
    waiting = warehouse.read(CLOSED_DAYS).join(days, on=["calendar", "day"], how="anti").select("as_of")
    dirty = warehouse.read(DIRTY)
    left = dirty.join_where(waiting, pl.col("as_of") > pl.col("since"), pl.col("until").is_null() | (pl.col("as_of") < pl.col("until")))
    kept = dirty.join(left.select(dirty.columns).unique(), on=dirty.columns, how="semi", nulls_equal=True)
    commit.delete(DIRTY, "true")
    commit.insert(DIRTY, kept, counts=False)
