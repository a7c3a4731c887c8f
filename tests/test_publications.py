"""A candidate under its own path, a swapped link, readers that never meet the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from pipelines import filing, publications
from pipelines.config import Statements
from pipelines.errors import ContractError, Outdated, UsageError
from pipelines.home import Home
from pipelines.tables import CALENDARS
from pipelines.warehouse import Warehouse

START = date(2025, 1, 1)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.move_in("book")
    return made


@pytest.fixture
def warehouse(home: Home) -> Iterator[Warehouse]:
    opened = Warehouse(home.warehouse)
    know(opened, "utc")
    yield opened
    opened.close()


def know(warehouse: Warehouse, calendar: str) -> None:
    with warehouse.commit("a calendar") as commit:
        commit.insert(CALENDARS, CALENDARS.frame([{"calendar": calendar, "timezone": "UTC", "cut_off": "00:00"}]))


def calendars(path: Path) -> list[str]:
    with duckdb.connect(str(path.resolve()), read_only=True) as con:
        return sorted(row[0] for row in con.execute("SELECT calendar FROM calendars").fetchall())


def test_a_publication_has_exactly_its_own_row_and_the_views(home: Home, warehouse: Warehouse) -> None:
    publications.publish(home, publications.build(home, warehouse, START, None), keep=5)
    with publications.newest(home) as newest:
        assert newest.facts()["publication_id"] == 1
        assert newest.facts()["known_through"] == warehouse.known_through()
        views = newest.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY view_name")["view_name"].to_list()
    assert views == sorted(p.stem for p in (publications.SQL / "views").glob("*.sql"))


def test_a_new_one_appears_under_the_same_link_and_who_has_the_old_one_open_keeps_it(home: Home, warehouse: Warehouse) -> None:
    first = publications.publish(home, publications.build(home, warehouse, START, None), keep=5)
    with duckdb.connect(str(first), read_only=True) as reader:
        know(warehouse, "tokyo")
        publications.publish(home, publications.build(home, warehouse, START, None), keep=5)
        assert reader.execute("SELECT count(*) FROM calendars").fetchall() == [(1,)]
    assert calendars(home.publication) == ["tokyo", "utc"]
    assert calendars(first) == ["utc"]


def test_a_candidate_that_is_never_published_leaves_the_last_publication_byte_for_byte(home: Home, warehouse: Warehouse) -> None:
    path = publications.publish(home, publications.build(home, warehouse, START, None), keep=5)
    before = path.read_bytes()
    know(warehouse, "tokyo")
    refused = publications.build(home, warehouse, START, None)
    assert home.publication.resolve() == path.resolve()
    assert path.read_bytes() == before
    again = publications.build(home, warehouse, START, None)
    assert again.publication_id == refused.publication_id + 1, "a number, and so a path, is never used twice"


def test_one_that_knew_more_is_never_replaced(home: Home, warehouse: Warehouse, tmp_path: Path) -> None:
    publications.publish(home, publications.build(home, warehouse, START, None), keep=5)
    other = Warehouse(tmp_path / "old.duckdb", clock=lambda: warehouse.known_through().replace(year=2020))
    know(other, "utc")
    with pytest.raises(ContractError, match="knows less"):
        publications.publish(home, publications.build(home, other, START, None), keep=5)
    other.close()
    assert home.publication.resolve().stem == "000001"


def test_only_so_many_versions_are_kept(home: Home, warehouse: Warehouse) -> None:
    for name in ("a", "b", "c", "d"):
        know(warehouse, name)
        publications.publish(home, publications.build(home, warehouse, START, None), keep=2)
    assert sorted(p.stem for p in (home.published / "versions").iterdir()) == ["000003", "000004"]


def test_before_the_first_there_is_nothing_to_read(home: Home) -> None:
    with pytest.raises(UsageError, match="Nothing has been published"), publications.newest(home):
        pass
    with pytest.raises(UsageError, match="No candidate"):
        publications.built(home)


def test_another_version_s_publication_is_not_read_and_a_run_publishes_anew(home: Home, warehouse: Warehouse) -> None:
    first = publications.publish(home, publications.build(home, warehouse, START, None), keep=5)
    with duckdb.connect(str(first)) as con:
        con.execute("DROP TABLE openings")
    with pytest.raises(Outdated, match="another version"), publications.newest(home):
        pass
    assert publications.known_through(home) is None
    assert filing.of_newest_days(home, Statements()) == []
    publications.publish(home, publications.build(home, warehouse, START, None), keep=5)
    with publications.newest(home) as newest:
        assert newest.facts()["publication_id"] == 2


def test_a_candidate_is_a_copy_of_the_bytes_and_the_warehouse_goes_on(
    home: Home, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[Path] = []
    whole = Warehouse._copy_bytes
    monkeypatch.setattr(Warehouse, "_copy_bytes", lambda self, target: (copied.append(target), whole(self, target)))
    built = publications.build(home, warehouse, START, None)
    assert copied == [built.path]
    know(warehouse, "tokyo")
    assert warehouse.read(CALENDARS).height == 2
    assert calendars(built.path) == ["utc"]


def test_what_is_no_longer_in_use_is_left_out_once_it_is_much(home: Home, warehouse: Warehouse) -> None:
    texts = CALENDARS.frame({"calendar": f"{n:0200x}", "timezone": "UTC", "cut_off": "00:00"} for n in range(200_000))
    with warehouse.commit("many") as commit:
        commit.replace(CALENDARS, texts)
    publications.build(home, warehouse, START, None)
    with warehouse.commit("few") as commit:
        commit.replace(CALENDARS, CALENDARS.frame([{"calendar": "utc", "timezone": "UTC", "cut_off": "00:00"}]))
    built = publications.build(home, warehouse, START, None)
    assert calendars(built.path) == ["utc"]
    assert built.path.stat().st_size < home.warehouse.stat().st_size / 2


def test_a_file_that_is_open_takes_a_bounded_share_of_memory(home: Home, warehouse: Warehouse) -> None:
    asked = "SELECT current_setting('memory_limit') AS most"
    publications.publish(home, publications.build(home, warehouse, START, None), keep=5)
    with publications.newest(home) as newest:
        assert newest.sql(asked)["most"][0] == warehouse.sql(asked)["most"][0] == "1.8 GiB"
