"""One transaction at a time; windows replaced whole; only what differs is written; instants only ever increase."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from pipelines.errors import Busy, ContractError
from pipelines.tables import COMMITS, DAILY_VALUES, POSTINGS, TABLES
from pipelines.warehouse import Replaced, Warehouse
from tests.ledger_text import D, instant, rows

DAYS = pl.DataFrame({"calendar": ["utc"], "day": [datetime(2025, 1, 1, tzinfo=UTC).date()]})
WINDOW = "(calendar, day) IN (SELECT calendar, day FROM closing)"
VALUES = """
    calendar | day        | account_id | as_of      | balance                                 | price | currency | value
    utc      | 2025-01-01 | 1          | 2025-01-02 | 99999999999999999.123456789012345678    | 1     | USD      | 99999999999999999.123456789012345678
    utc      | 2025-01-01 | 2          | 2025-01-02 | -0.000000000000000001                   | 1     | USD      | -0.000000000000000001
"""  # noqa: E501 # a table


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    opened = Warehouse(tmp_path / "w.duckdb")
    yield opened
    opened.close()


def test_every_digit_and_microsecond_comes_back(warehouse: Warehouse) -> None:
    frame = rows(DAILY_VALUES, VALUES, price_basis="PAR")
    with warehouse.commit("values") as commit:
        commit.insert(DAILY_VALUES, frame)
    assert warehouse.read(DAILY_VALUES, "true").sort("account_id").equals(frame)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_an_empty_frame_of_every_table_makes_the_round_trip(warehouse: Warehouse, table) -> None:
    assert warehouse.read(table).equals(table.empty())


def test_replacing_a_window_writes_only_the_rows_that_differ(warehouse: Warehouse) -> None:
    frame = rows(DAILY_VALUES, VALUES, price_basis="PAR")
    with warehouse.commit("first") as commit:
        assert commit.replace(DAILY_VALUES, frame, WINDOW, DAYS) == Replaced(written=2, removed=0)
    with warehouse.commit("same") as commit:
        assert commit.replace(DAILY_VALUES, frame, WINDOW, DAYS) == Replaced(written=0, removed=0)
    changed = frame.with_columns(value=pl.when(pl.col("account_id") == 2).then(pl.lit(D(5)).cast(frame.schema["value"])).otherwise("value"))
    with warehouse.commit("one") as commit:
        assert commit.replace(DAILY_VALUES, changed, WINDOW, DAYS) == Replaced(written=1, removed=1)
    with warehouse.commit("gone") as commit:
        assert commit.replace(DAILY_VALUES, changed.head(1), WINDOW, DAYS) == Replaced(written=0, removed=1)
    assert warehouse.read(COMMITS)["changed"].to_list() == [2, 0, 1, 1]


def test_a_window_leaves_its_neighbours_alone(warehouse: Warehouse) -> None:
    frame = rows(DAILY_VALUES, VALUES, price_basis="PAR")
    other = frame.with_columns(calendar=pl.lit("new_york"))
    with warehouse.commit("both") as commit:
        commit.insert(DAILY_VALUES, pl.concat([frame, other]))
    with warehouse.commit("empty the window") as commit:
        commit.replace(DAILY_VALUES, DAILY_VALUES.empty(), WINDOW, DAYS)
    assert warehouse.read(DAILY_VALUES)["calendar"].unique().to_list() == ["new_york"]


def test_a_failed_commit_leaves_nothing(warehouse: Warehouse) -> None:
    def half() -> None:
        with warehouse.commit("half") as commit:
            commit.insert(DAILY_VALUES, rows(DAILY_VALUES, VALUES, price_basis="PAR"))
            commit.insert(POSTINGS, pl.DataFrame({"account_id": [1]}))

    with pytest.raises(ContractError):
        half()
    assert warehouse.read(DAILY_VALUES).is_empty()
    assert warehouse.read(COMMITS).is_empty()


def test_what_stops_rows_on_their_way_is_what_is_heard_of(warehouse: Warehouse) -> None:
    def frames() -> Iterator[pl.DataFrame]:
        yield rows(DAILY_VALUES, VALUES, price_basis="PAR")
        raise ValueError("the rows stopped")

    with pytest.raises(Exception, match="the rows stopped"), warehouse.commit("rows") as commit:
        commit.append(DAILY_VALUES, frames())
    assert warehouse.empty(DAILY_VALUES)


def test_recorded_instants_increase_even_when_the_clock_stands_or_runs_back(tmp_path: Path) -> None:
    ticks = iter([instant("2025-01-02"), instant("2025-01-02"), instant("2025-01-01"), instant("2025-01-03")])
    warehouse = Warehouse(tmp_path / "w.duckdb", clock=lambda: next(ticks))
    for n in range(4):
        with warehouse.commit(str(n)):
            pass
    at = warehouse.read(COMMITS)["recorded_at"].to_list()
    warehouse.close()
    assert at == sorted(set(at))


def test_a_process_killed_inside_a_commit_leaves_what_was_there_before(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from pipelines.warehouse import Warehouse; from pipelines.tables import *\n"
        "import polars as pl; from datetime import datetime, UTC\n"
        "w = Warehouse(Path(sys.argv[1]))\n"
        "row = COMMITS.frame([{'recorded_at': datetime(2025, 1, 1, tzinfo=UTC), 'what': 'x', 'changed': 1}])\n"
        "with w.commit('done') as c: c.insert(COMMITS, row)\n"
        "with w.commit('never') as c: c.insert(COMMITS, row); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "w.duckdb")], check=False, cwd=Path(__file__).parents[1])
    assert done.returncode == -signal.SIGKILL
    warehouse = Warehouse(tmp_path / "w.duckdb")
    assert sorted(warehouse.read(COMMITS)["what"]) == ["done", "x"]
    warehouse.close()


def test_a_file_open_in_another_process_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    Warehouse(path).close()
    script = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('open', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(Busy, match="open in another program"):
            Warehouse(path)
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate()
