"""What one portfolio sends and another receives is one transfer; what has not arrived is on the way, and in no portfolio."""

from __future__ import annotations

import polars as pl
import pytest

from pipelines.stages import transfers
from tests.ledger_text import D, instant
from tests.stages.scenario import accounts, postings

ACCOUNTS = accounts("""
    account_id | venue      | portfolio | native_code | asset
    1          | coinbase   | treasury  | ETH         | ETH
    2          | cryptofuse | shop      | ETH         | ETH
    3          | coinbase   | treasury  | USDC        | USDC
    4          | coinbase   | treasury  | USD         | USD
    5          | pacifica   | perps     | USDC        | USDC
    6          | pacifica   | hedge     | USDC        | USDC
""")


def found(text: str) -> list[tuple]:
    got = transfers.transfers(postings(text), ACCOUNTS)
    return got.select("kind", "sent_by", "sent", "received_by", "received", "fee").rows()


def test_what_is_received_less_a_fee_is_what_was_sent() -> None:
    assert found("""
        account_id | occurred_at          | event_type | amount | balance_after
        1          | 2025-01-31T23:58:00Z | transfer   | -2     | 98
        2          | 2025-02-01T00:06:00Z | deposit    | 1.999  | 1.999
        2          | 2025-02-01T00:07:00Z | deposit    | 2.001  | 4      # more than was sent: somebody else's
    """) == [("TRANSFER", 1, D(2), 2, D("1.999"), D("0.001"))]


@pytest.mark.parametrize(
    ("case", "received"),
    [
        ("too much is lacking", "2 | 2025-01-31T23:59:00Z | deposit  | 1.97 | 9"),
        ("too late", "2 | 2025-02-09T00:00:00Z | deposit  | 2    | 9"),
        ("long before it was sent", "2 | 2025-01-31T23:40:00Z | deposit  | 2    | 9"),
        ("another asset", "5 | 2025-01-31T23:59:00Z | deposit  | 2    | 9"),
        ("the same portfolio", "1 | 2025-01-31T23:59:00Z | transfer | 2    | 9"),
    ],
)
def test_what_does_not_fit_is_no_transfer(case: str, received: str) -> None:
    sent = "1 | 2025-01-31T23:58:00Z | transfer | -2 | 98"
    assert found(f"account_id | occurred_at | event_type | amount | balance_after\n{sent}\n{received}") == [], case


def test_the_closest_pair_is_matched_first_and_each_leg_once() -> None:
    assert found("""
        account_id | occurred_at          | event_type | amount | balance_after
        1          | 2025-01-10T10:00:00Z | transfer   | -5     | 95
        1          | 2025-01-10T12:00:00Z | transfer   | -5     | 90
        2          | 2025-01-10T12:10:00Z | deposit    | 5      | 5
        2          | 2025-01-10T10:30:00Z | deposit    | 4.99   | 9.99
    """) == [("TRANSFER", 1, D(5), 2, D("4.99"), D("0.01")), ("TRANSFER", 1, D(5), 2, D(5), D(0))]


def test_usd_for_usdc_at_coinbase_is_a_conversion() -> None:
    assert found("""
        account_id | occurred_at | event_type | amount | balance_after
        4          | 2025-01-10  | conversion | -100   | 0
        3          | 2025-01-10  | conversion | 100    | 100
        4          | 2025-01-11  | conversion | -7     | -7     # its other leg is not seen
    """) == [("CONVERSION", 4, D(100), 3, D(100), D(0))]


def test_an_own_leg_without_the_other_one_is_listed_alone() -> None:
    rows = """
        account_id | occurred_at | event_type         | amount | balance_after
        5          | 2025-01-10  | subaccount_transfer | -50   | 50
        6          | 2025-01-12  | subaccount_transfer | 70    | 70
        5          | 2025-01-13  | withdraw            | -1    | 49    # may have gone anywhere
    """
    assert found(rows) == [("TRANSFER", 5, D(50), None, None, None), ("TRANSFER", None, None, 6, D(70), None)]


def test_what_was_sent_is_on_the_way_until_it_is_received() -> None:
    rows = transfers.transfers(
        postings("""
            account_id | occurred_at          | event_type | amount | balance_after
            1          | 2025-01-31T23:58:00Z | transfer   | -2     | 98
            2          | 2025-02-01T00:06:00Z | deposit    | 2      | 2
        """),
        ACCOUNTS,
    )
    moments = ("2025-01-31T23:58:00Z", "2025-02-01T00:00:00Z", "2025-02-01T00:06:00Z", "2025-02-01T00:07:00Z")
    on_the_way = [transfers.in_transit(rows.lazy(), pl.lit(instant(m))).collect()["sent"].to_list() for m in moments]
    assert on_the_way == [[], [D(2)], [D(2)], []]
