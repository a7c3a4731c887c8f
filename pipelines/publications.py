"""Warehouse → candidate file → published version, and reading one. Checking is quality's work.

A version is built under its own path, never reused, and published by swapping a link: readers and the pipeline never meet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import duckdb
import polars as pl

from pipelines import __version__, older
from pipelines.errors import ClosebookError, ContractError, MachineError, Outdated, UsageError
from pipelines.home import Home, draft_of, machine_errors
from pipelines.journal import Journal
from pipelines.tables import PUBLICATIONS, TABLES, Table
from pipelines.warehouse import MEMORY, Warehouse, duckdb_errors, now

SQL = Path(__file__).resolve().parent.parent / "sql"
if not SQL.is_dir():  # in an installed wheel the SQL travels inside the package
    SQL = Path(__file__).resolve().parent / "_sql"


COLUMNS = " UNION ALL ".join(f"SELECT '{name}', name FROM pragma_table_info('{name}')" for name in TABLES)
"""Of tables only: to tell the columns of its views DuckDB would bind each of them."""
ANEW = "`closebook run` publishes anew."
BY_ITS_OWN = "Read it with the version it was made by (its table publications names it), or lock its days again: `closebook reopen`."


@dataclass(frozen=True)
class Candidate:
    """A built file that nobody reads yet."""

    publication_id: int
    path: Path


class Publication:
    """A published (or candidate) file, opened read-only for one `with` block.

    `kept`: days were locked with it, so that it is read though its tables are of another version's form.
    """

    def __init__(self, path: Path, kept: bool = False) -> None:
        if not path.exists():
            raise UsageError("Nothing has been published here yet.", "Run `closebook run` first, or name the home with --home.")
        self.path = path.resolve()
        with duckdb_errors(self.path):
            self._con = duckdb.connect(str(self.path), read_only=True)
            self._con.execute(f"SET TimeZone = 'UTC'; SET memory_limit = '{MEMORY}'")
        if self._has_todays_form():
            return
        if not kept:
            self._refuse(Outdated(f"The publication {self.path} was made by another version.", ANEW))
        self._bridge()

    def _has_todays_form(self) -> bool:
        try:
            columns = set(self._con.execute(COLUMNS).fetchall())
        except duckdb.CatalogException:
            return False  # a table is not there
        return columns == {(table.name, column) for table in TABLES.values() for column in table.schema}

    def _bridge(self) -> None:
        if lacking := older.bridge(self._con):
            self._refuse(MachineError(f"The publication {self.path} is of a version that did not know {lacking}.", BY_ITS_OWN))
        create_views(self._con, "TEMP VIEW")

    def _refuse(self, error: ClosebookError) -> NoReturn:
        self._con.close()
        raise error

    def __enter__(self) -> Publication:
        return self

    def __exit__(self, *_: object) -> None:
        self._con.close()

    def read(self, table: Table, condition: str = "true", *params: object) -> pl.DataFrame:
        return table.conform(self.sql(f'SELECT * FROM "{table.name}" WHERE {condition}', *params))

    def sql(self, query: str, *params: object) -> pl.DataFrame:
        with duckdb_errors(self.path):
            frame: pl.DataFrame = self._con.sql(query, params=list(params)).pl()
            return frame

    def facts(self) -> dict[str, object]:
        """Its own row: publication_id, known_through, …"""
        return self.read(PUBLICATIONS).row(0, named=True)


def build(home: Home, warehouse: Warehouse, book_start: object, book_end: object) -> Candidate:
    """Copy the warehouse to a candidate file with its own number, row and views; older candidates are cleared away."""
    folder = home.published / "candidates"
    built = {p.stem for d in (folder, home.published / "versions") for p in d.glob("*.duckdb")}
    number = 1 + max(map(int, built | locked(home)), default=0)
    with machine_errors("The candidate cannot be built"):
        folder.mkdir(parents=True, exist_ok=True)
        _clear(folder)
    candidate = Candidate(number, folder / f"{number:06d}.duckdb")
    row = {
        "publication_id": number,
        "known_through": warehouse.known_through(),
        "built_at": now(),
        "software": f"closebook {__version__}",
        "book_start": book_start,
        "book_end": book_end,
    }
    try:
        with machine_errors("The candidate cannot be built"):
            warehouse.copy_to(candidate.path)
        _furnish(candidate.path, PUBLICATIONS.frame([row]))
    except BaseException:
        _clear(folder)
        raise
    return candidate


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _furnish(path: Path, publication: pl.DataFrame) -> None:
    """Its own row and the views people query."""
    with duckdb_errors(path):
        con = duckdb.connect(str(path))
        try:
            con.register("incoming", publication.to_arrow())
            con.execute("INSERT INTO publications BY NAME SELECT * FROM incoming")
            con.unregister("incoming")
            create_views(con)
            con.execute("CHECKPOINT")
        finally:
            con.close()


def create_views(con: duckdb.DuckDBPyConnection, kind: str = "VIEW") -> None:
    """Views may stand on views: create what can be created until nothing is left."""
    views = {p.stem: p.read_text(encoding="utf-8") for p in sorted((SQL / "views").glob("*.sql"))}
    while views:
        waiting: dict[str, str] = {}
        for name, select in views.items():
            try:
                con.execute(f'CREATE {kind} "{name}" AS {select.rstrip().rstrip(";")}')
            except duckdb.CatalogException:
                waiting[name] = select
        if len(waiting) == len(views):
            raise ContractError(f"These views stand on something that does not exist: {sorted(waiting)}.")
        views = waiting


def known_through(home: Home) -> datetime | None:
    """What the newest publication knows; None before the first, and where it is another version's."""
    if not home.publication.exists():
        return None
    with suppress(Outdated), Publication(home.publication) as newest:
        return newest.facts()["known_through"]  # type: ignore[return-value]  # its contract says TIMESTAMPTZ
    return None


