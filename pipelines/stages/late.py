"""What was known of entries then, what is known now → the entries that came to be known, and those no longer shown. Amounts only.

A row that a venue shows again with another balance after it is the same entry: its amount says nothing new.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipelines.stages import exact
from pipelines.tables import INSTANT

_NAMED = ["portfolio", "native_code"]
SAME = ("account_id", "occurred_at", "event_type", "amount")
"""By these an entry is told from another one; alike ones are counted."""


def entries(then: pl.LazyFrame, now: pl.LazyFrame) -> pl.LazyFrame:
    """Postings known then and now → late ones with their amount, and withdrawn ones with the opposite; `amount` adds up to the change."""
    one, other = _counted(then), _counted(now)
    key = [*SAME, "nth"]
    columns = ("account_id", "occurred_at", "position", "event_id", "event_type", "amount", "recorded_at")
    came = other.join(one, on=key, how="anti").select(*columns, withdrawn=pl.lit(False))
    went = one.join(other, on=key, how="anti").select(*columns, withdrawn=pl.lit(True)).with_columns(amount=-pl.col("amount"))
    return pl.concat([came, went]).sort("account_id", "occurred_at", "position", "withdrawn")


def rest(rows: pl.DataFrame, listed: pl.DataFrame, since: datetime, known_at: datetime) -> pl.DataFrame:
    """A line for each account whose `prior_period` its listed entries do not add up to: what it opened with, or whose it is, is another."""
    sums = listed.lazy().group_by(_NAMED).agg(listed=exact.total(pl.col("amount"))).collect()
    left = rows.join(sums, on=_NAMED, how="left", maintain_order="left").with_columns(
        amount=pl.col("prior_period").fill_null(0) - pl.col("listed").fill_null(0)
    )
    return left.filter(pl.col("amount") != 0).select(
        *_NAMED,
        pl.lit(since, INSTANT).alias("occurred_at"),
        pl.lit("opening").alias("event_type"),
        "amount",
        pl.lit(known_at, INSTANT).alias("recorded_at"),
        pl.lit(False).alias("withdrawn"),
    )


def _counted(postings: pl.LazyFrame) -> pl.LazyFrame:
    ordered = postings.sort("account_id", "occurred_at", "position")
    return ordered.with_columns(nth=pl.int_range(pl.len()).over(SAME))
