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
