"""Keys, requests and what was made of them, in one small SQLite file. Every change is one transaction; no rule about them here."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Self

import sqlalchemy as sa

from pipelines.home import Home, machine_errors

METADATA = sa.MetaData()
KEYS = sa.Table(
    "keys",
    METADATA,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("label", sa.String, nullable=False),
    sa.Column("secret", sa.LargeBinary, nullable=False, comment="encrypted with the key file"),
    sa.Column("passphrase", sa.String, nullable=False, comment="salt and scrypt, never the words"),
    sa.Column("portfolios", sa.JSON, nullable=False, comment="names; null in JSON: all"),
    sa.Column("created_at", sa.String, nullable=False),
    sa.Column("revoked_at", sa.String),
)
USED = sa.Table(
    "used_signatures",
    METADATA,
    sa.Column("signature", sa.String, primary_key=True),
    sa.Column("until", sa.String, nullable=False, index=True, comment="its timestamp is refused from here on anyway"),
)
REQUESTS = sa.Table(
    "requests",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String, nullable=False, unique=True),
    sa.Column("key_id", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False, index=True, comment="pending, creating, ready, failed"),
    sa.Column("created_at", sa.String, nullable=False, index=True),
    sa.Column("completed_at", sa.String),
    sa.Column("expires_at", sa.String, nullable=False),
    sa.Column("portfolio", sa.String, comment="null: all"),
    sa.Column("profile_id", sa.String),
    sa.Column("email", sa.String),
    sa.Column("form", sa.String, nullable=False),
    sa.Column("as_of", sa.String, nullable=False),
    sa.Column("by", sa.String, nullable=False),
    sa.Column("calendar", sa.String, nullable=False),
    sa.Column("known_at", sa.String),
    sa.Column("url", sa.String, nullable=False, comment="where the API that took it is reached"),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("reason", sa.String),
    sa.Column("document", sa.String, comment="documents.question"),
    sa.Column("mail_due", sa.String, index=True, comment="when to tell; null: nobody to tell, or told"),
    sa.Column("mail_attempts", sa.Integer, nullable=False, default=0),
)
DOCUMENTS = sa.Table(
    "documents",
    METADATA,
    sa.Column("question", sa.String, primary_key=True, comment="SHA-256 of publication, software and all that was asked"),
    sa.Column("name", sa.String, nullable=False, comment="the file in the folder of reports; never overwritten"),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("publication", sa.Integer, nullable=False),
    sa.Column("made_at", sa.String, nullable=False),
)
DATABASE = "requests.sqlite"
PATIENCE = 30.0  # seconds a writer waits for another


class Store:
    """The file under `<home>/reports`."""

    def __init__(self, home: Home) -> None:
        self.folder = home.reports
        with machine_errors(f"The folder {self.folder} cannot be used"):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._engine = sa.create_engine(
            f"sqlite+pysqlite:///{self.folder / DATABASE}", connect_args={"timeout": PATIENCE}, pool_size=8, max_overflow=64
        )
        sa.event.listen(self._engine, "connect", _prepare)
        sa.event.listen(self._engine, "begin", _begin)
        METADATA.create_all(self._engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that holds the file's write lock from its first statement: what it reads stays true until it writes."""
        return self._engine.begin()

    def rows(self, query: sa.Select[Any]) -> list[Any]:
        """What is there now, as mappings, without the write lock."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            return list(connection.execute(query).mappings())

    def close(self) -> None:
        self._engine.dispose()


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy says BEGIN, the driver does not
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
