"""What every command imports and is slow to import: once, in the server that forks them. Nothing of ours that reads the environment."""

import os

os.environ["GX_ANALYTICS_ENABLED"] = "false"

import dagster  # noqa: F401
import duckdb_engine  # noqa: F401
import great_expectations
import great_expectations.expectations  # noqa: F401

import pipelines.cli
import pipelines.pull
import pipelines.statements  # noqa: F401
