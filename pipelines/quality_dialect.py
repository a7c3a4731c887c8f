"""A DuckDB that can only be read, as SQLAlchemy sees it. Imported by name when a check opens a candidate, never before.

Great Expectations reads a result after SQLAlchemy has given its connection back, and DuckDB forgets an unread result
at a rollback. Nothing can change in a read-only file, so its transactions need no beginning and no end.
"""

from __future__ import annotations

import duckdb_engine


class CheckDialect(duckdb_engine.Dialect):  # type: ignore[misc]  # duckdb_engine ships no types
    """`duckdb+checks://`: read-only, without transactions, in UTC."""

    name = "duckdb"
    supports_statement_cache = False

    def connect(self, *args: object, **options: object) -> object:
        connection = super().connect(*args, **(options | {"read_only": True}))
        connection.execute("SET TimeZone = 'UTC'; SET memory_limit = '2GB'")  # what needs more goes to disk
        connection.execute("SET asof_loop_join_threshold = 0")  # DuckDB guesses that few postings are new, and compares each with each day
        return connection

    def do_begin(self, connection: object) -> None:
        """Nothing to begin."""

    def do_commit(self, connection: object) -> None:
        """Nothing to keep."""

    def do_rollback(self, connection: object) -> None:
        """Nothing to forget, above all not the result that is still to be read."""
