"""Starting a run from a command, and clearing away runs whose process is gone."""

from __future__ import annotations

import logging
import os
import time
import uuid
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterError, DagsterRunStatus

from pipelines.errors import ClosebookError
from pipelines.home import Home, lives, locked, sign_of_life, write_atomically

DAGSTER_YAML = b"""\
# Written by Closebook; delete it to have it written again.
telemetry: {enabled: false}
nux: {enabled: false}
storage: {sqlite: {base_dir: {env: DAGSTER_HOME}}}
concurrency: {runs: {max_concurrent_runs: 1}, pools: {granularity: op}}
run_monitoring: {enabled: true, start_timeout_seconds: 180}
freshness: {enabled: true}
"""
BEGUN = [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
GRACE = 30.0  # seconds a daemon's run may take from its start to its sign of life


@dataclass
class Report:
    """What a run did, for the command that started it."""

    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed_checks: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    broken_steps: dict[str, str] = field(default_factory=dict)
    stopped: str = ""
    """What ended the run itself, where no step did: a configuration that cannot be read, a book that is held."""

    @property
    def blocked(self) -> bool:
        return any(facts.get("weight") == "BLOCK" for _, facts in self.failed_checks)

    @property
    def not_pulled(self) -> list[dict[str, str]]:
        return [e for asset in ("pages", "postings", "candle_pages", "candles") for e in self.facts.get(asset, {}).get("errors", [])]


def prepare(home: Home, config: Path) -> None:
    """Dagster's home is the book's own, made by one process before others meet in it; definitions are those of this configuration."""
    os.environ |= {
        "DAGSTER_HOME": str(home.dagster.resolve()),
        "CLOSEBOOK_CONFIG": str(config.absolute()),
        "CLOSEBOOK_HOME": str(home.root),
    }
    with locked(home.dagster / "prepare.lock"):
        if not (home.dagster / "dagster.yaml").exists():
            write_atomically(home.dagster / "dagster.yaml", DAGSTER_YAML)
            dg.DagsterInstance.get().dispose()  # its databases are made here: two processes at once would trip over each other


def release_orphans(instance: dg.DagsterInstance, home: Home, grace: float = GRACE) -> int:
    """Fail the runs whose process is gone: nothing else would ever end them, and they hold up every later one."""
    released = 0
    for record in instance.get_run_records(dg.RunsFilter(statuses=BEGUN)):
        run = record.dagster_run
        if not lives(home, run.run_id) and time.time() - record.update_timestamp.timestamp() > grace:
            instance.report_run_failed(run, "Its process is gone; nothing it wrote was published.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            (home.runs / run.run_id).unlink(missing_ok=True)
            released += 1
    return released


def close_book(home: Home, config: Path, day: date, through: date | None, anew: bool = False) -> Report:
    """One run in this process; `anew`: asking nobody, from archive and journal.

    ClosebookError as it was raised; failed checks are in the report.
    """
    prepare(home, config)
    logging.getLogger("dagster._core.execution.plan.active").setLevel(logging.ERROR)  # a skipped candidate has no check results
    with dg.DagsterInstance.get() as instance:
        release_orphans(instance, home, grace=0 if not _daemon_lives(instance) else GRACE)
        run_id = str(uuid.uuid4())
        ends = through.isoformat() if through else ""
        book = {"config": str(config), "home": str(home.root), "through": ends, "anew": anew}
        with sign_of_life(home, run_id):  # before anybody can see the run, and take it for one whose process is gone
            failure = _execute(instance, run_id, "rebuild_book" if anew else "close_book", book, day)
        ended = report(instance, run_id)
    if failure is not None and not ended.failed_checks:
        raise failure
    return ended


def _daemon_lives(instance: dg.DagsterInstance) -> bool:
    return any(
        status.last_heartbeat and time.time() - status.last_heartbeat.timestamp < 60 for status in instance.get_daemon_statuses().values()
    )


def _execute(instance: dg.DagsterInstance, run_id: str, name: str, book: dict[str, Any], day: date) -> BaseException | None:
    from pipelines.definitions import defs

    run_config = {"resources": {"book": {"config": book}}, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    job = defs.resolve_job_def(name)
    try:
        job.execute_in_process(run_config=run_config, instance=instance, partition_key=day.isoformat(), run_id=run_id)
    except (ClosebookError, DagsterError) as error:
        return _cause(error)
    return None


def _cause(error: BaseException) -> BaseException:
    """Our own error inside Dagster's wrapping, or the wrapping where it is not ours."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, ClosebookError):
            return inner
        inner = inner.__cause__
    return error


def report(instance: dg.DagsterInstance, run_id: str) -> Report:
    """Each asset's own facts (not those of single days), the checks that did not pass, the steps that broke and the error behind it."""
    found = Report()
    for event in (entry.dagster_event for entry in instance.all_logs(run_id)):
        if event is not None and event.is_step_materialization and event.asset_key is not None:
            facts = _plain(event.step_materialization_data.materialization.metadata)
            if event.partition is None or "days_closed" in facts:
                found.facts[event.asset_key.path[-1]] = facts
        elif event is not None and event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            if not evaluation.passed:
                found.failed_checks.append((evaluation.check_name, _plain(evaluation.metadata)))
        elif event is not None and event.is_step_failure and event.step_key:
            found.broken_steps[event.step_key] = _said(event.step_failure_data.error)
        elif event is not None and event.event_type == dg.DagsterEventType.RUN_FAILURE and event.event_specific_data:
            found.stopped = _said(event.job_failure_data.error)  # without data: ended from outside
    return found


def _said(error: Any) -> str:
    """Our own error's sentence, or the innermost error's, without its class."""
    said = "it was stopped."
    while error is not None:
        kind, _, what = str(error.message).strip().partition(": ")
        said, error = what or kind, None if kind.startswith("pipelines.errors.") else error.cause
    return said


def _plain(metadata: Any) -> dict[str, Any]:
    return {name: getattr(value, "data", value.value) for name, value in metadata.items()}
