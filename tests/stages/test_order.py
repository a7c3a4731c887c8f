"""Rows that share an instant are put where the chain proves they belong, or the instant is marked."""

from __future__ import annotations

import csv
import random
from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stages import order
from pipelines.tables import INSTANT, INT, MONEY, TEXT
from tests.conftest import DATA
from tests.ledger_text import D, instant

ROWS = {
    "account_id": INT,
    "occurred_at": INSTANT,
    "event_id": TEXT,
    "event_type": TEXT,
    "amount": MONEY,
    "balance_after": MONEY,
    "pending_after": MONEY,
}
BEFORE = {"account_id": INT, "balance_before": MONEY, "pending_before": MONEY}
T = instant("2025-01-01")
LEDGERS = 10  # accounts of one example: 100 examples are 1,000 ledgers


def frame(rows: list[tuple]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=ROWS, orient="row")


def known(*balances: tuple[int, object, object]) -> pl.DataFrame:
    return pl.DataFrame(list(balances), schema=BEFORE, orient="row")


def shown(text: str, at: datetime = T) -> pl.DataFrame:
    """`type amount balance [pending]`, one line each, all of account 1 and at one instant."""
    cells = [line.split() for line in text.strip().splitlines()]
    return frame([(1, at, None, t, D(a), D(b), D(p[0]) if p else None) for t, a, b, *p in cells])


def balances(got: pl.DataFrame) -> list[str]:
    return [f"{b.normalize():f}" for b in got["balance_after"]]


def test_rows_shown_in_any_order_are_put_where_their_balances_lead() -> None:
    rows = shown("""
        match   -3   9
        deposit 12  12
        fee     -1   8
    """)
    got = order.ordered(rows, known((1, D(0), None)), signed=True)
    assert balances(got) == ["12", "9", "8"]
    assert got["position"].to_list() == [0, 1, 2]
    assert got["mark"].to_list() == [None, None, None]


def test_where_several_orders_chain_the_closing_balance_still_holds_and_the_instant_is_marked() -> None:
    rows = shown("""
        deposit 2 2
        fee    -2 0
        deposit 5 5
        fee    -5 0
    """)
    got = order.ordered(rows, known((1, D(0), None)), signed=True)
    assert balances(got)[-1] == "0"
    assert set(got["mark"]) == {"AMBIGUOUS_ORDER"}


def test_unsigned_amounts_are_ordered_by_whichever_sign_chains() -> None:
    rows = shown("""
        odd     3   5
        refund  4   9
        odd     2   8
    """)
    got = order.ordered(rows, known((1, D(10), None)), signed=False)
    assert balances(got) == ["8", "5", "9"]
    assert got["mark"].null_count() == 3


def test_a_deposit_and_its_release_at_one_instant_are_ordered_by_both_balances() -> None:
    rows = shown("""
        deposit_release 7 107 0
        deposit         7 100 7
    """)
    got = order.ordered(rows, known((1, D(100), D(0))), signed=False)
    assert got["event_type"].to_list() == ["deposit", "deposit_release"]
    assert got["mark"].null_count() == 2


def test_ids_order_what_the_chain_leaves_open_and_say_so_where_they_disagree() -> None:
    rows = shown("deposit 2 2\nfee -2 0\ndeposit 5 5\nfee -5 0").with_columns(event_id=pl.Series(["12", "13", "9", "10"]))
    got = order.ordered(rows, known((1, D(0), None)), signed=True)
    assert got["event_id"].to_list() == ["9", "10", "12", "13"]
    assert got["mark"].null_count() == 4
    crossed = shown("deposit 2 2\nfee -1 1").with_columns(event_id=pl.Series(["2", "1"]))
    got = order.ordered(crossed, known((1, D(0), None)), signed=True)
    assert balances(got) == ["2", "1"]
    assert set(got["mark"]) == {"IDS_DISAGREE"}


