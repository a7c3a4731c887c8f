"""One piece of work in a process of its own: `python -m benchmarks.works NAME FILE` prints seconds, peak memory, bytes, rows as JSON.

Every work that makes rows makes all columns of daily_balances for every account and day, and is timed up to the checkpoint.
"""

from __future__ import annotations

import csv
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from benchmarks import peers
from benchmarks.generate import END, RECORDED, START, publication
from pipelines import book, closing, publications
from pipelines.home import Home
from pipelines.stages import days as day_stage
from pipelines.stages.kernel import CHAIN
from pipelines.tables import CALENDARS, CLOSED_DAYS, DAILY_BALANCES, DAILY_PRICES, DAILY_VALUES, PUBLICATIONS, TABLES
from pipelines.warehouse import STORAGE, Warehouse

MEMORY = "1500MB"  # DuckDB's own share; the rest is ours
AT_ONCE = 122_880
A_PORTFOLIO = "p00000"
Facts = dict[str, Any]


@contextmanager
def timed(facts: Facts) -> Iterator[None]:
    began, busy = time.perf_counter(), _busy()
    yield
    facts["seconds"] = facts.get("seconds", 0.0) + time.perf_counter() - began
    facts["cpu"] = facts.get("cpu", 0.0) + _busy() - busy


