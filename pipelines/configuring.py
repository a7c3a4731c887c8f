"""Configuration → portfolios, calendars, policies, labels and asserted openings in the warehouse; what they change becomes dirty."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import polars as pl

from pipelines import accounts, dirty
from pipelines.book import calendars_of
from pipelines.config import Config
from pipelines.errors import ConfigError
from pipelines.tables import (
    CALENDARS,
    CLOSED_DAYS,
    DAILY_BALANCES,
    DAILY_PRICES,
    DAILY_RATES,
    DAILY_VALUES,
    POLICIES,
    PORTFOLIOS,
    TOLERANCES,
)  # fmt: skip
from pipelines.warehouse import Commit, Warehouse

CONFIGURATION = "configuration"
"""What the commits are called."""
_LOCKED = """
    SELECT DISTINCT calendar FROM decisions AS l WHERE kind = 'LOCK' AND NOT EXISTS (
        SELECT 1 FROM decisions AS r WHERE r.kind = 'REOPEN' AND r.calendar = l.calendar AND r.recorded_at > l.recorded_at
            AND r.day <= (SELECT min(day) FROM closed_days AS c WHERE c.calendar = l.calendar)
    )
"""
"""Calendars of which a day is locked."""


def configure(warehouse: Warehouse, config: Config, at: datetime | None = None, last: Callable[[Commit], object] | None = None) -> None:
    """Bring portfolios, calendars, policies, labels and asserted openings up to the configuration; what they change becomes dirty.

    `last` is done before anything of it holds: what it refuses, nobody configured.
    """
    with warehouse.commit(CONFIGURATION, at) as commit:
        _portfolios(warehouse, commit, config)
        _calendars(warehouse, commit, config)
        _policies(warehouse, commit, config)
        accounts.relabel(warehouse, commit, config)
        accounts.assert_openings(warehouse, commit, config)
        if last is not None:
            last(commit)


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
            | {"portfolio": p.name, "entity": p.entity, "venue": p.venue, "owner": p.owner}
        )
        commit.replace(PORTFOLIOS, PORTFOLIOS.frame([row]), f"portfolio = '{p.name}'")


def _calendars(warehouse: Warehouse, commit: Commit, config: Config) -> None:
    """A calendar keeps its cut-off as long as it has closed days; one that is no longer named takes its days with it."""
    known = warehouse.read(CALENDARS)
    wanted = calendars_of(config)
    closed = warehouse.sql("SELECT DISTINCT calendar FROM closed_days ORDER BY calendar")
    moved = wanted.join(known, on=wanted.columns, how="anti").join(closed, on="calendar", how="semi")
    if moved.height:
        raise ConfigError(
            f"The book has closed days in the calendar {moved['calendar'][0]}, whose time zone or cut-off the configuration changes.",
            "Leave it as it was, and give the new one a new name.",
        )
    dropped = closed.join(wanted, on="calendar", how="anti")["calendar"]
    locked = warehouse.sql(_LOCKED)["calendar"]
    if held := sorted(set(dropped) & set(locked)):
        raise ConfigError(
            f"Days of the calendar {held[0]} are locked, and the configuration no longer names it.",
            "Name it again in [book] calendars, or `closebook reopen` its days first.",
        )
    commit.replace(CALENDARS, wanted)
    for name in dropped:
        for table in (CLOSED_DAYS, DAILY_BALANCES, DAILY_PRICES, DAILY_VALUES, DAILY_RATES):
            commit.replace(table, table.empty(), f"calendar = '{name}'")


def _policies(warehouse: Warehouse, commit: Commit, config: Config) -> None:
    """What the configuration says for the first time is recorded, what it no longer says is retired; nothing is overwritten."""
    before = warehouse.read(POLICIES, "retired_at IS NULL")
    after = POLICIES.frame(p.row | {"recorded_at": commit.recorded_at} for p in config.policy)
    facts = [name for name in POLICIES.schema if name not in ("recorded_at", "retired_at")]
    gone = before.join(after, on=facts, how="anti", nulls_equal=True)
    fresh = after.join(before, on=facts, how="anti", nulls_equal=True)
    commit.retire(POLICIES, gone)
    commit.insert(POLICIES, fresh)
    tolerated = {"method_spread_bps": Decimal(config.prices.spread_tolerance_bps)}
    tolerated |= {f"materiality {currency}": most for currency, most in config.book.materiality.items()}
    commit.replace(TOLERANCES, TOLERANCES.frame({"name": name, "most": most} for name, most in tolerated.items()))
    changed = pl.concat([gone["asset"], fresh["asset"]]).unique(maintain_order=True)
    dirty.since_ever(warehouse, commit, "ASSET", changed, "policy changed")
