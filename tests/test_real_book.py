"""The real wallet on real candles, through the commands a person types: 438 days, every one of them checked against the file."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines import book as books
from pipelines import publications
from pipelines.home import Home
from tests.conftest import DATA, closebook


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if not (DATA / "real").is_dir():
        pytest.skip("real data is not beside this checkout (../shared/data/real)")
    folder = tmp_path_factory.mktemp("real")
    script = "from pipelines.cli import main; main()"
    command = [sys.executable, "-c", script, "sandbox", "--dataset", str(DATA / "real"), "--write-config", "real.toml"]
    sandbox = subprocess.Popen(command, cwd=folder)
    try:
        deadline = time.monotonic() + 20
        while not (folder / "real.toml").exists():
            assert time.monotonic() < deadline, "the sandbox did not write its configuration"
            time.sleep(0.05)
        done = closebook("run", "--config", "real.toml", "--home", "home", cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        again = closebook("run", "--config", "real.toml", "--home", "home", cwd=folder)
        assert again.returncode == 0, again.stdout + again.stderr
        assert "Nothing new" in again.stdout
        yield folder
    finally:
        sandbox.terminate()
        sandbox.wait(10)


def ledger() -> list[dict[str, str]]:
    with (DATA / "real" / "ledger.csv").open() as file:
        return list(csv.DictReader(file))


def query(folder: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str((folder / "home/published/closebook.duckdb").resolve()), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        return con.execute(sql).fetchall()


def test_every_day_ends_with_the_last_balance_the_ledger_shows_before_its_cut_off(book: Path) -> None:
    got = dict(query(book, "SELECT day, balance FROM book WHERE native_code = 'BTC'"))
    rows = [(datetime.fromisoformat(r["occurred_at"]), Decimal(r["balance_after"])) for r in ledger()]
    day, expected, last, position = date(2024, 4, 19), {}, None, 0
    while day < date(2025, 7, 1):
        cut_off = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
        while position < len(rows) and rows[position][0] < cut_off:
            last, position = rows[position][1], position + 1
        expected[day] = last
        day += timedelta(days=1)
    assert len(expected) == 438
    assert got == expected


def test_the_price_of_bitcoin_is_the_known_one_to_its_last_printed_digit(book: Path) -> None:
    [(price, count)] = query(
        book, "SELECT price, candle_count FROM daily_prices WHERE asset = 'BTC' AND method = 'VWAP_24H' AND day = '2025-01-01'"
    )
    assert f"{price:.6f}" == "93918.447067"
    assert count == 24


def test_every_posting_of_the_file_is_in_the_book_once(book: Path) -> None:
    got = query(book, "SELECT event_id, amount FROM postings WHERE retired_at IS NULL ORDER BY event_id::BIGINT")
    assert got == [(r["event_id"], Decimal(r["amount"])) for r in ledger()]


@pytest.mark.parametrize("position", [0, 1, 4000, 9099])
def test_the_balance_at_a_postings_own_microsecond_excludes_it_and_one_later_includes_it(book: Path, position: int) -> None:
    rows = ledger()
    moment = datetime.fromisoformat(rows[position]["occurred_at"])
    tick = timedelta(microseconds=1)
    with publications.newest(Home(book / "home")) as newest:
        at, after = (books.at(newest, t).rows.filter(pl.col("native_code") == "BTC")["balance"].to_list() for t in (moment, moment + tick))
    assert at == ([last_before(rows, moment)] if position else []), "the first posting opens the account: before it there is no row"
    assert after == [last_before(rows, moment + tick)]


def test_the_command_answers_at_whole_seconds(book: Path) -> None:
    moment = datetime.fromisoformat(ledger()[5000]["occurred_at"]).replace(microsecond=0)
    done = closebook("snapshot", "--home", "home", "--as-of", f"{moment:%Y-%m-%dT%H:%M:%SZ}", "--format", "csv", cwd=book)
    assert done.returncode == 0, done.stderr
    [row] = [r for r in csv.DictReader(io.StringIO(done.stdout)) if r["native_code"] == "BTC"]
    assert Decimal(row["balance"]) == last_before(ledger(), moment)


def last_before(rows: list[dict[str, str]], moment: datetime) -> Decimal:
    return Decimal([r for r in rows if datetime.fromisoformat(r["occurred_at"]) < moment][-1]["balance_after"])


def test_a_duckdb_1_5_client_reads_the_publication(book: Path) -> None:
    client = Path(sys.executable).with_name("duckdb")
    done = subprocess.run(
        [
            client,
            "-readonly",
            "-csv",
            book / "home/published/closebook.duckdb",
            "SELECT count(*) AS n, version() FROM book WHERE native_code = 'BTC'",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[1] == "438,v1.5.6"
