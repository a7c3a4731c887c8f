"""The views people query, and the questions worth keeping, over the small book."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pipelines.stages.rollforward import EVENT_COLUMNS
from tests.ledger_text import D

SQL = Path(__file__).parents[2] / "sql"
VIEWS = sorted((SQL / "views").glob("*.sql"))
EXAMPLES = sorted((SQL / "examples").glob("*.sql"))
SHELL = Path(sys.executable).with_name("duckdb")


BESIDE = """
    INSERT INTO daily_prices
    SELECT * REPLACE ('LAST_CLOSE' AS method, 'LAST_CLOSE' AS price_basis, 103 AS price, 98 AS spread_bps)
    FROM daily_prices WHERE price = 102
"""
"""A price by another method stands beside the book's and multiplies nothing."""


@pytest.fixture(scope="module")
def published(book, tmp_path_factory) -> Path:
    """The book, and a price by another method."""
    path = Path(shutil.copy(book, tmp_path_factory.mktemp("published") / "closebook.duckdb"))
    with duckdb.connect(str(path)) as con:
        con.execute(BESIDE)
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


def test_the_inbox_lists_what_is_the_matter_and_what_would_resolve_it(ask):
    assert ask("SELECT matter, portfolio, native_code, amount, state FROM issues ORDER BY ALL") == [
        ("OPENING", "desk", "ADA", None, "OPEN"),
        ("OPENING", "desk", "EUR", None, "OPEN"),
        ("UNKNOWN_TYPE", "perps", "USDC", D(69), "OPEN"),
        ("UNMAPPED", "desk", "XYZ", None, "OPEN"),
        ("UNPRICED", None, "USDC", D(-20), "OPEN"),
    ]
    assert ask("SELECT count(*), count(DISTINCT issue), count(resolved_by), count(says), min(age_days) FROM issues") == [(5, 5, 5, 5, 0)]


def test_the_inbox_knows_the_types_that_the_roll_forward_knows(ask):
    told = (SQL / "views" / "issues.sql").read_text().partition("known_types AS")[2].partition("), later AS")[0]
    known = ask("SELECT venue, event_type FROM (" + told.partition("\n")[2] + ")")
    assert sorted(known) == sorted((venue, word) for venue, words in EVENT_COLUMNS.items() for word in words)


def test_a_day_is_closed_locked_or_open_again(published):
    decided = "('{}', '{}', 'ann', 'why', NULL, NULL, 'utc', '2025-01-01', '{}', NULL, '2025-01-0{}')"
    with duckdb.connect(str(published)) as con:
        states = "SELECT state FROM day_states ORDER BY day"
        assert con.execute(states).fetchall() == [("CLOSED",)] * 3
        con.execute("BEGIN")
        rows = [decided.format(n, kind, day, n) for n, (kind, day) in enumerate([("LOCK", "2025-01-03"), ("REOPEN", "2025-01-02")], 4)]
        con.execute(f"INSERT INTO decisions VALUES {', '.join(rows)}")
        assert con.execute(states).fetchall() == [("LOCKED",), ("REOPENED",), ("REOPENED",)]
        con.execute(f"INSERT INTO decisions VALUES {decided.format(9, 'LOCK', '2025-01-02', 9)}")
        assert con.execute(states).fetchall() == [("LOCKED",), ("LOCKED",), ("REOPENED",)]
        con.execute("ROLLBACK")


def test_what_is_on_the_way_at_a_cut_off_is_listed_with_both_ends(published):
    with duckdb.connect(str(published)) as con:
        con.execute("BEGIN")
        con.execute("INSERT INTO transfers VALUES ('TRANSFER', 'acme', 'USDC', 5, '2025-01-03T02:00Z', 0, 7, NULL, NULL, NULL, NULL, NULL)")
        ways = con.execute("SELECT day::VARCHAR, units, sent_by, received_by, price FROM in_transit ORDER BY ALL").fetchall()
        alone = con.execute("SELECT portfolio, native_code, amount FROM issues WHERE matter = 'UNMATCHED'").fetchall()
        con.execute("ROLLBACK")
    assert ways == [("2025-01-02", D(2), "desk", "perps", D(102)), ("2025-01-03", D(7), "perps", None, None)]
    assert alone == [("perps", "USDC", D(-7))]


