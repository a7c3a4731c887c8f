"""Everything about reports in one home: its database, its secrets, its links, and the statements it has issued."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from pipelines import __version__, filing, statements
from pipelines.config import Mail, Reports
from pipelines.home import Home
from pipelines.publications import Publication
from pipelines.reports.requests import Requests
from pipelines.reports.store import DOCUMENTS, Store
from pipelines.reports.times import Clock, now, stamp
from pipelines.reports.vault import Vault


@dataclass(frozen=True)
class Document:
    """A stored statement, found by what was asked."""

    question: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class Desk:
    """Everything about reports in one home."""

    home: Home
    settings: Reports
    store: Store
    clock: Clock = now
    mail: Mail | None = None  # nobody is told without

    @classmethod
    def of(cls, home: Home, settings: Reports, clock: Clock = now, mail: Mail | None = None) -> Desk:
        return cls(home, settings, Store(home), clock, mail)

    @property
    def requests(self) -> Requests:
        return Requests(self.store, self.clock)

    @property
    def vault(self) -> Vault:
        return Vault(self.home.reports)

    @property
    def folder(self) -> Path:
        """Where the statements stay, also when nobody can fetch them any more."""
        return self.home.statements / "reports"

    def link(self, row: Any) -> str:
        return f"{row['url']}/files/{row['id']}/{self.vault.token(row['id'])}"

    def document(self, question: str) -> Document | None:
        """The stored file, where it still is what was issued."""
        found = self.store.rows(sa.select(DOCUMENTS).where(DOCUMENTS.c.question == question))
        if not found or not (path := self.folder / found[0]["name"]).is_file():
            return None
        intact = hashlib.sha256(path.read_bytes()).hexdigest() == found[0]["sha256"]
        return Document(question, path, found[0]["sha256"]) if intact else None

    def issue(self, source: Publication, asked: statements.Question, form: filing.Format) -> Document:
        """The stored bytes where this was asked before of the same publication; else it is made now."""
        publication = cast(int, source.facts()["publication_id"])
        question = _hash_of(publication, asked, form)
        if (stored := self.document(question)) is not None:
            return stored
        path = filing.write(statements.Answer(source, asked), form, self.folder)
        made = Document(question, path, hashlib.sha256(path.read_bytes()).hexdigest())
        row = {"question": question, "name": path.name, "sha256": made.sha256, "publication": publication, "made_at": stamp(self.clock())}
        with self.store.begin() as transaction:
            transaction.execute(DOCUMENTS.delete().where(DOCUMENTS.c.question == question))
            transaction.execute(DOCUMENTS.insert().values(row))
        return made


def _hash_of(publication: int, asked: statements.Question, form: str) -> str:
    words = [publication, __version__, form, *(str(part) for part in vars(asked).values())]
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()
