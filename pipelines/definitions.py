"""The Dagster entry point. Loads without a configuration; assets then say what is missing."""

import dagster as dg

from pipelines.config import Environment
from pipelines.defs.alerts import closed, failed
from pipelines.defs.assets import ASSETS
from pipelines.defs.checks import candidate_checks
from pipelines.defs.jobs import CLOSE_BOOK, REBUILD_BOOK, every_day
from pipelines.defs.reports import one_statement, pending_reports, report_requests
from pipelines.defs.resources import BookResource

environment = Environment()
book = BookResource(config=str(environment.config.absolute()), home=str(environment.home.absolute()))
defs = dg.Definitions(
    assets=ASSETS,
    asset_checks=[candidate_checks],
    jobs=[CLOSE_BOOK, REBUILD_BOOK, pending_reports, one_statement],
    schedules=[every_day],
    sensors=[report_requests, failed, closed],
    resources={"book": book},
)
