"""What was known of entries then, what is known now → the entries that came to be known, and those no longer shown. Amounts only.

A row that a venue shows again with another balance after it is the same entry: its amount says nothing new.
"""

from __future__ import annotations

import polars as pl

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


def _counted(postings: pl.LazyFrame) -> pl.LazyFrame:
    ordered = postings.sort("account_id", "occurred_at", "position")
    return ordered.with_columns(nth=pl.int_range(pl.len()).over(SAME))
