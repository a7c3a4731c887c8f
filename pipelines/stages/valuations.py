"""daily_balances + daily_prices → daily_values. No price is looked up here, and none is made up."""

from __future__ import annotations

import polars as pl

from pipelines.stages import exact
from pipelines.tables import DAILY_VALUES, METHOD

SURELY = 9e17
"""A float estimate below this says that the product is in range, whatever its sixteenth digit."""

_KEY = ("calendar", "day", "as_of", "asset")


def daily_values(balances: pl.LazyFrame, prices: pl.LazyFrame, accounts: pl.LazyFrame) -> pl.LazyFrame:
    """One row per row of `balances`: value = balance × price, half-even to 18 places.

    A value that cannot be written takes its price with it, so that a reason stands exactly where no price does.
    """
    asset = pl.col("asset")
    priced = prices.filter(pl.col("method") == METHOD).select(*_KEY, "price", "price_basis", "currency", "reason")
    held = (
        balances.select("calendar", "day", "account_id", "as_of", "balance")
        .join(accounts.select("account_id", "asset"), on="account_id", how="left", maintain_order="left")
        .join(priced, on=_KEY, how="left", maintain_order="left")
        .collect()
    )
    overflow = pl.col("balance").is_not_null() & pl.col("price").is_not_null() & pl.col("value").is_null()
    reason = pl.when(asset.is_null()).then(pl.lit("UNMAPPED_ASSET")).when(overflow).then(pl.lit("OUT_OF_RANGE")).otherwise("reason")
    return (
        held.lazy()
        .with_columns(value=_product(held))
        .with_columns(pl.when(~overflow).then(pl.col("price", "price_basis", "currency")), reason=reason)
        .select(DAILY_VALUES.schema.names())
    )


def _product(held: pl.DataFrame) -> pl.Expr:
    """balance × price; where the largest of them fit, nobody need ask row by row."""
    balance, price = pl.col("balance"), pl.col("price")
    largest = held.select(balance.abs().max().cast(pl.Float64) * price.abs().max().cast(pl.Float64)).item()
    return balance * price if (largest or 0.0) < SURELY else exact.product(balance, price)
