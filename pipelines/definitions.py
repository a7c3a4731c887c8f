"""The Dagster entry point. Loads without a configuration; assets then say what is missing."""

import dagster as dg

from pipelines.config import Environment
from pipelines.defs.assets import ASSETS
from pipelines.defs.checks import candidate_checks
from pipelines.defs.jobs import CLOSE_BOOK, every_day
from pipelines.defs.resources import BookResource

environment = Environment()
book = BookResource(config=str(environment.config.absolute()), home=str(environment.home.absolute()))
defs = dg.Definitions(assets=ASSETS, asset_checks=[candidate_checks], jobs=[CLOSE_BOOK], schedules=[every_day], resources={"book": book})
