"""A posting proves its neighbour: what is missing is named, where and how much, and nothing else is."""

from __future__ import annotations

import random
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stages import chain
from pipelines.tables import INSTANT, MONEY
from tests.ledger_text import D, instant
from tests.stages.scenario import postings

T = instant("2025-01-01")


def standing(*rows: tuple[int, object, object]) -> pl.DataFrame:
    """account, opening, opened_at"""
    values = [(account, opened_at, -1, opening, None) for account, opening, opened_at in rows]
    return pl.DataFrame(values, schema=chain.STANDING, orient="row")


LEDGER = """
    account_id | occurred_at          | position | amount | balance_after
    1          | 2025-01-01           | 0        | 5      | 5
    2          | 2025-01-01           | 0        | 7      | 107
    1          | 2025-01-02           | 0        | -1     | 4
    1          | 2025-01-02           | 1        | 2.5    | 6.5
    1          | 2025-01-03           | 0        | -6     | 0.5
    2          | 2025-01-04           | 0        | -7     | 100
"""
OPENED = standing((1, D(0), T), (2, D(100), T))


def proof(rows: pl.DataFrame, opened: pl.DataFrame = OPENED) -> chain.Proof:
    return chain.prove(opened, rows)


def test_a_whole_ledger_has_no_break_and_says_where_accounts_stand() -> None:
    got = proof(postings(LEDGER).collect())
    assert got.breaks.is_empty()
    assert got.standing["balance_after"].to_list() == [D("0.5"), D(100)]
    assert got.doubts.is_empty()


@pytest.mark.parametrize(
    ("deleted", "between", "missing"),
    [
        (0, ("2025-01-01", -1, "2025-01-02", 0), "5"),
        (2, ("2025-01-01", 0, "2025-01-02", 1), "-1"),
        (3, ("2025-01-02", 0, "2025-01-03", 0), "2.5"),
    ],
)
def test_a_row_that_is_taken_away_is_named_with_both_neighbours_and_its_amount(deleted: int, between: tuple, missing: str) -> None:
    rows = postings(LEDGER).collect()
    [got] = proof(rows.filter(pl.int_range(pl.len()) != deleted)).breaks.to_dicts()
    assert (got["account_id"], got["kind"]) == (1, "BALANCE")
    assert (got["since"], got["since_position"], got["until"], got["until_position"]) == (
        instant(between[0]), between[1], instant(between[2]), between[3],
    )  # fmt: skip
    assert got["missing"] == D(missing)
    assert got["stood"] + got["moved"] + got["missing"] == got["reported"]


def test_the_last_row_leaves_no_trace_in_the_chain_and_the_live_balance_must_tell() -> None:
    assert proof(postings(LEDGER).collect().head(4)).breaks.is_empty()


def test_pending_has_a_chain_of_its_own_and_rows_that_do_not_report_it_are_not_part_of_it() -> None:
    rows = postings("""
        account_id | occurred_at | event_type      | amount | balance_after | pending_amount | pending_after
        1          | 2025-01-01  | deposit         | 0      | 0             | 9              | 9
        1          | 2025-01-02  | deposit_release | 9      | 9             | -9             | 0
        1          | 2025-01-03  | trade           | 1      | 10            | 0              | 4       # a deposit of 4 is gone
        2          | 2025-01-03  | trade           | 1      | 101           | -              | -
    """).collect()
    [got] = proof(rows).breaks.to_dicts()
    assert (got["kind"], got["since"], got["until"], got["missing"]) == ("PENDING", instant("2025-01-02"), instant("2025-01-03"), D(4))


def test_an_asserted_opening_contains_what_lies_before_it_and_must_lead_to_what_follows() -> None:
    [got] = proof(postings(LEDGER).collect(), standing((1, D(9), instant("2025-01-02")))).breaks.to_dicts()
    assert (got["since"], got["since_position"], got["missing"]) == (instant("2025-01-02"), -1, D(-4))


def test_an_unknown_opening_breaks_nothing() -> None:
    assert proof(postings(LEDGER).collect(), standing((1, None, None))).breaks.is_empty()


def test_an_instant_that_comes_back_to_a_balance_is_looked_at_again() -> None:
    rows = postings("""
        account_id | occurred_at | position | amount | balance_after
        1          | 2025-01-01  | 0        | 2      | 2
        1          | 2025-01-01  | 1        | -2     | 0
        1          | 2025-01-02  | 0        | 2      | 2
        1          | 2025-01-03  | 0        | 1      | 3
        1          | 2025-01-03  | 1        | 1      | 4
    """).collect()
    assert proof(rows).doubts.rows() == [(1, instant("2025-01-01"))]


AMOUNTS = st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 5), st.booleans()), min_size=1, max_size=25)


@settings(max_examples=60)
@given(AMOUNTS, st.data())
def test_breaks_are_those_of_plain_arithmetic_in_any_layout_and_any_slices(moves, data) -> None:
    balance, rows, expected = dict.fromkeys(range(4), D(0)), [], []
    position: dict[tuple, int] = {}
    for n, (account, amount, kept) in enumerate(moves):
        at = T + timedelta(hours=1 + n // 3)
        place = position[account, at] = position.get((account, at), -1) + 1
        balance[account] += amount
        if kept:
            rows.append((account, at, place, D(amount), balance[account], None, None))
    rows_kept = pl.DataFrame(rows, schema=dict(zip(chain.LINKS, _TYPES, strict=True)), orient="row")
    stood = dict.fromkeys(range(4), D(0))
    for account, at, place, amount, after, *_ in rows:
        if missing := after - amount - stood[account]:
            expected.append((account, at, place, missing))
        stood[account] = after
    opened = standing(*((n, D(0), T) for n in range(4)))
    shuffled = rows_kept[random.Random(data.draw(st.integers(0, 99))).sample(range(rows_kept.height), rows_kept.height)]
    whole = chain.prove(opened, shuffled)
    assert sorted(whole.breaks.select("account_id", "until", "until_position", "missing").rows()) == sorted(expected)
    cut = T + timedelta(hours=data.draw(st.integers(0, 10)))
    first = chain.prove(opened, rows_kept.filter(pl.col("occurred_at") < cut))
    rest = chain.prove(first.standing, rows_kept.filter(pl.col("occurred_at") >= cut))
    key = ["account_id", "until", "until_position"]
    assert pl.concat([first.breaks, rest.breaks]).sort(key).equals(whole.breaks.sort(key))
    assert rest.standing.equals(whole.standing)
    assert pl.concat([first.doubts, rest.doubts]).sort("account_id", "occurred_at").equals(whole.doubts)


_TYPES = (pl.Int32, INSTANT, pl.Int32, MONEY, MONEY, MONEY, MONEY)
