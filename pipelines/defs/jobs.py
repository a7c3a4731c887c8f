"""The job that closes the book, and the schedule that starts it. What is missing or dirty is found inside the run."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from pipelines import alerts
from pipelines.closing import newest_day
from pipelines.config import Environment, load
from pipelines.defs.days import DAYS
from pipelines.defs.runs import release_orphans
from pipelines.errors import ConfigError, UsageError
from pipelines.home import Home

CLOSE_BOOK = dg.define_asset_job(
    "close_book",
    selection=dg.AssetSelection.all(),
    executor_def=dg.in_process_executor,
    description="Pull what is new, close every missing or dirty day, check, publish, write statements.",
)

REBUILD_BOOK = dg.define_asset_job(
    "rebuild_book",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets("pages", "candle_pages"),
    executor_def=dg.in_process_executor,
    description="Asks nobody: archive and journal into the warehouse, then every day closed, checked, published.",
)


@dg.schedule(job=CLOSE_BOOK, cron_schedule="20 0 * * *", execution_timezone="UTC", default_status=dg.DefaultScheduleStatus.RUNNING)
def every_day(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Twenty past midnight UTC: closes every missing or dirty day, whatever ticks were missed."""
    environment = Environment()
    at: datetime = context.scheduled_execution_time
    home = Home(environment.home.absolute())
    release_orphans(context.instance, home)
    try:
        config = load(environment.config)
        alerts.remember(home, config.alerts, config.mail)
        day = newest_day(config, at).isoformat()
    except ConfigError:
        day = _latest(at)  # the run fails with the configuration's own sentence, which the history shows and alerts tell
    except UsageError as too_early:
        return dg.SkipReason(str(too_early))
    return dg.RunRequest(run_key=f"{at:%Y-%m-%dT%H:%M}", partition_key=day)


def _latest(at: datetime) -> str:
    """The day a tick is tagged with when no configuration says which days the book has: the newest that was loaded."""
    return DAYS.get_last_partition_key() or (at.astimezone(UTC).date() - timedelta(days=1)).isoformat()