def test_an_instant_begins_where_the_one_before_it_was_found_to_end() -> None:
    first = shown("fee -1 4\ndeposit 5 5")
    second = shown("fee -4 0\ndeposit 4 4", at=T + timedelta(seconds=1))  # a circle: it begins where the first instant ends
    got = order.ordered(pl.concat([first, second]), known((1, D(0), None)), signed=True)
    assert balances(got) == ["5", "4", "0", "4"]
    assert got["mark"].null_count() == 4


def test_a_row_that_is_missing_inside_an_instant_moves_none_of_the_others_to_the_wrong_side() -> None:
    rows = pl.concat(
        [shown("fee -1 4\ndeposit 3 3\ndeposit 2 6"), shown("fee -1 5", at=T + timedelta(seconds=1))]
    )  # +2 from 3 to 5 is gone
    got = order.ordered(rows, known((1, D(0), None)), signed=True)
    assert balances(got) == ["3", "4", "6", "5"]


AMOUNTS = st.integers(-(10**12), 10**12).filter(bool).map(lambda n: D(n) / 10**8)
INSTANTS = st.lists(st.lists(AMOUNTS, min_size=2, max_size=7), min_size=1, max_size=3)


def ledger(account: int, instants: list[list[D]], opening: D) -> list[tuple]:
    rows, balance = [], opening
    for n, amounts in enumerate(instants):
        for amount in amounts:
            balance += amount
            rows.append((account, T + timedelta(seconds=n), None, "match", amount, balance, None))
    return rows


@settings(max_examples=100)
@given(st.lists(st.tuples(INSTANTS, AMOUNTS), min_size=LEDGERS, max_size=LEDGERS), st.booleans(), st.randoms(use_true_random=False))
def test_a_thousand_ledgers_shuffled_within_their_instants_end_where_they_ended(books, signed: bool, shuffle: random.Random) -> None:
    true = [ledger(n, instants, opening) for n, (instants, opening) in enumerate(books)]
    rows = [row for book in true for row in book]
    shuffle.shuffle(rows)
    mixed = frame(sorted(rows, key=lambda row: row[1]))
    got = order.ordered(mixed, known(*((n, opening, None) for n, (_, opening) in enumerate(books))), signed)
    expected = frame([row for book in true for row in book])
    assert closing(got).equals(closing(expected))
    certain = got["mark"].is_null()
    assert got.filter(certain).select(list(ROWS)).equals(expected.filter(certain))


def closing(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by("account_id", "occurred_at", maintain_order=True).agg(pl.col("balance_after").last())


@pytest.mark.skipif(not (DATA / "real").is_dir(), reason="real data is not beside this checkout (../shared/data/real)")
@pytest.mark.parametrize("with_ids", [True, False])
def test_the_real_wallet_shuffled_is_put_back_as_it_was(with_ids: bool) -> None:
    with (DATA / "real" / "ledger.csv").open() as file:
        wallet = [(1, r["occurred_at"], r["event_id"], r["event_type"], r["amount"], r["balance_after"]) for r in csv.DictReader(file)]
    true = frame([(1, instant(at), e, t, D(a), D(b), None) for _, at, e, t, a, b in wallet])
    groups = list(true.with_row_index("n").group_by("occurred_at", maintain_order=True).agg("n")["n"].to_list())
    tied = sum(len(group) > 1 for group in groups)
    shuffle = random.Random(1)
    places = [n for group in groups for n in shuffle.sample(group, len(group))]
    mixed = true[places] if with_ids else true[places].with_columns(event_id=pl.lit(None, TEXT))
    got = order.ordered(mixed, known((1, D("13.60473449"), None)), signed=True)
    assert tied == 1111
    assert closing(got).equals(closing(true))
    certain = got["mark"].is_null()
    facts = [c for c in ROWS if c != "event_id"]
    assert got.filter(certain).select(facts).equals(true.filter(certain).select(facts))
    assert all(b + a == c for (b, a, c) in zip(got["balance_after"], got["amount"][1:], got["balance_after"][1:], strict=False))
    assert not with_ids or certain.all()
    assert len([1 for a, b in pairwise(got["position"]) if b]) == true.height - len(groups)
