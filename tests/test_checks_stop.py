"""Nobody sees a number that has not passed the checks; what is a fact of life is published and marked."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.conftest import closebook


@pytest.fixture
def book(closed: Path) -> Path:
    return closed


def published(folder: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str((folder / "data/published/closebook.duckdb").resolve()), read_only=True) as con:
        return con.execute(sql).fetchall()


def tamper(folder: Path, *statements: str) -> None:
    """Change the warehouse behind everybody's back, as a bug of ours would, and let it look like a new fact."""
    with duckdb.connect(str(folder / "data/warehouse.duckdb")) as con:
        for statement in statements:
            con.execute(statement)
        con.execute("INSERT INTO commits SELECT max(recorded_at) + INTERVAL 1 SECOND, 'tampered', 1 FROM commits")
        con.execute("UPDATE closed_days SET touched_at = (SELECT max(recorded_at) FROM commits)")


def test_a_planted_wrong_value_stops_the_publication_and_the_next_good_run_publishes(book: Path) -> None:
    link = book / "data/published/closebook.duckdb"
    before, bytes_before = link.resolve(), link.read_bytes()
    row = "day = DATE '2025-01-03' AND account_id = (SELECT account_id FROM accounts WHERE native_code = 'BTC')"
    tamper(book, f"UPDATE daily_values SET value = value + 0.000000000000000001 WHERE {row}")

    done = closebook("run", cwd=book)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "BLOCK daily_values_exact: 1 of" in done.stdout
    assert "2025-01-03" in done.stdout
    assert link.resolve() == before
    assert link.read_bytes() == bytes_before

    tamper(book, "INSERT INTO dirty VALUES ('ASSET', 'BTC', TIMESTAMPTZ '1970-01-01 00:00:00Z', NULL, 'mend', now())")
    mended = closebook("run", cwd=book)
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert link.resolve() != before
    [(balance, price, value)] = published(book, f"SELECT balance, price, value FROM daily_values WHERE {row}")
    assert value == balance * price
    with duckdb.connect(str(book / "data/warehouse.duckdb"), read_only=True) as con:
        looked = "SELECT publication_id, bool_and(since IS NULL) FROM check_results WHERE weight = 'BLOCK' GROUP BY ALL ORDER BY ALL"
        assert con.execute(looked).fetchall() == [(1, True), (2, False), (3, False)], "the first looked at everything"


def test_a_planted_wrong_balance_is_named_by_the_rule_of_flows(book: Path) -> None:
    tamper(book, "UPDATE daily_balances SET balance = balance + 1 WHERE day = DATE '2025-01-03' AND balance = 1.5")
    done = closebook("run", cwd=book)
    assert done.returncode == 1
    assert "BLOCK daily_balances_flows" in done.stdout


def test_a_negative_balance_publishes_and_is_marked(book: Path) -> None:
    marked = published(
        book, "SELECT day::VARCHAR, balance::VARCHAR, status_reasons FROM book WHERE native_code = 'USD' AND balance < 0 ORDER BY day"
    )
    assert marked[0][0] == "2025-01-05"
    assert all("NEGATIVE_BALANCE" in reasons for _, _, reasons in marked)


def test_running_again_with_nothing_new_publishes_nothing(book: Path) -> None:
    link = book / "data/published/closebook.duckdb"
    before = link.resolve()
    done = closebook("run", cwd=book)
    assert done.returncode == 0
    assert "Nothing new" in done.stdout
    assert link.resolve() == before
