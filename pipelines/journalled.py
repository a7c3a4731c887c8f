"""The journal → tables of what it holds, so that a publication carries the decisions it was made under. Nothing is decided here."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from pipelines import register
from pipelines.journal import Journal, Record
from pipelines.tables import ADJUSTMENTS, DECISIONS, STATEMENTS
from pipelines.warehouse import Warehouse

DECIDED = ("LOCK", "REOPEN", "ACCEPTANCE", "ASSIGNMENT", "DISPOSITION")
ADJUSTED = "ADJUSTMENT"
TYPE = "adjustment"
"""An adjustment's event type: no venue has it."""


def bring_in(warehouse: Warehouse, journal: Journal) -> None:
    """Make the tables hold exactly what the journal does."""
    with warehouse.commit("decisions") as commit:
        commit.replace(DECISIONS, DECISIONS.frame(map(_decision, journal.records(*DECIDED))))
        commit.replace(ADJUSTMENTS, ADJUSTMENTS.frame(map(_adjustment, journal.records(ADJUSTED))))
        commit.replace(STATEMENTS, STATEMENTS.frame(register.rows(journal)))


def _decision(record: Record) -> dict[str, object]:
    words = record.words
    return {
        "record": record.name,
        "kind": record.kind,
        "decided_by": record.by,
        "reason": words["reason"],
        "subject": words.get("subject"),
        "owner": words.get("owner"),
        "calendar": words.get("calendar"),
        "first": date.fromisoformat(words["first"]) if "first" in words else None,
        "day": date.fromisoformat(words["day"]) if "day" in words else None,
        "known_at": datetime.fromisoformat(words["known_at"]) if "known_at" in words else None,
        "recorded_at": record.recorded_at,
    }


def _adjustment(record: Record) -> dict[str, object]:
    words = record.words
    return {
        "record": record.name,
        "occurred_at": datetime.fromisoformat(words["occurred_at"]),
        "event_type": TYPE,
        "amount": Decimal(words["amount"]),
        "author": record.by,
        **{name: words[name] for name in ("portfolio", "native_code", "approver", "reason", "document")},
        "recorded_at": record.recorded_at,
    }
