"""The views people query, and the questions worth keeping, over the small book."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.ledger_text import D

SQL = Path(__file__).parents[2] / "sql"
VIEWS = sorted((SQL / "views").glob("*.sql"))
EXAMPLES = sorted((SQL / "examples").glob("*.sql"))
SHELL = Path(sys.executable).with_name("duckdb")


@pytest.fixture(scope="module")
def published(book, tmp_path_factory) -> Path:
    """The book with its views, created in the order of their names."""
    path = Path(shutil.copy(book, tmp_path_factory.mktemp("published") / "closebook.duckdb"))
    with duckdb.connect(str(path)) as con:
        for view in VIEWS:
            con.execute(f'CREATE VIEW "{view.stem}" AS {view.read_text()}')
    return path


@pytest.fixture
def ask(published) -> Iterator:
    with duckdb.connect(str(published), read_only=True) as con:
        yield lambda sql: con.execute(sql).fetchall()


def test_the_book_has_every_daily_value_with_its_names(ask):
    assert ask("SELECT count(*) FROM book") == [(16,)]
    assert ask("SELECT entity, venue, portfolio, native_code, value FROM book WHERE asset = 'BTC' AND day = '2025-01-03'") == [
        ("acme", "coinbase", "desk", "BTC", D("231.75"))
    ]
    assert [name for name, *_ in ask("DESCRIBE book")][:16] == [
        "calendar", "day", "as_of", "entity", "venue", "portfolio", "native_code", "asset", "network",
        "balance", "pending_balance", "price", "price_basis", "currency", "value", "reason",
    ]  # fmt: skip


def test_holdings_now_lists_what_is_held_and_what_is_not_known(ask):
    held = ask("SELECT native_code, balance, value FROM holdings_now ORDER BY native_code")
    assert held == [
        ("ADA", None, None),
        ("BTC", D("2.25"), D("231.75")),
        ("EUR", None, None),
        ("USD", D(1000), D(1000)),
        ("USDC", D(-20), None),
        ("XYZ", D(7), None),
    ]


def test_unpriced_says_why(ask):
    assert ask("SELECT native_code, balance, reason FROM unpriced WHERE day = '2025-01-03' ORDER BY ALL") == [
        ("USDC", D(-20), "NO_USD_PAIR"),
        ("XYZ", D(7), "UNMAPPED_ASSET"),
    ]


def test_value_by_day_keeps_currencies_and_unpriced_rows_apart(ask):
    lines = ask("SELECT portfolio, currency, price_basis, value, priced_rows, unpriced_rows FROM value_by_day WHERE day = '2025-01-03'")
    assert sorted(lines, key=str) == [
        ("desk", "EUR", "PAR", None, 0, 1),  # its balance is not known
        ("desk", "USD", "PAR", D(1000), 1, 0),
        ("desk", "USD", "VWAP_24H", D("231.75"), 1, 0),
        ("desk", None, None, None, 0, 2),
        ("perps", None, None, None, 0, 1),
    ]


def test_qualified_lists_the_rows_to_read_with_care_and_why(ask):
    assert ask("SELECT native_code, reasons FROM qualified WHERE day = '2025-01-03' ORDER BY ALL") == [
        ("ADA", "the opening is unknown"),
        ("EUR", "the opening is unknown"),
        ("USDC", "no price: NO_USD_PAIR"),  # a margin account may owe
        ("XYZ", "no price: UNMAPPED_ASSET"),
    ]


def test_every_view_says_what_it_is():
    assert {view.stem for view in VIEWS} == {"book", "holdings_now", "unpriced", "value_by_day", "qualified"}
    assert all(view.read_text().startswith("-- ") for view in VIEWS + EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_each_question_worth_keeping_has_an_answer(ask, example):
    assert len(ask(example.read_text())) > 0


def test_the_largest_movers_are_only_those_valued_on_both_days(ask):
    movers = ask((SQL / "examples" / "largest_movers.sql").read_text())
    assert [(m[3], m[4], m[5], m[6], m[7]) for m in movers] == [("desk", "BTC", "USD", D("0.75"), D("81.749999999999999998"))]


@pytest.mark.skipif(not SHELL.exists(), reason="duckdb-cli, the 1.5 shell people use, is not installed here")
@pytest.mark.parametrize("question", [f"FROM {view.stem}" for view in VIEWS] + [e.read_text() for e in EXAMPLES])
def test_a_duckdb_1_5_shell_reads_it(published, question):
    done = subprocess.run([SHELL, "-readonly", "-csv", published, "-c", question], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) > 1
