"""Rows as venues show them → postings: signs, order, what is new, what is gone, openings."""

from __future__ import annotations

import polars as pl
import pytest

from pipelines.stages import ledger
from pipelines.tables import INSTANT, INT, MONEY, POSTINGS, TEXT, Column, Table
from tests.ledger_text import D, instant, rows

ROW = Table(
    "rows",
    "what a wire reader gives",
    ("account_id",),
    (
        Column("account_id", INT, ""),
        Column("occurred_at", INSTANT, ""),
        Column("event_id", TEXT, "", null=True),
        Column("event_type", TEXT, ""),
        Column("amount", MONEY, ""),
        Column("balance_after", MONEY, ""),
        Column("pending_after", MONEY, "", null=True),
        Column("page_sha256", TEXT, ""),
    ),
)
BEFORE = {"account_id": INT, "balance_before": MONEY, "pending_before": MONEY}


def signed(text: str, venue: str, before: list[dict[str, object]] | None = None) -> list[object]:
    shown = rows(ROW, text, account_id=1, page_sha256="p")
    return ledger.postings(shown.lazy(), pl.LazyFrame(before or [], schema=BEFORE), venue).collect()["amount"].to_list()


def test_an_unsigned_amount_takes_the_sign_that_the_chain_bears_out() -> None:
    amounts = signed(
        """
        occurred_at | event_type | amount | balance_after
        2025-01-01  | deposit    | 500    | 500    # the first row: the word decides
        2025-01-02  | payment    | 25     | 475    # an unknown word: the chain decides
        2025-01-03  | withdrawal | 5      | 470
        2025-01-04  | refund     | 5      | 475
        """,
        "cryptofuse",
    )
    assert amounts == [D(500), D(-25), D(-5), D(5)]


def test_what_was_known_before_the_walk_signs_its_first_row() -> None:
    known = [{"account_id": 1, "balance_before": D(100), "pending_before": None}]
    shown = """
        occurred_at | event_type | amount | balance_after
        2025-01-02  | strange    | 30     | 70
    """
    assert signed(shown, "cryptofuse", known) == [D(-30)]


def test_where_the_chain_is_broken_the_word_decides_and_nothing_is_plugged() -> None:
    amounts = signed(
        """
        occurred_at | event_type | amount | balance_after
        2025-01-01  | deposit    | 500    | 500
        2025-01-03  | withdrawal | 5      | 400    # 95 more are missing
        """,
        "cryptofuse",
    )
    assert amounts == [D(500), D(-5)]


def test_a_deposit_that_is_pending_moves_the_balance_by_nothing_and_its_release_moves_both() -> None:
    amounts = signed(
        """
        occurred_at | event_type      | amount | balance_after | pending_after
        2025-01-01  | deposit         | 100    | 0             | 100    # the first row of all, pending
        2025-01-02  | deposit_release | 100    | 100           | 0
        2025-01-03  | deposit         | 50     | 100           | 50
        2025-01-04  | trade           | -7     | 93            | 50
        2025-01-05  | deposit_release | 50     | 143           | 0
        """,
        "pacifica",
    )
    assert amounts == [D(0), D(100), D(0), D(-7), D(50)]


def test_what_a_row_moved_of_the_pending_balance_follows_from_the_chain_or_its_word() -> None:
    shown = rows(
        ROW,
        """
        occurred_at | event_type      | amount | balance_after | pending_after
        2025-01-01  | deposit         | 0      | 0             | 100    # printed as what it moved of the balance
        2025-01-02  | trade           | 5      | 5             | 100
        2025-01-03  | deposit_release | 100    | 105           | 0
        2025-01-04  | deposit         | 30     | 105           | 30
        2025-01-05  | deposit_release | 30     | 130           | 0      # 5 of the balance are missing
        """,
        account_id=1,
        page_sha256="p",
    )
    got = ledger.postings(shown.lazy(), pl.LazyFrame([], schema=BEFORE), "pacifica").collect()
    assert got["pending_amount"].to_list() == [D(100), D(0), D(-100), D(30), D(-30)]
    assert got["amount"].to_list() == [D(0), D(5), D(100), D(0), D(30)]


def test_coinbase_signs_its_own_amounts_whatever_the_chain_says() -> None:
    shown = """
        occurred_at | event_type | amount | balance_after
        2025-01-01  | match      | -3     | 10
        2025-01-02  | match      | -4     | 14
    """
    assert signed(shown, "coinbase") == [D(-3), D(-4)]


