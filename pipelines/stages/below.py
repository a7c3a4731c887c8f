"""What stands below the balances + daily_prices → valued lines, and second totals with them. It is in no balance and in no first total."""

from __future__ import annotations

import polars as pl

from pipelines.stages import exact, totals

ADJUSTED = ("entity", "portfolio", "native_code", "asset", "units", "price", "price_basis", "currency", "value", "reason")
PARTS = ("in_transit", "adjusted")
TOTALS = ("value", *PARTS, "second_total")
_GROUP = ("entity", "currency")


def adjusted(adjustments: pl.LazyFrame, accounts: pl.LazyFrame, prices: pl.LazyFrame) -> pl.LazyFrame:
    """What adjustments add to each account, at the price of its asset; values also as printed."""
    key = ("portfolio", "native_code")
    sums = adjustments.group_by(key).agg(units=exact.total(pl.col("amount")))
    named = sums.join(accounts.select("entity", *key, "asset"), on=key)
    priced = named.join(prices.select("asset", "price", "price_basis", "currency", "reason"), on="asset", how="left")
    valued = priced.with_columns(value=exact.product(pl.col("units"), pl.col("price")))
    return totals.printed(valued.select(ADJUSTED)).sort("entity", *key)


def second_totals(whole: pl.LazyFrame, **parts: pl.LazyFrame) -> pl.LazyFrame:
    """Totals of an entity and currency, what stands below them, and all together; only where something does."""
    first = whole.filter(pl.all_horizontal(pl.col(c).is_null() for c in ("portfolio", "price_basis"))).select(*_GROUP, "value")
    sums = {name: _sum(lines, name) for name, lines in parts.items()}
    both = pl.concat([rows.select(_GROUP) for rows in sums.values()]).unique().join(first, on=_GROUP, how="left")
    for rows in sums.values():
        both = both.join(rows, on=_GROUP, how="left")
    filled = both.with_columns(pl.exclude(_GROUP).fill_null(0))
    summed = filled.with_columns(second_total=exact.in_range(pl.sum_horizontal("value", *PARTS)))
    return totals.printed(summed.select(*_GROUP, *TOTALS), **{f"printed_{name}": name for name in TOTALS}).sort(_GROUP)


def _sum(lines: pl.LazyFrame, name: str) -> pl.LazyFrame:
    return lines.filter(pl.col("value").is_not_null()).group_by(_GROUP).agg(exact.total(pl.col("value")).alias(name))
