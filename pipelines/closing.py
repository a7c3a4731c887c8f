"""Configuration and facts → which days must be closed; those days → daily tables. Writes through the warehouse only.

A day is closed again when something it rests on changed; only rows that differ are written.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from pipelines.book import calendars_of
from pipelines.config import Config
from pipelines.errors import UsageError
from pipelines.facts import Facts
from pipelines.histories import Reader, among
from pipelines.pieces import Closed, Piece, write
from pipelines.stages import days as day_stage
from pipelines.stages import ledger, reporting, valuations
from pipelines.tables import (
    ACCOUNTS,
    CALENDARS,
    CLOSED_DAYS,
    DAILY_BALANCES,
    DAILY_PRICES,
    DAILY_RATES,
    DAILY_VALUES,
    DIRTY,
    INSTANT,
    INT,
    PULLS,
    RATES,
    TEXT,
)
from pipelines.warehouse import Commit, Warehouse

QUARTER, YEARS = timedelta(days=91), 30
AT_ONCE = 1_000_000
"""Rows of daily_values in hand at once."""


def note_time(warehouse: Warehouse, at: datetime) -> None:
    """The book's own watermark: how late it is for this run."""
    row = {"kind": "BOOK", "portfolio": "", "subject": "", "read_through": at, "asked_at": at, "batch": ""}
    with warehouse.commit("book time") as commit:
        frame = pl.DataFrame([row], schema={k: v for k, v in PULLS.schema.items() if k != "recorded_at"})
        commit.insert(PULLS, frame, counts=False)


def book_time(warehouse: Reader) -> datetime | None:
    """How late it is in the book; in one rebuilt from the archive, how far its accounts are read. None before the first pull."""
    found = warehouse.sql(
        "SELECT read_through FROM pulls WHERE kind IN ('BOOK', 'ACCOUNT') "
        "ORDER BY kind = 'BOOK' DESC, recorded_at DESC, read_through DESC LIMIT 1"
    )
    return next(iter(found["read_through"]), None)


