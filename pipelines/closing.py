"""Configuration and facts → which days must be closed; those days → daily tables. Writes through the warehouse only.

A day is closed again when something it rests on changed; only rows that differ are written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime

import polars as pl

from pipelines import labels
from pipelines.book import calendar_frame
from pipelines.config import Config
from pipelines.errors import ConfigError
from pipelines.facts import Facts
from pipelines.histories import Reader, among
from pipelines.pieces import Closed, Piece, write
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
    INSTANT,
    INT,
    POLICIES,
    PORTFOLIOS,
    PULLS,
    TEXT,
)
from pipelines.warehouse import Commit, Warehouse

AT_ONCE = 1_000_000
"""Rows of daily_values in hand at once."""


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
    """Days that are missing, asked for or dirty: calendar, day, as_of, whole, in order. Empty before the first pull.

    A day that is only dirty is not `whole`: it is closed again for the accounts and assets of which something changed.
    """
    closable = closable_days(warehouse, config, through)
    closed = warehouse.read(CLOSED_DAYS)
    dirty = closed.join_where(
        warehouse.read(DIRTY).select("since", "until"),
        pl.col("as_of") > pl.col("since"),
        pl.col("until").is_null() | (pl.col("as_of") < pl.col("until")),
    ).select("calendar", "day")
    missing = closable.join(closed, on=["calendar", "day"], how="anti").select("calendar", "day")
    asked = closable.filter(pl.col("day").is_in(list(also))).select("calendar", "day")
    whole = pl.concat([missing, asked]).unique().with_columns(whole=pl.lit(True))
    return (
        closable.join(whole, on=["calendar", "day"], how="left")
        .with_columns(pl.col("whole").fill_null(False))
        .join(dirty.unique().with_columns(dirty=pl.lit(True)), on=["calendar", "day"], how="left")
        .filter(pl.col("whole") | pl.col("dirty"))
        .drop("dirty")
        .sort("as_of", "calendar")
    )


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
    with warehouse.beside() as beside:
        return write(warehouse, DAILY_BALANCES, days, _balances(Facts.of(beside), *_split(days)))


def _balances(facts: Facts, whole: pl.DataFrame, part: pl.DataFrame) -> Iterator[Piece]:
    changed = _changed_accounts(facts.source)
    for some in facts.histories.closing(part, changed):
        yield Piece.of(DAILY_BALANCES, "account_id", some.days, changed, some.rows)
    for some in facts.histories.closing(whole):
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
    """asset, since: what was priced anew, and what changed accounts may hold for the first time. A new market may change any reason."""
    accounts = source.read(ACCOUNTS)
    priced = source.read(DIRTY, "kind = 'ASSET'").select(asset="subject", since="since")
    if priced.select((pl.col("since") <= ledger.EPOCH).any()).item():
        priced = pl.concat([priced, accounts.select("asset", since=pl.lit(ledger.EPOCH, INSTANT))])
    held = accounts.join(_changed_accounts(source), on="account_id").select("asset", "since")
    return pl.concat([priced, held]).drop_nulls("asset").group_by("asset").agg(pl.col("since").min()).sort("asset")


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
    commit.insert(CLOSED_DAYS, days.join(closed, on=["calendar", "day"], how="anti").select("calendar", "day", "as_of"))
    _clean(warehouse, commit, days)


def _clean(warehouse: Warehouse, commit: Commit, days: pl.DataFrame) -> None:
    """Dirty ranges whose every closed day was closed just now are done; others wait for their days."""
    waiting = warehouse.read(CLOSED_DAYS).join(days, on=["calendar", "day"], how="anti").select("as_of")
    dirty = warehouse.read(DIRTY)
    left = dirty.join_where(waiting, pl.col("as_of") > pl.col("since"), pl.col("until").is_null() | (pl.col("as_of") < pl.col("until")))
    kept = dirty.join(left.select(dirty.columns).unique(), on=dirty.columns, how="semi", nulls_equal=True)
    commit.delete(DIRTY, "true")
    commit.insert(DIRTY, kept, counts=False)