def test_rows_that_share_an_instant_are_numbered_in_the_order_shown() -> None:
    shown = rows(
        ROW,
        """
        account_id | occurred_at | event_type | amount | balance_after
        1          | 2025-01-01  | match      | 1      | 1
        2          | 2025-01-01  | match      | 9      | 9
        1          | 2025-01-01  | fee        | -0.1   | 0.9
        1          | 2025-01-02  | match      | 1      | 1.9
        """,
        page_sha256="p",
    )
    got = ledger.postings(shown.lazy(), pl.LazyFrame([], schema=BEFORE), "coinbase").collect()
    assert got.select("account_id", "position", "event_type").rows() == [(1, 0, "match"), (1, 1, "fee"), (1, 0, "match"), (2, 0, "match")]


POSTED = """
    occurred_at | position | event_type | amount | balance_after | recorded_at
    2025-01-01  | 0        | deposit    | 5      | 5             | 2025-02-01
    2025-01-02  | 0        | fee        | -1     | 4             | 2025-02-01
"""
RESTATED = """
    occurred_at | position | event_type | amount | balance_after | recorded_at
    2025-01-01  | 0        | deposit    | 5      | 5             | 2025-02-02
    2025-01-01  | 1        | fee        | -0.5   | 4.5           | 2025-02-02    # slipped in afterwards
    2025-01-02  | 0        | fee        | -1     | 3.5           | 2025-02-02    # and restated what follows
"""


def posted(text: str) -> pl.DataFrame:
    return rows(POSTINGS, text, account_id=1, page_sha256="p")


def test_a_reread_that_shows_the_same_changes_nothing() -> None:
    known = posted(POSTED)
    assert ledger.fresh(known, known).is_empty()
    assert ledger.gone(known, known).is_empty()


def test_a_slipped_in_row_is_new_and_the_rows_it_restates_are_replaced() -> None:
    shown, known = posted(RESTATED), posted(POSTED)
    assert ledger.fresh(shown, known)["balance_after"].to_list() == [D("4.5"), D("3.5")]
    assert ledger.gone(shown, known)["balance_after"].to_list() == [D("4")]


def test_a_walk_joins_what_is_known_only_where_its_oldest_instant_reads_as_it_did() -> None:
    shown, known = posted(RESTATED), posted(POSTED)
    newest = pl.col("occurred_at") >= instant("2025-01-02")
    assert ledger.agrees(shown, known)
    assert not ledger.agrees(shown.filter(newest), known.filter(newest))


OPENING = {"account_id": INT, "kind": TEXT, "amount": MONEY, "opened_at": INSTANT, "document": TEXT}
FIRST = {"account_id": INT, "occurred_at": INSTANT, "amount": MONEY, "balance_after": MONEY}
LIVE = {"account_id": INT, "amount": MONEY}
ASSERTED = {"account_id": INT, "amount": MONEY, "opened_at": INSTANT, "document": TEXT}
T = instant("2025-01-05")
SINCE_EVER = ("DERIVED_LIVE", D(5), ledger.EPOCH)


@pytest.mark.parametrize(
    ("case", "first", "live", "asserted", "current", "expected"),
    [
        ("the first posting tells what was there before it", [(1, T, D(2), D(5))], [], [], [], [("DERIVED_FIRST_POSTING", D(3), T)]),
        ("a live balance without postings has always been there", [], [(1, D(5))], [], [], [SINCE_EVER]),
        ("what began at nothing", [(1, T, D(2), D(2))], [], [], [], [("INCEPTION", D(0), ledger.EPOCH)]),
        ("so was what is empty and never used", [], [(1, D(0))], [], [], [("INCEPTION", D(0), ledger.EPOCH)]),
        ("its first posting changes nothing", [(1, T, D(2), D(2))], [(1, D(2))], [], [(1, "INCEPTION", D(0), ledger.EPOCH, None)], []),
        ("a live balance that moves without postings rewrites no past", [], [(1, D(6))], [], [(1, *SINCE_EVER, None)], []),
        ("a document beats both", [(1, T, D(2), D(5))], [(1, D(5))], [(1, D(7), T, "letter")], [], [("ASSERTED", D(7), T)]),
        ("another document is a version", [], [], [(1, D(7), T, "deed")], [(1, "ASSERTED", D(7), T, "letter")], [("ASSERTED", D(7), T)]),
        ("what is in force already is not said twice", [(1, T, D(2), D(5))], [], [], [(1, "DERIVED_FIRST_POSTING", D(3), T, None)], []),
        ("a live opening that is borne out stays", [(1, T, D(-1), D(4))], [], [], [(1, *SINCE_EVER, None)], []),
        ("one that is not goes", [(1, T, D(-1), D(3))], [], [], [(1, *SINCE_EVER, None)], [("DERIVED_FIRST_POSTING", D(4), T)]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_openings(case, first, live, asserted, current, expected) -> None:
    def frame(values, schema):
        return pl.DataFrame(values, schema=schema, orient="row")

    got = ledger.openings(frame(first, FIRST), frame(live, LIVE), frame(asserted, ASSERTED), frame(current, OPENING))
    assert got.select("kind", "amount", "opened_at").rows() == expected, case