def publish(home: Home, candidate: Candidate, keep: int) -> Path:
    """Move the checked candidate under its final name and swap the link; the oldest beyond `keep` go."""
    with Publication(candidate.path) as checked:
        knows: datetime = checked.facts()["known_through"]  # type: ignore[assignment]
    if (before := known_through(home)) is not None and before > knows:
        raise ContractError(f"Publication {candidate.publication_id} knows less than the one it would replace.")
    version = home.published / "versions" / candidate.path.name
    with machine_errors("The publication cannot be put in its place"):
        candidate.path.replace(version)
        _swap_link(home.publication, Path("versions") / version.name)
        keep_locked(home)
        for old in sorted(version.parent.glob("*.duckdb"))[:-keep]:
            if old.stem not in locked(home):
                old.unlink()
    return version


def locked(home: Home) -> set[str]:
    """Publications that days were locked with: they are never cleared away."""
    return {f"{int(record.words['publication']):06d}" for record in Journal(home.journal).records("LOCK")}


def keep_locked(home: Home) -> None:
    """A second name for each of their files: whoever clears old versions away by hand takes nothing from a locked day."""
    folder = home.published / "locked"
    for name in locked(home):
        source, second = home.published / "versions" / f"{name}.duckdb", folder / f"{name}.duckdb"
        if source.exists() and not second.exists():
            with suppress(OSError):  # a disk without hard links, or one that cannot be written: the first name must do
                folder.mkdir(exist_ok=True)
                os.link(source, second)


def _swap_link(link: Path, target: Path) -> None:
    draft = draft_of(link)
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(link)


@contextmanager
def newest(home: Home) -> Iterator[Publication]:
    """The newest publication, read-only."""
    with Publication(home.publication) as publication:
        yield publication


@contextmanager
def version(home: Home, number: int) -> Iterator[Publication]:
    """The publication of this number, read-only, whichever version of ours made it."""
    with Publication(path_of(home, number), kept=True) as publication:
        yield publication


def path_of(home: Home, number: int) -> Path:
    """Where the publication of this number lies, which must not be lost."""
    name = f"{number:06d}.duckdb"
    second = home.published / "locked" / name
    path = second if second.exists() else home.published / "versions" / name
    if not path.exists():
        raise MachineError(f"The publication {number}, with which days were locked, is not at {path}.", "Restore the file from a backup.")
    return path


def built(home: Home) -> Candidate:
    """The candidate that lies ready to be checked or published."""
    found = sorted((home.published / "candidates").glob("*.duckdb"))
    if not found:
        raise UsageError("No candidate has been built.", "Materialise `candidate` first.")
    return Candidate(int(found[-1].stem), found[-1])
