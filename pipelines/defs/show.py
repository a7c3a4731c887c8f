"""What the UI shows of frames, outcomes and contracts. Money is shown as text: Dagster's tables refuse Decimal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
import polars as pl

from pipelines import progress, publications
from pipelines.book import newest_instants
from pipelines.defs.newest import titled
from pipelines.exports import paper
from pipelines.exports.text import instant, plain
from pipelines.home import Home
from pipelines.ingest import Ingested
from pipelines.progress import Counts
from pipelines.pull import Outcome
from pipelines.quality import markdown
from pipelines.statements import Answer, Question
from pipelines.tables import Table
from pipelines.telling import telling
from pipelines.warehouse import Warehouse

PREVIEW = 20  # rows


@contextmanager
def counted(say: Callable[[str], None]) -> Iterator[None]:
    """Pages and walks of a pull, in the run's log while it lasts and when it ends."""
    counts = Counts(say)
    with progress.listening(counts):
        yield
    counts.ended()


def schema(of: Table) -> dict[str, Any]:
    """The column list of a contract."""
    columns = [
        dg.TableColumn(c.name, str(c.dtype), c.sentence, constraints=dg.TableColumnConstraints(nullable=c.null, other=list(c.values)))
        for c in of.columns
    ]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}


def table(frame: pl.DataFrame) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(markdown(plain(frame)))


def row_count(warehouse: Warehouse, of: Table) -> dict[str, Any]:
    """How many facts of a table stand."""
    return {"dagster/row_count": warehouse.sql(f"SELECT count(*) AS n FROM {of.name} WHERE retired_at IS NULL")["n"][0]}


def ingested(found: Sequence[Ingested]) -> dict[str, Any]:
    """What was committed, and what could not be read."""
    errors = [{"subject": i.batch.portfolio or i.batch.subject or i.batch.kind.lower(), "error": i.error} for i in found if i.error]
    return {"batches": len(found), "errors": dg.MetadataValue.json(errors)}


def outcomes(found: Sequence[Outcome]) -> dict[str, Any]:
    """What was asked and what failed; the failures also by name, for the command's exit code."""
    rows = [{"subject": o.subject, "pages": o.pages, "error": o.error, "notes": "; ".join(o.notes)} for o in found]
    frame = pl.DataFrame(rows, schema={"subject": pl.String, "pages": pl.Int64, "error": pl.String, "notes": pl.String})
    return {
        "pages": sum(o.pages for o in found),
        "failed": len([o for o in found if o.error]),
        "errors": dg.MetadataValue.json([{"subject": o.subject, "error": o.error} for o in found if o.error]),
        "outcomes": table(frame),
    }


def newest_statement(home: Home) -> dict[str, Any]:
    """The newest closed day, over all portfolios."""
    with publications.newest(home) as newest:
        instants = newest_instants(newest)
        if not instants:
            return {}
        with telling(home, newest, instants[-1]) as told:
            return statement(Answer(told, Question(instants[-1])))


def statement(answer: Answer) -> dict[str, Any]:
    """A statement's totals, its first rows and its charts."""
    said = answer.statement
    totals = said.totals.select("entity", "currency", "portfolio", "price_basis", "rows", "value", "printed")
    charts = [titled(drawn["title"], drawn["svg"]) for drawn in paper.drawings(said)]
    return {
        "as_of": instant(said.heading.as_of),
        "rows": said.rows.height,
        "unpriced": said.unpriced.height,
        "totals": table(totals),
        "preview": table(said.rows.head(PREVIEW)),
        "charts": dg.MetadataValue.md("\n\n".join(charts)),
    }
