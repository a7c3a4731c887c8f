"""Statement or roll-forward → CSV, JSON, Parquet: the exact forms. A number is text or Decimal here, never a float."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import polars as pl

from pipelines.exports import text
from pipelines.exports.model import RollForward, Statement

_LISTS = ("rows", "subtotals", "totals", "unpriced", "zero", "portfolios", "live", "prices", "policies")
_MOVEMENT_LISTS = ("rows", "bridge", "bridge_totals", "own_transfers", "annex")


def csv(rows: pl.DataFrame) -> bytes:
    """Header and rows, text that a spreadsheet might run defused."""
    return text.csv(text.defused(rows)).encode()


def json_of(document: Statement | RollForward) -> bytes:
    """One object: what it is about, then its lists."""
    names = _LISTS if isinstance(document, Statement) else _MOVEMENT_LISTS
    return text.to_json(about(document), **{name: getattr(document, name) for name in names}).encode()


def parquet(document: Statement | RollForward) -> bytes:
    """The rows with exact decimals; what they are about, and the totals, in the file's own metadata."""
    out = io.BytesIO()
    facts = text.to_json(about(document), totals=document.totals if isinstance(document, Statement) else document.bridge_totals)
    document.rows.write_parquet(out, metadata={"closebook": facts})
    return out.getvalue()


def about(document: Statement | RollForward) -> Mapping[str, object]:
    """The heading, and what kind of document it is."""
    facts = document.heading.facts()
    if isinstance(document, Statement):
        return facts | {"document": "balances", "by": document.by, "controls": dict(document.controls)}
    return facts | {"document": "roll-forward", "from": document.since, "columns": list(document.columns)}


def facts_of(parquet_bytes: bytes) -> dict[str, object]:
    """What a Parquet statement says it is about."""
    found: dict[str, object] = json.loads(pl.read_parquet_metadata(io.BytesIO(parquet_bytes))["closebook"])
    return found