def test_the_completeness_report_says_what_each_balance_rests_on(ask):
    rows = ask("SELECT native_code, opening, entries, pages, breaks, tie_out, balance_status FROM completeness_report ORDER BY ALL")
    assert rows[:3] == [
        ("ADA", "UNKNOWN", 1, 1, 0, "NO_TIE_OUT", "NOT_TESTED"),
        ("BTC", "ASSERTED", 3, 1, 0, "NO_TIE_OUT", "NOT_TESTED"),
        ("EUR", "UNKNOWN", 0, 0, 0, "NO_TIE_OUT", "NOT_TESTED"),
    ]
    assert len(rows) == 6


def test_a_statement_that_was_superseded_is_no_longer_in_force(ask):
    assert ask("SELECT number FROM statements_in_force") == [("ACME-2025-01-02",)]


def test_what_was_adjusted_stands_beside_the_venues_balance_from_its_instant_on(published, tmp_path):
    with duckdb.connect(shutil.copy(published, tmp_path / "adjusted.duckdb")) as con:
        con.execute(
            "INSERT INTO adjustments VALUES "
            "('r', 'desk', 'BTC', '2025-01-02', 'adjustment', 0.75, 'ann', 'bob', 'elsewhere', 'letter', '2025-01-04')"
        )
        found = con.execute("SELECT day, balance, adjustment, adjusted FROM adjusted_balances WHERE native_code = 'BTC' ORDER BY day")
        assert [(str(day), a, adjusted - balance) for day, balance, a, adjusted in found.fetchall()] == [
            ("2025-01-01", 0, 0), ("2025-01-02", D("0.75"), D("0.75")), ("2025-01-03", D("0.75"), D("0.75")),
        ]  # fmt: skip


def test_every_view_says_what_it_is():
    assert {view.stem for view in VIEWS} == {
        "book", "holdings_now", "unpriced", "value_by_day", "qualified", "movements", "roll_forward", "issues", "prices_by_method",
        "completeness_report", "in_transit", "day_states", "statements_in_force", "adjusted_balances",
        "population", "reporting",
    }  # fmt: skip
    assert all(view.read_text().startswith("-- ") for view in VIEWS + EXAMPLES)


ANSWERS = {
    "holdings_now": ("portfolio, native_code, balance, value, reason", [
        ("desk", "USD", D(1000), D(1000), None),
        ("desk", "BTC", D("2.25"), D("231.75"), None),
        ("desk", "ADA", None, None, "NO_CANDLES"),
        ("desk", "EUR", None, None, None),  # its price is known, its balance is not
        ("desk", "XYZ", D(7), None, "UNMAPPED_ASSET"),
        ("perps", "USDC", D(-20), None, "NO_USD_PAIR"),
    ]),
    "value_by_day": ("day::VARCHAR, portfolio, currency, value, priced_rows, unpriced_rows", [
        ("2025-01-01", "desk", "EUR", None, 0, 1),
        ("2025-01-01", "desk", "USD", D("1150.000000000000000002"), 2, 0),
        ("2025-01-01", "desk", None, None, 0, 1),
        ("2025-01-02", "desk", "EUR", None, 0, 1),
        ("2025-01-02", "desk", "USD", D(1255), 2, 0),
        ("2025-01-02", "desk", None, None, 0, 2),
        ("2025-01-02", "perps", None, None, 0, 1),
        ("2025-01-03", "desk", "EUR", None, 0, 1),
        ("2025-01-03", "desk", "USD", D("1231.75"), 2, 0),
        ("2025-01-03", "desk", None, None, 0, 2),
        ("2025-01-03", "perps", None, None, 0, 1),
    ]),
    "unpriced": ("portfolio, native_code, balance, reason, since::VARCHAR, days", [
        ("desk", "XYZ", D(7), "UNMAPPED_ASSET", "2025-01-02", 2),
        ("perps", "USDC", D(-20), "NO_USD_PAIR", "2025-01-02", 2),
    ]),
    "largest_movers": ("portfolio, native_code, currency, units, change", [  # only what has a value on both days
        ("desk", "BTC", "USD", D("0.75"), D("81.749999999999999998")),
    ]),
    "roll_forward": ("portfolio, native_code, opening, received, paid, closing, unexplained, movements", [
        ("desk", "ADA", None, D(5), D(0), None, None, 1),  # its opening is not known
        ("desk", "BTC", D("0.5"), D(2), D("-0.25"), D("2.25"), D(0), 3),  # without what was taken back
        ("desk", "EUR", None, D(0), D(0), None, None, 0),
        ("desk", "USD", D(0), D(1000), D(0), D(1000), D(0), 1),
        ("desk", "XYZ", D(0), D(7), D(0), D(7), D(0), 1),
        ("perps", "USDC", D(10), D(0), D(-30), D(-20), D(0), 1),  # without what was before its opening
    ]),
    "completeness": ("portfolio, balance_status, movements_status, accounts, native_codes", [
        ("desk", "NOT_TESTED", "NOT_TESTED", 5, "[ADA, BTC, EUR, USD, XYZ]"),
        ("perps", "NOT_TESTED", "NOT_TESTED", 1, "[USDC]"),
    ]),
    "late_movements": ("day::VARCHAR, portfolio, native_code, event_id, effect", [
        ("2025-01-03", "desk", "BTC", "b3", D(-4)),  # taken back after its day was closed
    ]),
}  # fmt: skip
"""Each question worth keeping: the columns looked at, and its answer over the small book."""


