"""The open file of an older publication → one that today's code can read, where that invents nothing.

Days that were locked are told by the publication they were locked with, for as long as the book lives; the form of tables changes
meanwhile. A table that did not exist then is empty, a column that did not exist then is null, where null may stand. The file itself
is not touched: what is added lies in the connection.
"""

from __future__ import annotations

import duckdb

from pipelines.tables import TABLES, Table


def bridge(con: duckdb.DuckDBPyConnection) -> str:
    """Put what is lacking in front of the file's own tables; what cannot be put there in a word, else nothing."""
    catalog = con.execute("SELECT current_database()").fetchall()[0][0]
    found = {table: _columns(con, catalog, table) for table in TABLES.values()}
    if refused := sorted(name for table, columns in found.items() for name in _refused(table, columns)):
        return ", ".join(refused)
    for table, columns in found.items():
        if columns:
            con.execute(f'CREATE TEMP VIEW "{table.name}" AS {_select(table, catalog, columns)}')
        else:
            con.execute(table.ddl().replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
    return ""


def _columns(con: duckdb.DuckDBPyConnection, catalog: str, table: Table) -> frozenset[str]:
    """Empty where the table is not there."""
    found = con.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_catalog = ? AND table_schema = 'main' AND table_name = ?",
        [catalog, table.name],
    ).fetchall()
    return frozenset(name for (name,) in found)


def _refused(table: Table, columns: frozenset[str]) -> list[str]:
    """What is lacking and must not be null, or may only be called otherwise there: beside columns that are strange today."""
    renamed = bool(columns - set(table.schema))
    return [f"{table.name}.{c.name}" for c in table.columns if columns and c.name not in columns and (renamed or not c.null)]


def _select(table: Table, catalog: str, columns: frozenset[str]) -> str:
    named = (f'"{name}"' if name in columns else f'NULL::{table.sql_type(name)} AS "{name}"' for name in table.schema)
    return f'SELECT {", ".join(named)} FROM "{catalog}".main."{table.name}"'
