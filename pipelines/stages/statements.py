"""daily_balances + daily_values + daily_prices → the rows of a statement. How they are written down is `exports`' work.

A row is an account (by portfolio) or an entity's asset (by asset). No total crosses entities, currencies or price bases, and
a total never stands alone: beside it stands the list of what it leaves out.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipelines.stages import exact
from pipelines.stages.snapshots import STATUS_REASONS, in_words
from pipelines.tables import INSTANT

BY_PORTFOLIO = (
    "as_of", "known_at", "entity", "venue", "portfolio", "native_code", "asset", "network", "balance", "pending_balance",
    "price", "price_basis", "currency", "value", "reason", "candle_count", "last_candle_end", "read_through",
    "balance_status", "movements_status", "status_reasons",
)  # fmt: skip
BY_ASSET = (
    "as_of", "known_at", "entity", "asset", "portfolios", "balance", "pending_balance",
    "price", "price_basis", "currency", "value", "reason", "candle_count", "last_candle_end",
    "balance_status", "movements_status", "status_reasons",
)  # fmt: skip
WORST_LAST = ("COMPLETE", "NOT_TESTED", "STALE", "EXCEPTION")

_DAY = ("calendar", "day", "as_of")
_GROUP = ("as_of", "known_at", "entity", "asset")
_SUMS = ("balance", "pending_balance", "value")
_PRICE = ("price", "price_basis", "currency")


def by_portfolio(
    balances: pl.LazyFrame, values: pl.LazyFrame, prices: pl.LazyFrame, accounts: pl.LazyFrame, known_at: datetime
) -> pl.LazyFrame:
    """One row per account of one as-of, accounts at zero included."""
    return (
        balances.join(values.drop("balance"), on=(*_DAY, "account_id"), how="left")
        .join(accounts, on="account_id", how="left")
        .join(prices.select(*_DAY, "asset", "candle_count", last_candle_end="last_end"), on=(*_DAY, "asset"), how="left")
        .with_columns(known_at=pl.lit(known_at, INSTANT))
        .select(BY_PORTFOLIO)
        .sort("entity", "venue", "portfolio", "asset", "native_code", "as_of", nulls_last=True)
    )


def by_asset(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows by portfolio → one row per entity and asset; sums of the rows that have a balance.

    Codes that nothing maps may mean different things: each keeps a row of its own, called venue:native_code.
    """
    own_name = pl.concat_str("venue", "native_code", separator=":")
    return (
        rows.with_columns(asset=pl.coalesce("asset", own_name))
        .group_by(_GROUP)
        .agg(
            *(exact.total(pl.col(name)).alias(name) for name in _SUMS),
            *(pl.col(name).drop_nulls().first() for name in _PRICE),
            *(pl.col(name).max() for name in ("reason", "candle_count", "last_candle_end")),
            *(_worst(name) for name in ("balance_status", "movements_status")),
            *(_any_says(word) for word in STATUS_REASONS),
            *(pl.col(name).count().alias(f"{name}_rows") for name in _SUMS),
            portfolios=pl.struct("venue", "portfolio").n_unique(),
        )
        .with_columns(
            status_reasons=in_words(
                {word: pl.col(word) | _too_large() if word == "OUT_OF_RANGE" else pl.col(word) for word in STATUS_REASONS}
            ),
            reason=pl.coalesce("reason", pl.when(_lost("value")).then(pl.lit("OUT_OF_RANGE"))),
        )
        .with_columns(
            pl.when(pl.col("reason").is_null()).then(pl.col(*_PRICE)),
            value=pl.when(pl.col("reason").is_null() & pl.col("balance").is_not_null()).then("value"),
        )
        .select(BY_ASSET)
        .sort("entity", "asset", "as_of")
    )


def subtotals(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of either kind → the value of those that have one, per entity, currency and price basis, and how many they are."""
    return (
        rows.filter(pl.col("value").is_not_null())
        .group_by("entity", "currency", "price_basis")
        .agg(value=exact.total(pl.col("value")), rows=pl.len())
        .sort("entity", "currency", "price_basis")
    )


def unpriced(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of either kind that the subtotals leave out: no value, and nothing proves that nothing is held."""
    return rows.filter(pl.col("value").is_null() & (pl.col("balance") != 0).fill_null(True))


def _lost(name: str) -> pl.Expr:
    """There was something to add, and the sum is out of range."""
    return pl.col(name).is_null() & (pl.col(f"{name}_rows") > 0)


def _too_large() -> pl.Expr:
    return pl.any_horizontal(_lost(name) for name in _SUMS)


def _worst(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Enum(WORST_LAST)).max().cast(pl.String)


def _any_says(word: str) -> pl.Expr:
    return pl.col("status_reasons").str.split(";").list.contains(word).fill_null(False).any().alias(word)
