"""Days as Dagster partitions: one tagged day per run, every other closed day logged. Which days, is decided by `closing`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import dagster as dg

from pipelines.config import Config, Environment, load
from pipelines.errors import ConfigError, UsageError
from pipelines.pieces import Closed

UNCONFIGURED_START = date(2020, 1, 1)


def configured() -> Config | None:
    """The configuration, or None: definitions load without one, and their assets say what is missing."""
    try:
        return load(Environment().config)
    except ConfigError:
        return None


def partitions(config: Config | None) -> dg.DailyPartitionsDefinition:
    start = config.book.start if config else UNCONFIGURED_START
    end = config.book.end.isoformat() if config and config.book.end else None
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), end_date=end, timezone="UTC")


DAYS = partitions(configured())


def newest_day(config: Config, at: datetime) -> date:
    """The newest day of the book that has ended in UTC by `at`: the one a run is tagged with."""
    last = at.date() - timedelta(days=1)
    newest = min(last, config.book.end - timedelta(days=1)) if config.book.end else last
    if newest < config.book.start:
        raise UsageError(f"The first day of the book, {config.book.start}, has not ended yet.", "Set an earlier [book] start, or wait.")
    return newest


def report_days(context: dg.AssetExecutionContext, closed: Closed) -> dg.MaterializeResult[None]:
    """Facts per day: on the tagged days through this run's own event, on every other day through one that is logged."""
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
    return dg.MaterializeResult(metadata=totals)


def _facts(closed: Closed) -> Iterator[tuple[str, dict[str, int]]]:
    """Per day what was closed of it."""
    for row in closed.counts.to_dicts():
        day = row.pop("day")
        yield day.isoformat(), row
