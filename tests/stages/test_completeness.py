"""What was proved of an account, interval by interval, and what daily rows say of it."""

from __future__ import annotations

import polars as pl
import pytest

from pipelines.stages import chain, completeness, tie_outs
from pipelines.tables import DAILY_BALANCES, INSTANT, INT, MONEY, TEXT
from tests.ledger_text import D, instant, rows

T0, LAST = instant("2025-01-01"), instant("2025-01-20")
WELL = {
    "account_id": 1,
    "kind": "INCEPTION",
    "opened_at": T0,
    "entries": 9,
    "last_at": LAST,
    "gapless": False,
    "counted": None,
    "tied": "AGREES",
    "tied_pending": None,
}


def account(**differs: object) -> pl.DataFrame:
    return pl.DataFrame([WELL | differs], schema=completeness.ACCOUNT)


def breaks(*between: tuple[str, str, str]) -> pl.DataFrame:
    found = [{"account_id": 1, "kind": kind, "since": instant(since), "until": instant(until)} for kind, since, until in between]
    return pl.DataFrame(found, schema={k: v for k, v in chain.BREAK.items() if k in ("account_id", "kind", "since", "until")})


def said(accounts: pl.DataFrame, broken: pl.DataFrame | None = None) -> list[tuple]:
    got = completeness.intervals(accounts, breaks() if broken is None else broken)
    return got.select("since", "balance_status", "movements_status", "reasons").rows()


