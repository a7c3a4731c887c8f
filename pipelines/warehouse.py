"""warehouse.duckdb: one transaction at a time, windows replaced whole. The only code that imports duckdb, with publications.py.

Everything in it can be rebuilt from archive and journal. What the rows mean is decided elsewhere: frames come in conformed,
go out as Polars frames. One writer per home, held off by the book's lock; nobody else opens this file.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from pipelines.errors import Busy, MachineError, Outdated
from pipelines.tables import COMMITS, TABLES, Table

STORAGE = "v1.5.0"  # so that people's 1.5 tools can open what we write
REBUILT = "A run puts it aside and builds it anew from the archive."
MEMORY = "2GB"  # DuckDB's share, of each file that is open; what needs more goes to disk
ROW_GROUP = 122_880
SPARE = 0.25
"""Of a file, what may lie unused in a publication."""
NEWEST = pl.CompatLevel.newest()  # texts as Polars holds them, so that none is copied on the way
Clock = Callable[[], datetime]


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def duckdb_errors(path: Path) -> Iterator[None]:
    """What DuckDB says of the disk and of locks, in our words."""
    try:
        yield
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise Busy(f"{path} is open in another program.", "Close it there, then run again.") from error
        if "not a valid DuckDB" in str(error):
            raise Outdated(f"{path} is not a DuckDB file.", REBUILT) from error
        raise MachineError(
            f"{path} cannot be read or written: {_first_line(error)}.", "Make room or mend the rights, then run again."
        ) from error
    except duckdb.FatalException as error:
        raise MachineError(f"DuckDB gave up on {path}: {_first_line(error)}.", "Make room, then run again.") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(". ")


@dataclass(frozen=True)
class Replaced:
    """Rows that a replaced window gained and lost; both 0 when nothing differs."""

    written: int
    removed: int


class Commit:
    """One transaction. What it stamps carries `recorded_at`."""

    def __init__(self, con: duckdb.DuckDBPyConnection, recorded_at: datetime) -> None:
        self._con = con
        self.recorded_at = recorded_at
        self.changed = 0

    def insert(self, table: Table, frame: pl.DataFrame, counts: bool = True) -> None:
        """Append rows; a missing recorded_at is stamped. `counts`: they are worth a publication."""
        if "recorded_at" in table.schema and "recorded_at" not in frame.columns:
            frame = frame.with_columns(recorded_at=pl.lit(self.recorded_at).cast(table.schema["recorded_at"]))
        rows = table.conform(frame)
        if rows.height:
            self._with(rows, f'INSERT INTO "{table.name}" BY NAME SELECT * FROM incoming')
        self.changed += rows.height if counts else 0

    def retire(self, table: Table, rows: pl.DataFrame) -> None:
        """Mark versions as no longer shown; `rows` holds the table's key."""
        self.stamp(table, "retired_at", rows)
        self.changed += rows.height

    def stamp(self, table: Table, column: str, rows: pl.DataFrame) -> None:
        """Write this commit's instant into a column of some rows; `rows` holds the table's key."""
        if not rows.height:
            return
        same = " AND ".join(f't."{k}" = incoming."{k}"' for k in table.key)
        stamp = f"TIMESTAMPTZ '{self.recorded_at.isoformat()}'"
        self._with(rows.select(table.key), f'UPDATE "{table.name}" AS t SET "{column}" = {stamp} FROM incoming WHERE {same}')

    def replace(
        self, table: Table, frame: pl.DataFrame, window: str = "true", closing: pl.DataFrame | None = None, **relations: pl.DataFrame
    ) -> Replaced:
        """Make the window of `table` hold exactly `frame`; only rows that differ are touched.

        `window` is a condition over the table, called `t`; it may read `closing` (calendar, day) and other relations by their names.
        """
        rows = table.conform(frame)
        existing = self._existing(table, window, relations if closing is None else relations | {"closing": closing})
        if existing.is_empty():
            return Replaced(self.append(table, [rows.sort(table.key)]), 0)
        gone, fresh = _differences(table, existing, rows)
        if gone.height:
            same = " AND ".join(f't."{c}" IS NOT DISTINCT FROM incoming."{c}"' for c in table.key)
            self._with(gone, f'DELETE FROM "{table.name}" AS t USING incoming WHERE {same}')
        if fresh.height:
            self._with(fresh, f'INSERT INTO "{table.name}" SELECT * FROM incoming')
        self.changed += max(fresh.height, gone.height)
        return Replaced(fresh.height, gone.height)

    def append(self, table: Table, frames: Iterable[pl.DataFrame]) -> int:
        """Rows of a window that holds none yet, in one stream, as they should lie; → how many."""
        count = 0

        def batches() -> Iterator[pa.RecordBatch]:
            nonlocal count
            for frame in _row_groups(table.conform(frame) for frame in frames):
                count += frame.height
                yield from frame.to_arrow(compat_level=NEWEST).combine_chunks().to_batches()

        schema = table.empty().to_arrow(compat_level=NEWEST).schema
        self._con.register("incoming", pa.RecordBatchReader.from_batches(schema, batches()))
        with self._leaving(["incoming"]):
            self._con.execute(f'INSERT INTO "{table.name}" SELECT * FROM incoming')
        self.changed += count
        return count

    def is_empty(self, table: Table, window: str, **relations: pl.DataFrame) -> bool:
        with self._registered(relations):
            return not self._con.sql(f'SELECT 1 FROM "{table.name}" AS t WHERE {window} LIMIT 1').fetchall()

    def _existing(self, table: Table, window: str, relations: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        order = ", ".join(f'"{k}"' for k in table.key)
        with self._registered(relations):
            return table.conform(self._con.sql(f'SELECT * FROM "{table.name}" AS t WHERE {window} ORDER BY {order}').pl())

    def delete(self, table: Table, condition: str) -> None:
        self._con.execute(f'DELETE FROM "{table.name}" WHERE {condition}')

    def _with(self, frame: pl.DataFrame, statement: str) -> None:
        with self._registered({"incoming": frame}):
            self._con.execute(statement)

    @contextmanager
    def _registered(self, relations: Mapping[str, pl.DataFrame]) -> Iterator[None]:
        for name, frame in relations.items():
            self._con.register(name, frame.to_arrow())
        with self._leaving(relations):
            yield

    @contextmanager
    def _leaving(self, names: Iterable[str]) -> Iterator[None]:
        """Take these relations away again. After an error DuckDB refuses even that, and the error is the one to hear of."""
        try:
            yield
        finally:
            for name in names:
                with suppress(duckdb.Error):
                    self._con.unregister(name)


def _row_groups(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows, cut so that DuckDB fills its row groups: those left half full are written twice."""
    rest: pl.DataFrame | None = None
    for frame in frames:
        rows = frame if rest is None else pl.concat([rest, frame])
        whole = rows.height // ROW_GROUP * ROW_GROUP
        yield from rows.head(whole).iter_slices(ROW_GROUP)
        rest = rows.tail(rows.height - whole)
    if rest is not None and rest.height:
        yield rest


def _differences(table: Table, existing: pl.DataFrame, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keys of rows to take away, and rows to add. Where both hold the same keys in the same order, one pass tells."""
    key = list(table.key)
    rows = rows if rows.select(key).equals(existing.select(key)) else rows.sort(key, maintain_order=True)
    if rows.select(key).equals(existing.select(key)):
        differs = pl.any_horizontal(rows[c].ne_missing(existing[c]) for c in rows.columns if c not in key)
        changed = pl.select(differs).to_series() if len(key) < rows.width else pl.Series([False]).new_from_index(0, rows.height)
        return existing.select(key).filter(changed), rows.filter(changed)
    gone = existing.join(rows, on=rows.columns, how="anti", nulls_equal=True, maintain_order="left").select(key)
    return gone, rows.join(existing, on=rows.columns, how="anti", nulls_equal=True, maintain_order="left")


class Reading:
    """A way into an open file."""

    path: Path
    _con: duckdb.DuckDBPyConnection

    def read(self, table: Table, condition: str = "true", *params: object) -> pl.DataFrame:
        """Rows of a table, as its contract says."""
        return table.conform(self.sql(f'SELECT * FROM "{table.name}" WHERE {condition}', *params))

    def sql(self, query: str, *params: object) -> pl.DataFrame:
        with duckdb_errors(self.path):
            frame: pl.DataFrame = self._con.sql(query, params=list(params)).pl()
            return frame


class Beside(Reading):
    """Another way in, for a thread of its own: it sees what is committed. For one `with` block."""

    def __init__(self, path: Path, con: duckdb.DuckDBPyConnection) -> None:
        self.path, self._con = path, con

    def __enter__(self) -> Beside:
        self._con.execute("SET TimeZone = 'UTC'")
        return self

    def __exit__(self, *_: object) -> None:
        self._con.close()


class Warehouse(Reading):
    """The open warehouse of one home."""

    def __init__(self, path: Path, clock: Clock = now, memory_limit: str = MEMORY) -> None:
        self.path = path
        self._clock = clock
        self._memory_limit = memory_limit
        self._given: datetime | None = None
        with duckdb_errors(path):
            self._open()
            self._con.execute(";\n".join(["BEGIN", *(table.ddl() for table in TABLES.values()), "COMMIT"]))
        self._require_contracts()

    def _open(self) -> None:
        self._con = duckdb.connect(str(self.path), config={"storage_compatibility_version": STORAGE, "memory_limit": self._memory_limit})
        self._con.execute("SET TimeZone = 'UTC'")

    def _require_contracts(self) -> None:
        found = self.sql("SELECT table_name, list(column_name) FROM duckdb_columns() WHERE NOT internal GROUP BY table_name")
        columns = dict(found.iter_rows())
        for table in TABLES.values():
            if set(columns[table.name]) != set(table.schema):
                self._con.close()
                raise Outdated(f"The table {table.name} of {self.path} is of another version's form.", REBUILT)

    def close(self) -> None:
        with duckdb_errors(self.path):
            self._con.execute("CHECKPOINT")
            self._con.close()

    def beside(self) -> Beside:
        return Beside(self.path, self._con.cursor())

    def empty(self, table: Table) -> bool:
        return self.sql(f'SELECT 1 FROM "{table.name}" LIMIT 1').is_empty()

    def next_instant(self) -> datetime:
        """An instant after every one recorded or given: the clock's, unless it stands or runs back."""
        newest = self.sql("SELECT max(recorded_at) AS at FROM commits")["at"][0]
        earlier = max((t for t in (newest, self._given) if t is not None), default=None)
        self._given = max(self._clock(), earlier + timedelta(microseconds=1)) if earlier else self._clock()
        return self._given

    def known_through(self) -> datetime | None:
        """The newest instant recorded, whether or not it brought anything new."""
        return self._newest_commit("true")

    def changed_at(self) -> datetime | None:
        """When something worth publishing was last written."""
        return self._newest_commit("changed > 0")

    def _newest_commit(self, condition: str) -> datetime | None:
        newest: datetime | None = self.sql(f"SELECT max(recorded_at) AS at FROM commits WHERE {condition}")["at"][0]
        return newest

    @contextmanager
    def commit(self, what: str, at: datetime | None = None) -> Iterator[Commit]:
        """One transaction, recorded at `at` or now; all of it or nothing."""
        change = Commit(self._con, at or self.next_instant())
        with duckdb_errors(self.path):
            self._con.execute("BEGIN")
            try:
                yield change
                note = {"recorded_at": change.recorded_at, "what": what, "changed": change.changed}
                change.insert(COMMITS, COMMITS.frame([note]), counts=False)
                self._con.execute("COMMIT")
            except BaseException:
                self._con.execute("ROLLBACK")
                raise

    def copy_to(self, target: Path) -> None:
        """All tables into a new file; nothing may be there yet. Byte by byte, unless much of the file is no longer in use."""
        with duckdb_errors(target):
            self._con.execute("CHECKPOINT")
            total, free = self._con.execute("SELECT total_blocks, free_blocks FROM pragma_database_size()").fetchall()[0]
            if free <= total * SPARE:
                self._copy_bytes(target)
            else:
                self._copy_tables(target)

    def _copy_bytes(self, target: Path) -> None:
        self._con.close()  # whoever closes another handle of the file would take DuckDB's lock on it away
        try:
            shutil.copyfile(self.path, target)
        finally:
            self._open()

    def _copy_tables(self, target: Path) -> None:
        with duckdb_errors(target):
            self._con.execute(f"ATTACH '{_quoted(target)}' AS candidate (STORAGE_VERSION '{STORAGE}')")
            try:
                self._con.execute(f'COPY FROM DATABASE "{self._name()}" TO candidate')
            finally:
                self._con.execute("DETACH candidate")

    def _name(self) -> str:
        return str(self.sql("SELECT current_database() AS name")["name"][0])


def batches(path: Path) -> set[str]:
    """Archived batches that a file of whatever version was made from; none where it cannot be read."""
    with suppress(duckdb.Error), duckdb.connect(str(path), read_only=True) as con:
        return {name for (name,) in con.execute("SELECT DISTINCT batch FROM pages").fetchall()}
    return set()


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
