"""Facts with their two clocks → the facts as known at an instant. When they hold is another stage's business.

A fact counts at K iff `recorded_at <= K < retired_at`; K = None is the newest knowledge.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl


def recorded(rows: pl.LazyFrame, at: datetime | None) -> pl.LazyFrame:
    """Rows of a table that only grows (candle_coverage, suspense), recorded up to `at`."""
    return rows if at is None else rows.filter(pl.col("recorded_at") <= at)


def facts(facts: pl.LazyFrame, at: datetime | None) -> pl.LazyFrame:
    """Postings or candles that were recorded, and not yet retired, at `at`."""
    retired = pl.col("retired_at")
    return recorded(facts, at).filter(retired.is_null() if at is None else retired.is_null() | (at < retired))


def newest(versions: pl.LazyFrame, key: Sequence[str], at: datetime | None) -> pl.LazyFrame:
    """The version in force at `at`: per key, the newest recorded up to it (openings, products, pulls)."""
    in_force = pl.col("recorded_at") == pl.col("recorded_at").max().over(list(key))
    return recorded(versions, at).filter(in_force)


def labelled(accounts: pl.LazyFrame, past_labels: pl.LazyFrame, at: datetime | None) -> pl.LazyFrame:
    """Accounts with the asset, network and class they were mapped to at `at`: the first label that was retired after it."""
    if at is None:
        return accounts
    columns = ("asset", "network", "asset_class")
    first = pl.col("retired_at") == pl.col("retired_at").min().over("account_id")
    then = past_labels.filter(pl.col("retired_at") > at).filter(first).select("account_id", pl.col(columns).name.prefix("was_"), was=True)
    was = pl.col("was").is_not_null()
    return (
        accounts.join(then, on="account_id", how="left", maintain_order="left")
        .with_columns(pl.when(was).then(f"was_{name}").otherwise(name).alias(name) for name in columns)
        .select(accounts.collect_schema().names())
    )
