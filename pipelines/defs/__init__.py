"""The asset graph: the only code that imports Dagster. What a step does lives elsewhere."""

import warnings

import dagster as dg

warnings.filterwarnings("ignore", category=dg.BetaWarning)  # backfill policies; the lock file holds the version they were tried with
