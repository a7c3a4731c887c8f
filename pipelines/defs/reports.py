"""Reports in Dagster: a sensor that has all pending ones made in one run, and a form that makes one statement by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import Enum

import dagster as dg
import polars as pl

from pipelines import book, publications, statements
from pipelines.config import Environment, Reports
from pipelines.defs.days import configured
from pipelines.defs.runs import release_orphans
from pipelines.defs.show import statement, table
from pipelines.errors import Busy, UsageError
from pipelines.home import Home, sign_of_life
from pipelines.publications import Publication
from pipelines.reports.desk import Desk
from pipelines.reports.making import drain, show_life, workshop
from pipelines.reports.store import Store
from pipelines.reports.times import instant, now
from pipelines.tables import PORTFOLIOS
from pipelines.telling import telling

RUNNING = [dg.DagsterRunStatus[name] for name in ("NOT_STARTED", "QUEUED", "STARTING", "STARTED", "CANCELING")]
WAIT = 120.0  # seconds for another maker to end
SHOWN = ("id", "status", "portfolio", "as_of", "by", "form", "known_at", "attempts", "reason")


class Grouping(Enum):
    portfolio = "portfolio"
    asset = "asset"


class Form(Enum):
    pdf = "pdf"
    csv = "csv"
    json = "json"
    xlsx = "xlsx"
    parquet = "parquet"
    bundle = "bundle"


class Asked(dg.Config):
    """The form in the launchpad. Give `as_of`, or `day` and its calendar; the scope is all, an entity, or a portfolio."""

    as_of: str = ""
    day: str = ""
    calendar: str = "utc"
    known_at: str = ""
    scope: str = "all"
    grouping: Grouping = Grouping.portfolio
    format: Form = Form.pdf


@contextmanager
def _desk() -> Iterator[Desk]:
    home = Home(Environment().home.absolute())
    with Store(home) as store:
        config = configured()
        yield Desk(home, config.reports if config else Reports(), store, mail=config.mail if config else None)


@dg.op(description="Make every pending report of the Reports API, and tell who wants to be told.")
def make_pending(context: dg.OpExecutionContext) -> None:
    with _desk() as desk, sign_of_life(desk.home, context.run_id):
        ended = drain(desk, context.log.info)
        if ended is None:
            context.log.info("Another process is making them.")
        rows = [{name: row[name] for name in SHOWN} for row in ended or []]
        made = len([row for row in rows if row["status"] == "ready"])
    shown = table(pl.DataFrame(rows, schema=dict.fromkeys(SHOWN, pl.String), strict=False))
    context.add_output_metadata({"ready": made, "failed": len(rows) - made, "requests": shown})


@dg.op(description="Make one statement. What was asked before of the same publication is found, not made again.")
def make_statement(context: dg.OpExecutionContext, config: Asked) -> None:
    with _desk() as desk, sign_of_life(desk.home, context.run_id), workshop(desk.home, WAIT) as mine:
        if not mine:
            raise Busy("Another process is making reports.", "Launch this again when it has ended.")
        with publications.newest(desk.home) as newest:
            question = _question(newest, config)
            with telling(desk.home, newest, question.as_of, known_at=question.known_at, rather=question.calendar) as told:
                made = desk.issue(told, question, config.format.value)
                about = statement(statements.Answer(told, question))
    context.add_output_metadata({"file": dg.MetadataValue.path(made.path), "sha256": made.sha256, **about})


def _question(source: Publication, asked: Asked) -> statements.Question:
    if bool(asked.as_of) == bool(asked.day):
        raise UsageError("Which instant?", "Give either as_of, as 2025-02-01T00:00:00Z, or day, as 2025-01-31.")
    end = book.instant_of(source, datetime.fromisoformat(asked.day).date(), asked.calendar).isoformat() if asked.day else asked.as_of
    as_of = instant(end, "as_of", now()).replace(microsecond=0)
    known_at = instant(asked.known_at, "known_at", now()) if asked.known_at else None
    scope = None if asked.scope == "all" else asked.scope
    entity = scope if scope in set(source.read(PORTFOLIOS)["entity"]) else None
    return statements.Question(as_of, known_at, None if entity else scope, asked.grouping.value, asked.calendar, entity=entity)


@dg.job(name="reports", executor_def=dg.in_process_executor, description="What the Reports API was asked for.")
def pending_reports() -> None:
    make_pending()


@dg.job(
    name="statement",
    executor_def=dg.in_process_executor,
    description="One statement by hand: its instant, scope, grouping and format are the form.",
)
def one_statement() -> None:
    make_statement()


@dg.sensor(job=pending_reports, minimum_interval_seconds=5, default_status=dg.DefaultSensorStatus.RUNNING)
def report_requests(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One run for all that is pending; never two at a time, and none while another process makes them."""
    home = Home(Environment().home.absolute())
    if not home.reports.is_dir():
        return dg.SkipReason("Nothing was ever asked for: the Reports API has not been used at this home.")
    show_life(home)
    with Store(home) as store:
        waiting = Desk(home, Reports(), store).requests.pending()
    if not waiting:
        return dg.SkipReason("Nothing is pending.")
    release_orphans(context.instance, home)
    if context.instance.get_run_records(dg.RunsFilter(job_name="reports", statuses=RUNNING), limit=1):
        return dg.SkipReason("A run is on its way.")
    with workshop(home) as idle:
        return dg.RunRequest(tags={"closebook/pending": str(waiting)}) if idle else dg.SkipReason("Another process is making them.")
