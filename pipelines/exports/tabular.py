"""Statement or roll-forward → CSV, JSON, Parquet: the exact forms. A number is text or Decimal here, never a float."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import polars as pl

from pipelines.exports import text
from pipelines.exports.model import Completeness, Difference, RollForward, Statement

Document = Statement | RollForward | Difference | Completeness

_LISTS = (
    "rows", "subtotals", "totals", "unpriced", "in_transit", "adjusted", "second_totals", "zero", "portfolios", "live", "prices",
    "policies",
)  # fmt: skip
_MOVEMENT_LISTS = ("rows", "prior", "adjustments", "bridge", "bridge_totals", "own_transfers", "annex")
_OTHERS = {
    Difference: ("rows", "totals", "causes"),
    Completeness: ("rows", "population", "not_configured", "live", "exceptions", "prices", "reports", "checks"),
}


def csv(rows: pl.DataFrame) -> bytes:
    """Header and rows, text that a spreadsheet might run defused."""
    return text.csv(text.defused(rows)).encode()


def read(body: bytes) -> pl.DataFrame:
    """A CSV of ours, every cell the text that was there before it was defused; empty is null."""
    cells = pl.read_csv(io.BytesIO(body), infer_schema=False)
    return cells.with_columns(pl.all().str.strip_prefix("'"))


def json_of(document: Document) -> bytes:
    """One object: what it is about, then its lists."""
    names = _LISTS if isinstance(document, Statement) else _OTHERS.get(type(document), _MOVEMENT_LISTS)
    return text.to_json(about(document), **{name: getattr(document, name) for name in names}).encode()


def parquet(document: Document) -> bytes:
    """The rows with exact decimals; what they are about, and the totals, in the file's own metadata."""
    out = io.BytesIO()
    totals = document.bridge_totals if isinstance(document, RollForward) else getattr(document, "totals", pl.DataFrame())
    facts = text.to_json(about(document), totals=totals)
    document.rows.write_parquet(out, metadata={"closebook": facts})
    return out.getvalue()


def about(document: Document) -> Mapping[str, object]:
    """The heading, and what kind of document it is."""
    facts = document.heading.facts()
    if isinstance(document, Statement):
        return facts | {"document": "balances", "by": document.by, "controls": dict(document.controls)}
    if isinstance(document, Difference):
        return facts | {"document": "difference", "before": dict(document.before)}
    if isinstance(document, Completeness):
        return facts | {"document": "completeness", "locked": document.heading.mark.locked, "suspense": document.suspense}
    facts |= {"opening": document.heading.mark.opening}
    return facts | {"document": "roll-forward", "from": document.since, "columns": list(document.columns)}


def facts_of(parquet_bytes: bytes) -> dict[str, object]:
    """What a Parquet statement says it is about."""
    found: dict[str, object] = json.loads(pl.read_parquet_metadata(io.BytesIO(parquet_bytes))["closebook"])
    return found
