"""A run of the book ended → what is wrong with it is told, once per cause; what a run put right is told again if it comes back."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from pipelines import alerts
from pipelines.config import Alerts, Environment, Mail, load
from pipelines.defs.jobs import CLOSE_BOOK
from pipelines.defs.runs import report
from pipelines.errors import ConfigError
from pipelines.home import Home


@dg.run_failure_sensor(monitored_jobs=[CLOSE_BOOK], default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=15)
def failed(context: dg.RunFailureSensorContext) -> None:
    """Tells why a run of the book failed."""
    _tell(context)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[CLOSE_BOOK],
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=15,
)
def closed(context: dg.RunStatusSensorContext) -> None:
    """Tells which portfolios a run could not pull, and forgets what is right again."""
    _tell(context)


def _tell(context: dg.RunStatusSensorContext) -> None:
    environment = Environment()
    home = Home(environment.home.absolute())
    told = alerts.tell(home, *_whom(environment.config, home), dict(_causes(context)))
    context.log.info(f"Told: {told}" if told else "Nothing new to tell.")


def _whom(path: Path, home: Home) -> tuple[Alerts, Mail | None]:
    """Whom the configuration names; whom it last named while it cannot be read, for that is worth telling too."""
    try:
        config = load(path)
    except ConfigError:
        return alerts.remembered(home)
    alerts.remember(home, config.alerts, config.mail)
    return config.alerts, config.mail


def _causes(context: dg.RunStatusSensorContext) -> Iterator[tuple[str, str]]:
    """What was wrong with the run, under names that stay the same from run to run."""
    found = report(context.instance, context.dagster_run.run_id)
    for rule, facts in found.failed_checks:
        if facts.get("weight") == "BLOCK":
            yield f"check {rule}", f"The check {rule} found {facts.get('violations')} violations: nothing was published."
    for missed in found.not_pulled:
        yield f"pull {missed['subject']}", f"Not pulled: {missed['subject']}. {missed['error']}"
    if context.dagster_run.status is dg.DagsterRunStatus.FAILURE and not found.blocked:
        yield from ((f"step {step}", f"The step {step} failed: {said}") for step, said in found.broken_steps.items())
        if not found.broken_steps:
            yield "run", f"The run ended before it was done; nothing it wrote was published. {found.stopped}".strip()
