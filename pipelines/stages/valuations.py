"""daily_balances + daily_prices → daily_values. No price is looked up here, and none is made up."""

from __future__ import annotations

import polars as pl

from pipelines.stages import exact
from pipelines.tables import DAILY_VALUES

_KEY = ("calendar", "day", "as_of", "asset")


def daily_values(balances: pl.LazyFrame, prices: pl.LazyFrame, accounts: pl.LazyFrame) -> pl.LazyFrame:
    """One row per row of `balances`: value = balance × price, half-even to 18 places.

    A value that cannot be written takes its price with it, so that a reason stands exactly where no price does.
    """
    balance, price, value, asset = pl.col("balance"), pl.col("price"), pl.col("value"), pl.col("asset")
    overflow = balance.is_not_null() & price.is_not_null() & value.is_null()
    reason = pl.when(asset.is_null()).then(pl.lit("UNMAPPED_ASSET")).when(overflow).then(pl.lit("OUT_OF_RANGE")).otherwise("reason")
    return (
        balances.select("calendar", "day", "account_id", "as_of", "balance")
        .join(accounts.select("account_id", "asset"), on="account_id", how="left")
        .join(prices.select(*_KEY, "price", "price_basis", "currency", "reason"), on=_KEY, how="left")
        .with_columns(value=exact.product(balance, price))
        .with_columns(pl.when(~overflow).then(pl.col("price", "price_basis", "currency")), reason=reason)
        .select(DAILY_VALUES.schema.names())
    )
