"""Days as Dagster partitions: one tagged day per run, every other closed day logged. Which days, is decided by `closing`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg

from pipelines import closing
from pipelines.config import Config, Environment, load
from pipelines.errors import ConfigError
from pipelines.pieces import Closed

UNCONFIGURED_START = date(2020, 1, 1)


def configured() -> Config | None:
    """The configuration, or None: definitions load without one, and their assets say what is missing."""
    try:
        return load(Environment().config)
    except ConfigError:
        return None


def partitions(config: Config | None) -> dg.DailyPartitionsDefinition:
    """One per label of the book; it exists from the first instant at which a calendar's day of that label may end."""
    start = config.book.start if config else UNCONFIGURED_START
    end = config.book.end.isoformat() if config and config.book.end else None
    return dg.DailyPartitionsDefinition(
        start_date=start.isoformat(), end_date=end, timezone="UTC", end_offset=closing.days_ahead(config) if config else 0
    )


DAYS = partitions(configured())


def report_days(context: dg.AssetExecutionContext, closed: Closed, shown: Mapping[str, Any]) -> dg.MaterializeResult[None]:
    """Facts per day: on the tagged days through this run's own event, which shows the newest day; on every other through one logged."""
    tagged = set(context.partition_keys)
    for day, facts in _facts(closed):
        if day in tagged:
            context.add_asset_metadata(facts, partition_key=day)
        else:
            context.log_event(dg.AssetMaterialization(context.asset_key, partition=day, metadata=facts))
    totals = {
        "days_closed": closed.days["day"].n_unique(),
        "rows_written": closed.replaced.written,
        "rows_removed": closed.replaced.removed,
    }
    return dg.MaterializeResult(metadata=totals | dict(shown))


def _facts(closed: Closed) -> Iterator[tuple[str, dict[str, int]]]:
    """Per day what was closed of it."""
    for row in closed.counts.to_dicts():
        day = row.pop("day")
        yield day.isoformat(), row
