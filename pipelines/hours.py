"""What was ever held + what was asked → the hours of each product that are still to be asked for. Reads; asks nobody."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import polars as pl

from pipelines.config import Config
from pipelines.warehouse import Warehouse


def missing_hours(warehouse: Warehouse, config: Config, until: datetime) -> dict[str, list[tuple[datetime, datetime]]]:
    """Product → intervals of hours before `until` that no final answer covers or that are young, for every asset ever held."""
    held = warehouse.sql(_EVER_HELD, datetime.combine(config.book.start, datetime.min.time(), UTC))
    settled = until - timedelta(days=config.prices.refetch_days)
    covered = warehouse.sql(
        "SELECT product_id, since, least(until, ?) AS until FROM candle_coverage WHERE final AND since < ? ORDER BY product_id, since",
        settled,
        settled,
    )
    wanted = {}
    for product, first in held.iter_rows():
        since = (first - timedelta(hours=24)).replace(minute=0, second=0, microsecond=0)
        mine = covered.filter(pl.col("product_id") == product)
        if gaps := list(_gaps(since, until, zip(mine["since"], mine["until"], strict=True))):
            wanted[product] = gaps
    return wanted


def _gaps(since: datetime, until: datetime, covered: Iterable[tuple[datetime, datetime]]) -> Iterable[tuple[datetime, datetime]]:
    for start, end in covered:
        if since < min(start, until):
            yield since, min(start, until)
        since = max(since, end)
    if since < until:
        yield since, until


_EVER_HELD = """
    WITH held AS (
        SELECT account_id, min(occurred_at) AS first FROM postings WHERE retired_at IS NULL GROUP BY account_id
        UNION ALL
        SELECT account_id, greatest(opened_at, ?::TIMESTAMPTZ) FROM openings WHERE kind IN ('DERIVED_LIVE', 'ASSERTED') AND amount <> 0
    )
    , priced AS ( -- what a policy prices as another asset needs the other's hours
        SELECT account_id, asset FROM accounts WHERE asset_class <> 'fiat'
        UNION ALL SELECT account_id, same_as FROM accounts JOIN policies USING (asset) WHERE same_as IS NOT NULL AND retired_at IS NULL
    )
    SELECT product_id, min(first) AS first FROM held JOIN priced USING (account_id)
    JOIN (SELECT DISTINCT product_id, base FROM products WHERE quote = 'USD') ON base = asset
    GROUP BY product_id ORDER BY product_id
"""
