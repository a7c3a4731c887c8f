"""A rebuild that fails leaves the book as it was, however often it is asked for; one that ends puts the old warehouse aside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from pipelines import rebuilding, replay
from pipelines.config import Config, load
from pipelines.defs.resources import _opened
from pipelines.errors import MachineError
from pipelines.home import Home
from pipelines.tables import POSTINGS
from pipelines.warehouse import Warehouse, batches


@pytest.fixture
def home(closed: Path) -> Home:
    return Home(closed / "data")


@pytest.fixture
def config(closed: Path) -> Config:
    return load(closed / "closebook.toml")


def archived(home: Home) -> Path:
    return sorted(home.archive.rglob("*.parquet"))[1]


def flip(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)


SPOILING = pytest.mark.parametrize(("spoil", "said"), [(flip, "is cut short or damaged"), (Path.unlink, "is missing")])


@SPOILING
def test_a_rebuild_of_an_archive_that_is_not_whole_leaves_the_book_as_it_was(
    home: Home, config: Config, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(path := archived(home))
    names, before = {p.name for p in home.root.iterdir()}, home.warehouse.read_bytes()
    for _ in "ab":
        with pytest.raises(MachineError, match=f"{path.stem} {said}"):
            _opened(home, config, anew=True)
        assert ({p.name for p in home.root.iterdir()}, home.warehouse.read_bytes()) == (names, before)


@SPOILING
def test_a_warehouse_of_another_form_stays_until_a_new_one_is_whole(
    home: Home, config: Config, spoil: Callable[[Path], None], said: str
) -> None:
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("ALTER TABLE postings ADD COLUMN mood TEXT")
    path = archived(home)
    kept = path.read_bytes()
    spoil(path)
    with pytest.raises(MachineError, match=f"{path.stem} {said}"):
        _opened(home, config, anew=False)
    path.write_bytes(kept)
    warehouse, told, brought = _opened(home, config, anew=False)
    warehouse.close()
    assert "put aside and built anew" in told
    assert len(brought) == len(batches(home.warehouse)) > 1


def test_what_breaks_on_the_way_leaves_the_warehouse_and_what_lies_aside(
    home: Home, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuilding.rebuild(home, config)
    aside = home.root / "outdated-warehouse.duckdb"
    before = aside.read_bytes(), home.warehouse.read_bytes()
    monkeypatch.setattr(replay, "catch_up", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rebuilding.rebuild(home, config)
    assert (aside.read_bytes(), home.warehouse.read_bytes()) == before
    assert not list(home.root.glob("rebuilding-*"))


def test_the_rebuilt_warehouse_holds_the_same_and_the_old_one_lies_aside(home: Home, config: Config) -> None:
    (home.root / "rebuilding-warehouse.duckdb").write_bytes(b"what a killed one left")
    (home.root / "outdated-warehouse.duckdb.wal").write_bytes(b"of an earlier one")
    was, before = facts(home), home.warehouse.read_bytes()
    rebuilding.rebuild(home, config)
    assert facts(home) == was
    assert sorted(p.name for p in home.root.glob("*warehouse*")) == ["outdated-warehouse.duckdb", "warehouse.duckdb"]
    assert (home.root / "outdated-warehouse.duckdb").read_bytes() == before


def facts(home: Home) -> list[tuple[object, ...]]:
    warehouse = Warehouse(home.warehouse)
    try:
        return warehouse.read(POSTINGS).sort(POSTINGS.key).rows()
    finally:
        warehouse.close()


def test_a_warehouse_that_nobody_can_read_is_built_anew(home: Home, config: Config) -> None:
    home.warehouse.write_bytes(b"no database")
    warehouse, told, brought = _opened(home, config, anew=True)
    warehouse.close()
    assert "put aside" in told
    assert brought