def to_close(
    warehouse: Warehouse,
    config: Config,
    also: Collection[date] = (),
    through: date | None = None,
    earlier: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Days that are missing, asked for or dirty: calendar, day, as_of, whole, in order. Empty before the first pull.

    `earlier`: days (calendar, day, as_of) outside the book's window that were closed when it lay elsewhere.

    A day that is only dirty is not `whole`: it is closed again for the accounts and assets of which something changed,
    wherever the book's window or `through` ends, so that no day rests on facts that are no more.
    """
    closable = closable_days(warehouse, config, through)
    if earlier is not None and closable.height:
        closable = pl.concat([closable, earlier.filter(_up_to(through))]).unique()
    closed = warehouse.read(CLOSED_DAYS).select("calendar", "day", "as_of")
    missing = closable.join(closed, on=["calendar", "day"], how="anti")
    asked = closable.filter(pl.col("day").is_in(list(also)))
    whole = pl.concat([missing, asked]).unique()
    changed = closed.join_where(
        warehouse.read(DIRTY).select("since", "until"),
        pl.col("as_of") > pl.col("since"),
        pl.col("until").is_null() | (pl.col("as_of") < pl.col("until")),
    ).select(closed.columns)
    part = changed.unique().join(whole, on=["calendar", "day"], how="anti")
    return pl.concat([whole.with_columns(whole=pl.lit(True)), part.with_columns(whole=pl.lit(False))]).sort("as_of", "calendar")


def closable_days(warehouse: Warehouse, config: Config, through: date | None = None) -> pl.DataFrame:
    """Every day of the book whose cut-off has passed: from [book] start to before its end."""
    at = book_time(warehouse)
    if at is None or warehouse.empty(ACCOUNTS):
        return CLOSED_DAYS.empty().select("calendar", "day", "as_of")
    return day_stage.ended(warehouse.read(CALENDARS), config.book.start, config.book.end, at).filter(_up_to(through))


def _up_to(through: date | None) -> pl.Expr:
    return pl.lit(True) if through is None else pl.col("day") <= through


def newest_day(config: Config, at: datetime) -> date:
    """The newest day of the book that has ended in any of its calendars by `at`: the one a run is tagged with."""
    ended = day_stage.ended(calendars_of(config), config.book.start, config.book.end, at)
    if ended.is_empty():
        raise UsageError(f"The first day of the book, {config.book.start}, has not ended yet.", "Set an earlier [book] start, or wait.")
    newest: date = max(ended["day"].to_list())
    return newest


def days_ahead(config: Config) -> int:
    """How many dates, in UTC, a day of the book may end before its own date does; dates of many years tell."""
    sample = [config.book.start + QUARTER * n for n in range(4 * YEARS)]
    ends = pl.concat([day_stage.days(calendars_of(config), day, day) for day in sample])
    dates = [(datetime.combine(day, time(), UTC) + timedelta(days=1), as_of) for day, as_of in ends.select("day", "as_of").iter_rows()]
    early: timedelta = max(end_of_date - as_of for end_of_date, as_of in dates)
    return max(math.ceil(early / timedelta(days=1)), 0)


def close_balances(warehouse: Warehouse, days: pl.DataFrame) -> Closed:
    with warehouse.beside() as beside:
        return write(warehouse, DAILY_BALANCES, days, _balances(Facts.of(beside), *_split(days)))


def _balances(facts: Facts, whole: pl.DataFrame, part: pl.DataFrame) -> Iterator[Piece]:
    changed = _changed_accounts(facts.source)
    for some in facts.closing(part, changed):
        yield Piece.of(DAILY_BALANCES, "account_id", some.days, changed, some.rows)
    for some in facts.closing(whole):
        yield Piece.whole(DAILY_BALANCES, some.days, some.rows)


def close_prices(warehouse: Warehouse, days: pl.DataFrame) -> Closed:
    with warehouse.beside() as beside:
        return write(warehouse, DAILY_PRICES, days, _prices(Facts.of(beside), *_split(days)))


def _prices(facts: Facts, whole: pl.DataFrame, part: pl.DataFrame) -> Iterator[Piece]:
    changed = pl.concat([_changed_assets(facts.source), _assets_let_go(facts.source)])
    for some in facts.pricing(part, changed["asset"]):
        yield Piece.of(DAILY_PRICES, "asset", some.days, changed, some.rows)
    for some in facts.pricing(whole):
        yield Piece.whole(DAILY_PRICES, some.days, some.rows)


def close_values(warehouse: Warehouse, days: pl.DataFrame) -> Closed:
    """The last step: with it the days are closed and no longer dirty."""
    with warehouse.beside() as beside:
        return write(
            warehouse, DAILY_VALUES, days, _values(Facts.of(beside), *_split(days)), last=lambda commit: _done(warehouse, commit, days)
        )


def _values(facts: Facts, whole: pl.DataFrame, part: pl.DataFrame) -> Iterator[Piece]:
    changed = _changed_values(facts.source)
    at_once = max(AT_ONCE // max(facts.held.height, 1), 1)
    for days in part.iter_slices(at_once):
        yield Piece.of(DAILY_VALUES, "account_id", days, changed, _valued(facts, days, among(changed["account_id"])))
    for days in whole.iter_slices(at_once):
        yield Piece.whole(DAILY_VALUES, days, _valued(facts, days))


def _valued(facts: Facts, days: pl.DataFrame, condition: str = "true") -> pl.DataFrame:
    span = days["as_of"].min(), days["as_of"].max()
    held = f"SELECT calendar, day, account_id, as_of, balance FROM daily_balances WHERE as_of BETWEEN ? AND ? AND {condition}"
    frames = facts.source.sql(held, *span), facts.source.read(DAILY_PRICES, "as_of BETWEEN ? AND ?", *span)
    balances, prices = (frame.join(days, on=["calendar", "day"], how="semi", maintain_order="left").lazy() for frame in frames)
    return DAILY_VALUES.conform(valuations.daily_values(balances, prices, facts.accounts))


def _split(days: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Days to be closed for everybody, and for what changed."""
    whole = pl.col("whole") if "whole" in days.columns else pl.lit(True)
    return days.filter(whole), days.filter(~whole)


def _changed_accounts(source: Reader) -> pl.DataFrame:
    """account_id, since: of which account something changed, and from when on."""
    found = source.read(DIRTY, "kind = 'ACCOUNT'").group_by("subject").agg(pl.col("since").min())
    return found.select(account_id=pl.col("subject").cast(INT), since="since").sort("account_id")


def _changed_assets(source: Reader) -> pl.DataFrame:
    """asset, since: what was priced anew, and what changed accounts may hold for the first time."""
    priced = source.read(DIRTY, "kind = 'ASSET'").select(asset="subject", since="since")
    held = source.read(ACCOUNTS).join(_changed_accounts(source), on="account_id").select("asset", "since")
    aliases = source.sql("SELECT DISTINCT same_as, asset AS alias FROM policies WHERE same_as IS NOT NULL").cast(TEXT)
    followers = priced.join(aliases, left_on="asset", right_on="same_as").select(asset="alias", since="since")
    return pl.concat([priced, held, followers]).drop_nulls("asset").group_by("asset").agg(pl.col("since").min()).sort("asset")


def _assets_let_go(source: Reader) -> pl.DataFrame:
    """Assets that have prices, and that no code is mapped to any more."""
    found = source.sql("SELECT DISTINCT asset FROM daily_prices WHERE asset NOT IN (SELECT asset FROM accounts WHERE asset IS NOT NULL)")
    return found.select("asset", since=pl.lit(ledger.EPOCH, INSTANT)).cast({"asset": TEXT})


def _changed_values(source: Reader) -> pl.DataFrame:
    """account_id, since: what changed in its balance or in the price of its asset."""
    by_asset = source.read(ACCOUNTS).join(_changed_assets(source), on="asset").select("account_id", "since")
    return pl.concat([_changed_accounts(source), by_asset]).group_by("account_id").agg(pl.col("since").min()).sort("account_id")


def _done(warehouse: Warehouse, commit: Commit, days: pl.DataFrame) -> None:
    closed = warehouse.read(CLOSED_DAYS)
    new = days.join(closed, on=["calendar", "day"], how="anti").select("calendar", "day", "as_of")
    commit.insert(CLOSED_DAYS, new.with_columns(touched_at=pl.lit(commit.recorded_at, INSTANT)))
    _rate(warehouse, commit)
    _clean(warehouse, commit, days)


def _rate(warehouse: Warehouse, commit: Commit) -> None:
    """The rates of all closed days: few rows, of which those that differ are written."""
    rates = warehouse.read(RATES, "retired_at IS NULL")
    if rates.is_empty() and warehouse.empty(DAILY_RATES):
        return
    currencies = warehouse.sql("SELECT DISTINCT currency FROM daily_prices WHERE currency IS NOT NULL ORDER BY currency")["currency"]
    days = warehouse.read(CLOSED_DAYS).lazy()
    commit.replace(DAILY_RATES, reporting.daily_rates(rates.lazy(), days, currencies.to_list()).collect())


def _clean(warehouse: Warehouse, commit: Commit, days: pl.DataFrame) -> None:
    """Dirty ranges whose every closed day was closed just now are done; others wait for their days."""
    waiting = warehouse.read(CLOSED_DAYS).join(days, on=["calendar", "day"], how="anti").select("as_of")
    dirty = warehouse.read(DIRTY)
    left = dirty.join_where(waiting, pl.col("as_of") > pl.col("since"), pl.col("until").is_null() | (pl.col("as_of") < pl.col("until")))
    kept = dirty.join(left.select(dirty.columns).unique(), on=dirty.columns, how="semi", nulls_equal=True)
    commit.delete(DIRTY, "true")
    commit.insert(DIRTY, kept, counts=False)
