"""transfers + daily_prices → what was on the way at an instant: lines below the balances, in no portfolio's balance.

Units are those that were sent. Nothing is matched here, and no price is made up.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipelines.stages import exact, totals, transfers
from pipelines.tables import INSTANT

LINES = (
    "entity", "asset", "units", "sent_by", "sent_code", "sent_at", "received_by", "received_code", "received_at",
    "price", "price_basis", "currency", "value", "reason",
)  # fmt: skip


def lines(found: pl.LazyFrame, accounts: pl.LazyFrame, prices: pl.LazyFrame, as_of: datetime) -> pl.LazyFrame:
    """One line per transfer that was sent before the instant and not received by then; values also as printed."""
    on_the_way = transfers.in_transit(found, pl.lit(as_of, INSTANT)).rename({"sent_by": "sender", "received_by": "receiver"})
    priced = prices.select("asset", "price", "price_basis", "currency", "reason")
    told = (
        on_the_way.join(_named(accounts, "sent"), left_on="sender", right_on="account_id")
        .join(_named(accounts, "received"), left_on="receiver", right_on="account_id", how="left")
        .join(priced, on="asset", how="left")
        .with_columns(units=pl.col("sent"), value=exact.product(pl.col("sent"), pl.col("price")))
    )
    return totals.printed(told.select(LINES)).sort("entity", "asset", "sent_at", "sent_by", "sent_code")


def _named(accounts: pl.LazyFrame, end: str) -> pl.LazyFrame:
    return accounts.select("account_id", pl.col("portfolio").alias(f"{end}_by"), pl.col("native_code").alias(f"{end}_code"))
