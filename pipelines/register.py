"""The journal's issued statements → rows of a table, and their stored bytes. How one is issued is written in `issuing`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from pipelines.errors import MachineError, UsageError
from pipelines.home import Home, machine_errors, write_atomically
from pipelines.journal import MEND, Journal, Record
from pipelines.tables import STATEMENTS

KIND = "STATEMENT"
_INSTANTS = ("as_of", "since", "known_at", "issued_at")


def rows(journal: Journal) -> Iterator[dict[str, object]]:
    """Each issued statement as a row, oldest first; what a later one took the place of is superseded, its bytes as they were."""
    records = list(journal.records(KIND))
    superseded = {record.words.get("supersedes") for record in records}
    for record in records:
        words: Mapping[str, str] = record.words
        told: dict[str, object] = {name: words.get(name) for name in STATEMENTS.schema}
        told |= {name: datetime.fromisoformat(words[name]) for name in _INSTANTS if name in words}
        state = "superseded" if words["number"] in superseded else words["state"]
        yield told | {"state": state, "issued_by": record.by, "publication_id": int(words["publication_id"])}


def find(journal: Journal, number: str) -> Record:
    """The record of a number."""
    for record in journal.records(KIND):
        if record.words["number"] == number:
            return record
    raise UsageError(f"No statement {number!r} was issued.", "`closebook register` lists them.")


def keep(home: Home, body: bytes) -> str:
    """Store bytes for good; their hash is their name."""
    digest = hashlib.sha256(body).hexdigest()
    with machine_errors("The issued statement cannot be stored"):
        write_atomically(_path(home, digest), body, 0o600)
    return digest


def kept(home: Home, digest: str) -> bytes:
    """The bytes that were issued."""
    with machine_errors(f"The issued statement {digest} cannot be read"):
        body = _path(home, digest).read_bytes()
    if hashlib.sha256(body).hexdigest() != digest:
        raise MachineError(f"The issued statement {digest} does not have its hash.", MEND)
    return body


def _path(home: Home, digest: str) -> Path:
    return home.journal / "issued" / digest
