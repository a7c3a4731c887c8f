"""However the book was closed, day by day or at once, with outages or without, it is the same book."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.sandbox.generate import generate
from pipelines.sandbox.serve import Sandbox
from pipelines.tables import DAILY_BALANCES, DAILY_PRICES, DIRTY, POSTINGS
from tests.closing_once import DAILY, House, house
from tests.ledger_text import D, instant

DAYS = 14


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    generate(folder, DAYS)
    return folder


def same_book(one: House, other: House) -> None:
    for table in DAILY:
        left, right = one.table(table), other.table(table)
        assert left.height > DAYS
        assert left.equals(right), f"{table.name} differs: {left.join(right, on=left.columns, how='anti', nulls_equal=True)}"


def test_day_by_day_with_outages_is_the_same_as_all_at_once(tmp_path: Path, dataset: Path) -> None:
    with Sandbox(dataset) as sandbox, house(tmp_path / "steps", sandbox) as steps, house(tmp_path / "once", sandbox) as once:
        end = sandbox.now
        for back in (11, 10, 9, 5, 4, 1, 0):  # what is left out is an outage
            sandbox.now = end - timedelta(days=back) + (timedelta(minutes=20) if back else timedelta())
            assert [o.error for o in steps.run() if o.error] == []
        once.run()
        same_book(steps, once)
        assert steps.table(DIRTY).is_empty()


def test_a_second_run_with_nothing_new_changes_nothing_and_asks_little(tmp_path: Path, dataset: Path) -> None:
    with Sandbox(dataset) as sandbox, house(tmp_path, sandbox) as book:
        book.run()
        changed, before = book.warehouse.changed_at(), sum(sandbox.requests.values())
        book.run()
        assert book.warehouse.changed_at() == changed
        accounts = book.warehouse.sql("SELECT count(*) AS n FROM accounts")["n"][0]
        assert sum(sandbox.requests.values()) - before <= accounts + 6 * len(book.config.portfolio) + 2
        assert sandbox.refused == 0


def test_a_late_event_moves_exactly_the_days_after_it_and_the_past_still_answers_as_before(tmp_path: Path, dataset: Path) -> None:
    with Sandbox(dataset) as sandbox, house(tmp_path, sandbox) as book:
        end = sandbox.now
        sandbox.now = end - timedelta(days=1)
        book.run()
        before, postings = book.table(DAILY_BALANCES), book.table(POSTINGS)
        sandbox.now = end
        book.run()
        after = book.table(DAILY_BALANCES).filter(pl.col("as_of") < end)
        late = book.table(POSTINGS).filter(
            pl.col("recorded_at") > postings["recorded_at"].max(), pl.col("occurred_at") < end - timedelta(days=2)
        )
        first = late.sort("occurred_at").row(0, named=True)
        moved = before.join(after, on=["calendar", "day", "account_id"], suffix="_after").filter(
            pl.col("balance") != pl.col("balance_after")
        )
        assert set(moved["account_id"]) == {first["account_id"]}
        assert set(moved["balance_after"] - moved["balance"]) == {first["amount"]}
        assert moved["as_of"].min() > first["occurred_at"] > moved["as_of"].min() - timedelta(days=1)
        assert (
            moved.height == before.filter((pl.col("account_id") == first["account_id"]) & (pl.col("as_of") > first["occurred_at"])).height
        )


def test_a_policy_prices_its_days_from_the_next_run_on_and_its_removal_unprices_them(tmp_path: Path, dataset: Path) -> None:
    policy = '\n[[policy]]\nasset = "USDC"\nprice = "1"\ncurrency = "USD"\nfrom = 2025-06-25T00:00:00Z\napprover = "controller"\n'
    with Sandbox(dataset) as sandbox:
        with house(tmp_path, sandbox) as plain:
            plain.run()
            assert usdc(plain) == {(None, "NO_USD_PAIR")}
        with house(tmp_path, sandbox, policy) as priced:
            priced.run()
            assert usdc(priced, "as_of >= '2025-06-25'") == {(D(1), None)}
            assert usdc(priced, "as_of < '2025-06-25'") == {(None, "NO_USD_PAIR")}
        with house(tmp_path, sandbox) as plain:
            plain.run()
            assert usdc(plain) == {(None, "NO_USD_PAIR")}


def usdc(book: House, condition: str = "true") -> set[tuple]:
    rows = book.warehouse.read(DAILY_PRICES, f"asset = 'USDC' AND {condition}")
    assert rows.height
    return set(rows.select("price", "reason").rows())


def test_a_calendar_that_is_added_later_is_closed_for_every_day(tmp_path: Path, dataset: Path) -> None:
    with Sandbox(dataset) as sandbox:
        text = 'calendars = ["utc", "new_york"]'
        with house(tmp_path, sandbox) as book:
            book.run()
        sandbox_text = sandbox.config_text().replace("[book]", f"[book]\n{text}")
        sandbox.config_text = lambda: sandbox_text  # type: ignore[method-assign]
        with house(tmp_path, sandbox) as book:
            book.run()
            days = book.warehouse.sql(
                "SELECT calendar, count(*) AS n, min(as_of) AS first FROM closed_days GROUP BY calendar ORDER BY calendar"
            )
    assert days["calendar"].to_list() == ["new_york", "utc"]
    assert days["n"].to_list() == [DAYS, DAYS]
    assert days["first"][0] == instant("2025-06-17T21:00:00Z")


def test_a_warehouse_that_is_lost_is_rebuilt_from_the_archive_alone(tmp_path: Path, dataset: Path) -> None:
    with Sandbox(dataset) as sandbox, house(tmp_path / "first", sandbox) as first:
        first.run()
        with house(tmp_path / "again", sandbox) as again:
            again.archive, again.journal = first.archive, first.journal
            again.run()
            same_book(first, again)
            assert again.table(POSTINGS).equals(first.table(POSTINGS)), "recorded_at included"
