"""What changed, and from when on → ranges noted in `dirty`. Which days they touch, and when those are clean, is `closing`'s work."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from pipelines.stages import ledger
from pipelines.tables import CLOSED_DAYS, DIRTY, INSTANT, TEXT
from pipelines.warehouse import Commit, Warehouse


def mark(warehouse: Warehouse, commit: Commit, kind: str, ranges: pl.DataFrame, cause: str) -> None:
    """Note ranges (subject, since, perhaps until) that touch a closed day; what was never closed is missing, not dirty."""
    newest = warehouse.sql(f"SELECT max(as_of) AS at FROM {CLOSED_DAYS.name}")["at"][0]
    if newest is None or ranges.is_empty():
        return
    touched = ranges.filter(pl.col("since") < newest).select(
        kind=pl.lit(kind),
        subject=pl.col("subject").cast(TEXT),
        since=pl.col("since").cast(INSTANT),
        until=(pl.col("until") if "until" in ranges.columns else pl.lit(None)).cast(INSTANT),
        cause=pl.lit(cause),
    )
    commit.insert(DIRTY, touched.unique(["kind", "subject", "since"], maintain_order=True), counts=False)


def since_ever(warehouse: Warehouse, commit: Commit, kind: str, subjects: Iterable[object], cause: str) -> None:
    """Note that all that was closed of these subjects rests on something that changed."""
    named = pl.DataFrame({"subject": [str(s) for s in subjects]}, schema={"subject": TEXT})
    mark(warehouse, commit, kind, named.with_columns(since=pl.lit(ledger.EPOCH, INSTANT)), cause)