def test_every_question_has_its_answer_here():
    assert set(ANSWERS) == {example.stem for example in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_each_question_worth_keeping_is_answered(ask, example):
    columns, answer = ANSWERS[example.stem]
    assert ask(f"SELECT {columns} FROM ({example.read_text()})") == answer


def test_a_row_shown_again_with_another_balance_after_it_is_no_news(published, ask, tmp_path):
    path = shutil.copy(published, tmp_path)
    with duckdb.connect(str(path)) as con:
        then = "TIMESTAMPTZ '2025-01-04 00:07:00Z'"
        again = f"SELECT * REPLACE (7.25 AS balance_after, {then} AS recorded_at) FROM postings WHERE event_id = 'b4'"
        con.execute(f"INSERT INTO postings {again}")
        con.execute(f"UPDATE postings SET retired_at = {then} WHERE event_id = 'b4' AND balance_after = 2.25")
        late = con.execute(f"SELECT event_id FROM ({(SQL / 'examples' / 'late_movements.sql').read_text()})").fetchall()
    assert late == [("b3",)]


def test_each_day_rolls_forward_to_the_next(ask):
    days = "SELECT day::VARCHAR, opening, received, paid, closing, unexplained FROM roll_forward WHERE native_code = 'BTC' ORDER BY day"
    assert ask(days) == [
        ("2025-01-01", D("0.5"), D(1), D(0), D("1.5"), D(0)),
        ("2025-01-02", D("1.5"), D(1), D(0), D("2.5"), D(0)),
        ("2025-01-03", D("2.5"), D(0), D("-0.25"), D("2.25"), D(0)),
    ]


def test_movements_are_those_that_stand_with_their_names(ask):
    assert ask("SELECT count(*) FROM movements") == [(8,)]
    assert ask("SELECT entity, venue, portfolio, native_code, amount FROM movements WHERE event_id IN ('b3', 'b4')") == [
        ("acme", "coinbase", "desk", "BTC", D("-0.25"))
    ]


@pytest.mark.skipif(not SHELL.exists(), reason="duckdb-cli, the 1.5 shell people use, is not installed here")
@pytest.mark.parametrize("question", [f"FROM {view.stem}" for view in VIEWS] + [e.read_text() for e in EXAMPLES])
def test_a_duckdb_1_5_shell_reads_it(published, question):
    done = subprocess.run([SHELL, "-readonly", "-csv", published, "-c", question], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) > 1


def test_methods_stand_side_by_side(ask):
    told = ask("SELECT day::VARCHAR, asset, price, method, price_by_method, spread_bps FROM prices_by_method")
    assert told == [("2025-01-02", "BTC", D(102), "LAST_CLOSE", D(103), 98)]
