"""The job that closes the book, and the schedule that starts it. What is missing or dirty is found inside the run."""

from datetime import datetime

import dagster as dg

from pipelines.closing import newest_day
from pipelines.config import Environment, load
from pipelines.defs.runs import release_orphans
from pipelines.errors import ClosebookError
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
    release_orphans(context.instance, Home(environment.home))
    at: datetime = context.scheduled_execution_time
    try:
        day = newest_day(load(environment.config), at)
    except ClosebookError as error:
        return dg.SkipReason(str(error))
    return dg.RunRequest(run_key=f"{at:%Y-%m-%dT%H:%M}", partition_key=day.isoformat())