@pytest.mark.parametrize(
    ("case", "differs", "expected"),
    [
        ("anchored, chained and tied out", {}, [(T0, "COMPLETE", "NOT_TESTED", None)]),
        (
            "ids without a gap prove movements, as far as they reach",
            {"gapless": True},
            [(T0, "COMPLETE", "COMPLETE", None), (LAST, "COMPLETE", "NOT_TESTED", None)],
        ),
        ("so does the venue's own count", {"counted": "AGREES"}, [(T0, "COMPLETE", "COMPLETE", None)]),
        ("which may differ", {"counted": "DIFFERS"}, [(T0, "COMPLETE", "EXCEPTION", "COUNT_DIFFERS")]),
        (
            "a live balance that differs casts doubt on what follows the last posting",
            {"tied": "DIFFERS"},
            [(T0, "COMPLETE", "NOT_TESTED", None), (LAST, "EXCEPTION", "NOT_TESTED", "LIVE_DIFFERS")],
        ),
        (
            "so does a key that may not read it",
            {"tied": None, "kind": "DERIVED_FIRST_POSTING"},
            [(T0, "COMPLETE", "NOT_TESTED", None), (LAST, "EXCEPTION", "NOT_TESTED", "NO_TIE_OUT;OPENING_DERIVED")],
        ),
        ("where no row was read nothing is complete", {"entries": 0, "last_at": None}, [(T0, "NOT_TESTED", "NOT_TESTED", "NO_ENTRIES")]),
        ("an opening nobody knows", {"kind": "UNKNOWN"}, [(T0, "EXCEPTION", "NOT_TESTED", "OPENING_UNKNOWN")]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_intervals(case, differs, expected) -> None:
    assert said(account(**differs)) == expected, case


def test_a_break_makes_the_balance_uncertain_between_its_neighbours_only_and_movements_for_good() -> None:
    one, two = instant("2025-01-05"), instant("2025-01-07")
    assert said(account(gapless=True), breaks(("BALANCE", "2025-01-05", "2025-01-07"))) == [
        (T0, "COMPLETE", "COMPLETE", None),
        (one, "EXCEPTION", "EXCEPTION", "CHAIN_BREAK"),
        (two, "COMPLETE", "EXCEPTION", None),
    ]


def test_a_break_between_rows_of_one_instant_leaves_no_as_of_uncertain() -> None:
    got = said(account(), breaks(("BALANCE", "2025-01-05", "2025-01-05")))
    assert [row[1:] for row in got] == [("COMPLETE", "NOT_TESTED", None), ("COMPLETE", "EXCEPTION", None)]


def test_a_break_of_pending_is_named_and_moves_no_status() -> None:
    got = said(account(), breaks(("PENDING", "2025-01-05", "2025-01-07")))
    assert [row[1:] for row in got] == [
        ("COMPLETE", "NOT_TESTED", None),
        ("COMPLETE", "NOT_TESTED", "PENDING_BREAK"),
        ("COMPLETE", "NOT_TESTED", None),
    ]


def test_daily_rows_take_the_words_of_their_interval_and_stale_ones_stay_stale() -> None:
    daily = rows(
        DAILY_BALANCES,
        """
        day        | as_of      | balance | reported_balance | balance_status | movements_status | status_reasons
        2025-01-04 | 2025-01-05 | 5       | 5                | NOT_TESTED     | NOT_TESTED       | -     # the break begins here, exclusive
        2025-01-06 | 2025-01-07 | 5       | 5                | NOT_TESTED     | NOT_TESTED       | NEGATIVE_BALANCE
        2025-01-07 | 2025-01-08 | 5       | 7                | NOT_TESTED     | NOT_TESTED       | CHAIN_BREAK
        2025-01-30 | 2025-01-31 | 5       | 7                | STALE          | NOT_TESTED       | READ_BEFORE_AS_OF;CHAIN_BREAK
        """,
        calendar="utc", account_id=1,
    )  # fmt: skip
    known = completeness.intervals(account(gapless=True), breaks(("BALANCE", "2025-01-05", "2025-01-07")))
    got = completeness.marked(daily, known).select("balance_status", "movements_status", "status_reasons")
    assert got.rows() == [
        ("COMPLETE", "COMPLETE", None),
        ("EXCEPTION", "EXCEPTION", "NEGATIVE_BALANCE;CHAIN_BREAK"),
        ("NOT_TESTED", "EXCEPTION", "CHAIN_BREAK"),  # the venue's 7 is proved, our 5 is not it
        ("STALE", "STALE", "READ_BEFORE_AS_OF;CHAIN_BREAK"),
    ]


LIVE = {"account_id": INT, "scope": TEXT, "amount": MONEY, "asked_at": INSTANT}


@pytest.mark.parametrize(
    ("case", "live", "outcome"),
    [
        ("it is the chain's", "7", "AGREES"),
        ("an event came in between", "9", "EXPLAINED"),
        ("the event before was not yet in it", "5", "EXPLAINED"),
        ("nothing explains it", "8", "DIFFERS"),
    ],
)
def test_a_live_balance_ties_out_to_the_chain_around_the_moment_it_was_asked_for(case: str, live: str, outcome: str) -> None:
    asked = instant("2025-01-20T12:00:00Z")
    states = pl.DataFrame(
        [(1, None, D(5), None), (1, instant("2025-01-20T11:59:00Z"), D(7), None), (1, instant("2025-01-20T12:00:01Z"), D(9), D(2))],
        schema=tie_outs.STATES,
        orient="row",
    )
    told = pl.DataFrame([(1, "account", D(live), asked), (1, "pending", D(2), asked)], schema=LIVE, orient="row")
    got = tie_outs.tie_outs(told, states)
    assert got.select("kind", "theirs", "ours", "outcome").row(0) == ("BALANCE", D(live), D(7), outcome), case
    assert got.select("kind", "outcome").row(1) == ("PENDING", "EXPLAINED")


@pytest.mark.parametrize(
    ("case", "main", "beside", "told"),
    [
        ("the history runs over the main account", "7", "2", ("7", "AGREES")),
        ("it runs over both", "5.5", "1.5", ("7", "AGREES")),
        ("an event of both came in between", "7.5", "1.5", ("9", "EXPLAINED")),
        ("it agrees with both now, and with the main account only earlier", "5", "2", ("7", "AGREES")),
        ("both explain it: the main account does it alone", "9", "0", ("9", "EXPLAINED")),
        ("neither does", "8", "3", ("8", "DIFFERS")),
        ("nothing is told of the main account, and it runs over the others", None, "7", ("7", "AGREES")),
        ("nothing is told of the main account, and it does not", None, "4", None),
    ],
)
def test_a_history_says_by_its_own_balances_whether_it_runs_over_sub_accounts_too(case, main, beside, told) -> None:
    asked = instant("2025-01-20T12:00:00Z")
    states = pl.DataFrame(
        [(1, None, D(5), None), (1, instant("2025-01-20T11:59:00Z"), D(7), None), (1, instant("2025-01-20T12:00:01Z"), D(9), None)],
        schema=tie_outs.STATES,
        orient="row",
    )
    scopes = [(1, scope, D(amount), asked) for scope, amount in (("account", main), ("sub_accounts", beside)) if amount is not None]
    got = tie_outs.tie_outs(pl.DataFrame(scopes, schema=LIVE, orient="row"), states).select("theirs", "outcome").rows()
    assert got == ([(D(told[0]), told[1])] if told else []), case