def _median(taken: list[Facts]) -> Facts:
    return sorted(taken, key=lambda t: float(t["seconds"]))[len(taken) // 2]


def _busy() -> float:
    """Seconds of processor time so far, ours and that of programs we ran: other people's load is not in it."""
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


@contextmanager
def output(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The book's file, with an empty daily_balances beside it as `out`."""
    out = path.with_suffix(".out")
    out.unlink(missing_ok=True)
    con = duckdb.connect(str(path), config={"memory_limit": MEMORY}, read_only=True)
    con.execute("SET TimeZone = 'UTC'")
    con.execute(f"ATTACH '{out}' AS out (READ_WRITE, STORAGE_VERSION '{STORAGE}')")
    con.execute(DAILY_BALANCES.ddl().replace('"daily_balances"', "out.daily_balances"))
    try:
        yield con
    finally:
        con.close()


def days() -> pl.DataFrame:
    calendars = CALENDARS.frame([{"calendar": "utc", "timezone": "UTC", "cut_off": "00:00"}])
    return day_stage.days(calendars, START.date(), (END - timedelta(days=1)).date())


def floor(path: Path, facts: Facts) -> None:
    """Read the columns once, write the rows once: rows that were made before, and no logic."""
    _floor(path, facts, DAILY_BALANCES.name)


def floor_values(path: Path, facts: Facts) -> None:
    """The same with the rows of daily_values, which rest on those of daily_balances."""
    _floor(path, facts, DAILY_BALANCES.name, DAILY_VALUES.name)


def _floor(path: Path, facts: Facts, *tables: str) -> None:
    made = path.with_suffix(".rows")
    with output(path) as con:
        con.execute(f"ATTACH '{made}' AS made (READ_ONLY)")
        with timed(facts):
            for _ in con.sql(f"SELECT {', '.join(CHAIN)} FROM postings WHERE retired_at IS NULL").to_arrow_reader(AT_ONCE):
                pass
        for table in tables:
            con.execute(TABLES[table].ddl().replace(f'"{table}"', f"out.{table}"))
            con.register("incoming", con.sql(f"FROM made.{table}").to_arrow_table())
            with timed(facts):
                con.execute(f"INSERT INTO out.{table} FROM incoming")
            con.unregister("incoming")
        with timed(facts):
            con.execute("CHECKPOINT out")
        _measure(con, "out", path.with_suffix(".out"), facts)


def engine(path: Path, facts: Facts) -> None:
    """closing.close_balances over the whole year."""
    warehouse = Warehouse(path, memory_limit=MEMORY)
    asked = days()
    with timed(facts):
        closing.close_balances(warehouse, asked)
        warehouse._con.execute("CHECKPOINT")
    _measure(warehouse._con, None, path, facts)
    made = path.with_suffix(".rows")
    if not made.exists():
        warehouse._con.execute(f"ATTACH '{made}' AS made (STORAGE_VERSION '{STORAGE}')")
        warehouse._con.execute("CREATE TABLE made.daily_balances AS FROM daily_balances")
        warehouse._con.execute("DETACH made")
    _forget(warehouse, DAILY_BALANCES.name)


def again(path: Path, facts: Facts) -> None:
    """The same over a book that is closed already: nothing differs, nothing is written."""
    warehouse = Warehouse(path, memory_limit=MEMORY)
    closing.close_balances(warehouse, days())
    with timed(facts):
        closed = closing.close_balances(warehouse, days())
    assert closed.replaced.written == closed.replaced.removed == 0
    _measure(warehouse._con, None, path, facts)
    _forget(warehouse, DAILY_BALANCES.name)


def prices_and_values(path: Path, facts: Facts) -> None:
    """Balances, prices and values of the whole year."""
    warehouse = Warehouse(path, memory_limit=MEMORY)
    asked = days()
    for step in (closing.close_balances, closing.close_prices, closing.close_values):
        with timed(facts):
            step(warehouse, asked)
            warehouse._con.execute("CHECKPOINT")
    _measure(warehouse._con, None, path, facts)
    warehouse._con.execute(f"ATTACH '{path.with_suffix('.rows')}' AS made (STORAGE_VERSION '{STORAGE}')")
    warehouse._con.execute("CREATE TABLE IF NOT EXISTS made.daily_values AS FROM daily_values")
    warehouse._con.execute("DETACH made")
    _forget(warehouse, DAILY_BALANCES.name, DAILY_PRICES.name, DAILY_VALUES.name, "closed_days")


def one_more_day(path: Path, facts: Facts) -> None:
    """The last day, on a book that is closed up to it."""
    warehouse = Warehouse(path, memory_limit=MEMORY)
    con, last = warehouse._con, days()[-1]
    con.execute(f"ATTACH '{path.with_suffix('.rows')}' AS made (READ_ONLY)")
    con.execute("INSERT INTO daily_balances SELECT * FROM made.daily_balances WHERE day < ?", [last["day"][0]])
    with warehouse.commit("closed") as commit:
        commit.insert(CLOSED_DAYS, days()[:-1].with_columns(touched_at=pl.lit(RECORDED)))
    con.execute("CHECKPOINT")
    with timed(facts):
        closing.close_balances(warehouse, last)
    differ = "SELECT * FROM daily_balances EXCEPT SELECT * FROM made.daily_balances"
    assert not con.sql(f"SELECT 1 FROM ({differ}) WHERE day = ? LIMIT 1", params=[last["day"][0]]).fetchall()
    _measure(con, None, path, facts)
    _forget(warehouse, "daily_balances", "closed_days")


def same_day(path: Path, facts: Facts) -> None:
    """The last day, of the same size however long the history: closed five times, the median told."""
    warehouse = Warehouse(path, memory_limit=MEMORY)
    closing.close_balances(warehouse, days()[:-1])
    with warehouse.commit("closed") as commit:
        commit.insert(CLOSED_DAYS, days()[:-1].with_columns(touched_at=pl.lit(RECORDED)))
    warehouse._con.execute("CHECKPOINT")
    taken = []
    for _ in range(5):
        once: Facts = {}
        with timed(once):
            closing.close_balances(warehouse, days()[-1])
        taken.append(once)
        warehouse._con.execute("DELETE FROM daily_balances WHERE day = ?", [days()["day"][-1]])
        warehouse._con.execute("CHECKPOINT")
    facts |= _median(taken)
    _forget(warehouse, "daily_balances", "closed_days")


def any_second(path: Path, facts: Facts) -> None:
    """The book of one portfolio at an instant in the middle of a day, on a closed book: median of nine instants."""
    warehouse = Warehouse(path, memory_limit=MEMORY)
    con = warehouse._con
    con.execute(f"ATTACH '{path.with_suffix('.rows')}' AS made (READ_ONLY)")
    con.execute("INSERT INTO daily_balances FROM made.daily_balances")
    with warehouse.commit("closed") as commit:
        commit.insert(CLOSED_DAYS, days().with_columns(touched_at=pl.lit(RECORDED)))
    con.execute("CHECKPOINT")
    taken = []
    for n in range(9):
        once: Facts = {}
        with timed(once):
            found = book.at(warehouse, START + timedelta(days=40 * n + 3, hours=13, minutes=n, microseconds=n), portfolio=A_PORTFOLIO)
        taken.append(once)
    facts |= _median(taken)
    facts["worst"] = max(float(t["seconds"]) for t in taken)
    facts["rows"] = found.rows.height
    _forget(warehouse, "daily_balances", "closed_days")


def publish(path: Path, facts: Facts) -> None:
    """Build a candidate of a closed book and publish it; beside it, what copying the file's bytes takes."""
    warehouse = Warehouse(path, memory_limit=MEMORY)
    warehouse._con.execute(f"ATTACH '{path.with_suffix('.rows')}' AS made (READ_ONLY)")
    warehouse._con.execute("INSERT INTO daily_balances FROM made.daily_balances")
    warehouse._con.execute("DELETE FROM publications")
    warehouse._con.execute("DETACH made")
    warehouse._con.execute("CHECKPOINT")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        began = time.perf_counter()
        _copied(path, Path(folder) / "copy")
        facts["copy_seconds"] = time.perf_counter() - began
        home = Home(Path(folder) / "home")
        home.move_in("book")
        with timed(facts):
            publications.publish(home, publications.build(home, warehouse, START.date(), None), keep=2)
        facts["bytes"] = home.publication.stat().st_size
    with warehouse.commit("a publication of its own") as commit:
        commit.insert(PUBLICATIONS, publication(), counts=False)
    _forget(warehouse, DAILY_BALANCES.name)


def _copied(source: Path, target: Path) -> None:
    """By a program of its own: a handle of ours would take DuckDB's lock with it."""
    program = "import os, shutil, sys; shutil.copyfile(*sys.argv[1:]); os.fsync(os.open(sys.argv[2], os.O_RDWR))"
    subprocess.run([sys.executable, "-I", "-S", "-c", program, source, target], check=True)


def sql_asof(path: Path, facts: Facts) -> None:
    _sql(path, facts, peers.SQL_ASOF)


def sql_group(path: Path, facts: Facts) -> None:
    _sql(path, facts, peers.SQL_GROUP)


def sql_whole(path: Path, facts: Facts) -> None:
    _sql(path, facts, peers.SQL_WHOLE)


def _sql(path: Path, facts: Facts, query: str) -> None:
    with output(path) as con:
        con.execute("SET memory_limit = '12GB'")
        con.register("days", days().to_arrow())
        with timed(facts):
            con.execute(f"INSERT INTO out.daily_balances {query}")
            con.execute("CHECKPOINT out")
        _measure(con, "out", path.with_suffix(".out"), facts)


def polars(path: Path, facts: Facts) -> None:
    _frames(path, facts, peers.polars_asof)


def pandas(path: Path, facts: Facts) -> None:
    _frames(path, facts, peers.pandas_asof)


def _frames(path: Path, facts: Facts, make: Callable[[book.Facts, pl.DataFrame], pl.DataFrame]) -> None:
    with output(path) as con:
        source = peers.Source(con)
        with timed(facts):
            con.register("incoming", make(book.Facts.of(source), days()).to_arrow())
            con.execute("INSERT INTO out.daily_balances SELECT * FROM incoming")
            con.execute("CHECKPOINT out")
        _measure(con, "out", path.with_suffix(".out"), facts)


def hledger(path: Path, facts: Facts) -> None:
    """hledger, reading its journal and printing every balance: nothing of it is read from or written to DuckDB."""
    with output(path) as con, tempfile.NamedTemporaryFile("w", suffix=".journal") as file:
        peers.journal(book.Facts.of(peers.Source(con)), file)
        file.flush()
        with timed(facts):
            told = peers.hledger(Path(file.name), START.date(), END.date())
    cells = [Decimal(cell.removesuffix(" X") or "0") for line in list(csv.reader(io.StringIO(told)))[1:] for cell in line[1:]]
    facts["rows"], facts["sum"], facts["bytes"] = len(cells), str(sum(cells, Decimal(0))), len(told)


def _measure(con: duckdb.DuckDBPyConnection, schema: str | None, file: Path, facts: Facts) -> None:
    """What was written, so that peers can be held against each other."""
    table = f"{schema}.daily_balances" if schema else "daily_balances"
    facts["rows"], facts["sum"] = con.sql(f"SELECT count(*), sum(reported_balance)::VARCHAR FROM {table}").fetchall()[0]
    facts["bytes"] = file.stat().st_size if schema else con.sql(_BLOCKS).fetchall()[0][0]


_BLOCKS = "SELECT count(DISTINCT block_id) * 262144 FROM pragma_storage_info('daily_balances') WHERE persistent"


def _forget(warehouse: Warehouse, *tables: str) -> None:
    """Tables as they were before; deleting rows would leave the next run to clear them away."""
    for table in tables:
        warehouse._con.execute(f"DROP TABLE {table}")
        warehouse._con.execute(TABLES[table].ddl())
    warehouse.close()


REBUILDING = (floor, engine, sql_asof, sql_group, sql_whole, polars, pandas, hledger)
OTHERS = (floor_values, again, prices_and_values, one_more_day, same_day, any_second, publish)
WORKS: dict[str, Callable[[Path, Facts], None]] = {f.__name__: f for f in (*REBUILDING, *OTHERS)}


def main(name: str, file: str) -> None:
    facts: Facts = {"work": name}
    WORKS[name](Path(file), facts)
    whose = resource.RUSAGE_CHILDREN if name == "hledger" else resource.RUSAGE_SELF
    facts["peak_mb"] = round(resource.getrusage(whose).ru_maxrss / 1024)
    sys.stdout.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
