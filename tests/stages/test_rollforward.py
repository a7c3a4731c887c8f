"""opening + columns = closing; what nobody knows has a column of its own; the bridge adds up."""

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ContractError
from pipelines.stages import rollforward as stage
from pipelines.tables import DAILY_PRICES, OPENINGS, POSTINGS
from tests.ledger_text import D, instant, rows
from tests.stages.scenario import KNOWN, accounts

SINCE, UNTIL = instant("2025-01-01"), instant("2025-02-01")
ACCOUNTS = accounts(
    """
    account_id | venue      | portfolio | native_code | asset
    1          | coinbase   | desk      | BTC         | BTC
    2          | pacifica   | perps     | USDC        | USDC
    3          | cryptofuse | shop      | ETH         | ETH
    4          | coinbase   | desk      | ADA         | ADA     # nobody knows what it began with
    5          | coinbase   | desk      | SOL         | SOL     # opens after the period
    6          | coinbase   | desk      | DOT         | DOT     # has no opening at all
    """
)
OPENED = rows(
    OPENINGS,
    """
    account_id | kind                  | amount | opened_at
    1          | INCEPTION             | 0      | 2024-01-01
    2          | ASSERTED              | 100    | 2024-12-15
    3          | DERIVED_FIRST_POSTING | 3      | 2025-01-04
    4          | UNKNOWN               | -      | 2024-01-01
    5          | INCEPTION             | 0      | 2025-02-01
    """,
    recorded_at=KNOWN,
).lazy()
POSTED = rows(
    POSTINGS,
    """
    account_id | occurred_at                 | position | event_type         | amount | balance_after
    1          | 2024-12-31T23:59:59.999999Z | 0        | transfer           | 10     | 10      # the last microsecond before it
    1          | 2025-01-01                  | 0        | match              | 5      | 15      # the first within
    1          | 2025-01-02                  | 0        | match              | -2     | 13
    1          | 2025-01-02                  | 1        | fee                | -0.5   | 12.5
    1          | 2025-01-03                  | 0        | transfer           | -1     | 11.5
    1          | 2025-01-31T23:59:59.999999Z | 0        | redeem             | 1      | 12.5    # a type the table does not know
    1          | 2025-02-01                  | 0        | transfer           | 1000   | 1012.5  # not in it
    2          | 2024-12-10                  | 0        | deposit            | 7      | 7       # before its opening
    2          | 2024-12-20                  | 0        | funding            | -1     | 90      # 9 are missing before it
    2          | 2025-01-05                  | 0        | deposit_release    | 20     | 110
    2          | 2025-01-06                  | 0        | trade              | -4     | 106
    2          | 2025-01-07                  | 0        | adl_liquidation    | -6     | 100
    2          | 2025-01-08                  | 0        | subaccount_transfer| -30    | 75      # 5 are missing the other way
    3          | 2025-01-04                  | 0        | payment            | 2      | 5
    3          | 2025-01-05                  | 0        | to_master          | -5     | 0
    4          | 2025-01-05                  | 0        | transfer           | 1      | 6
    """,
    recorded_at=KNOWN,
    page_sha256="page",
).lazy()
TABLE = stage.rollforward(POSTED, OPENED, ACCOUNTS, SINCE, UNTIL)


def row(code, table=TABLE):
    return table.row(by_predicate=pl.col("native_code") == code, named=True)


def moved(code, table=TABLE):
    return {name: row(code, table)[name] for name in stage.columns(table) if row(code, table)[name]}


def test_each_kind_of_entry_stands_in_its_column_by_sign_where_it_goes_both_ways():
    assert moved("BTC") == {"trades_in": D(5), "trades_out": D(-2), "fees": D("-0.5"), "withdrawals": D(-1), "other: redeem": D(1)}
    assert moved("USDC") == {"deposits": D(20), "trading_net": D(-4), "liquidations": D(-6), "own_transfers": D(-30)}
    assert moved("ETH") == {"other: payment": D(2), "own_transfers": D(-5)}


def test_the_period_begins_with_its_first_microsecond_and_ends_before_its_last_instant():
    btc = row("BTC")
    assert (btc["opening"], btc["closing"], btc["entries"]) == (D(10), D("12.5"), 5)


def test_opening_and_columns_lead_to_the_closing_and_what_is_unexplained_is_spread_nowhere():
    usdc = row("USDC")
    assert (usdc["opening"], usdc["unexplained"], usdc["closing"]) == (D(90), D(5), D(75))
    assert usdc["opening"] + sum(moved("USDC").values()) + usdc["unexplained"] == usdc["closing"]
    assert (usdc["book_opening"], usdc["book_closing"]) == (D(99), D(79)), "the book takes the entries' word"
    assert stage.require_identity(TABLE) is TABLE


def test_an_account_that_opens_within_the_period_brings_what_it_opened_with():
    eth = row("ETH")
    assert (eth["opening"], eth["opened_in_period"], eth["closing"], eth["book_closing"]) == (None, D(3), D(0), D(0))


def test_an_unknown_opening_stays_unknown_and_one_that_lies_ahead_is_not_there():
    ada = row("ADA")
    assert (ada["opening"], ada["unexplained"], ada["book_closing"], ada["closing"]) == (None, None, None, D(6))
    assert "SOL" not in TABLE["native_code"].to_list()
    assert row("DOT")["closing"] is None


def test_columns_that_do_not_lead_to_the_closing_are_a_bug_that_is_named():
    with pytest.raises(ContractError, match="desk BTC"):
        stage.require_identity(TABLE.with_columns(fees=pl.when(pl.col("native_code") == "BTC").then(D(7)).otherwise("fees")))


def test_the_annex_says_where_each_type_of_the_period_stands():
    found = stage.annex(POSTED, OPENED, ACCOUNTS, SINCE, UNTIL).collect().rows()
    assert ("coinbase", "match", "trades_in", "trades_out", 2) in found
    assert ("coinbase", "redeem", "other: redeem", "other: redeem", 1) in found
    assert ("pacifica", "funding", "funding", "funding", 1) not in found, "it lies before the period"


def test_own_transfers_stand_by_entity_with_what_is_left_of_them():
    assert stage.own_transfers(TABLE.lazy()).collect().rows() == [
        ("acme", "ETH", D(-5), D(0), D(-5)),
        ("acme", "USDC", D(-30), D(0), D(-30)),
    ]


def prices(btc, eth, currency="USD"):
    return rows(
        DAILY_PRICES,
        f"""
        asset | price | currency   | reason
        BTC   | {btc} | {currency} | -
        ETH   | {eth} | USD        | -
        USDC  | -     | -          | NO_USD_PAIR
        ADA   | 1     | USD        | -
        """,
        calendar="", day=SINCE.date(), method="VWAP_24H", as_of=SINCE,
    ).lazy()  # fmt: skip


def bridged(before, after):
    of_accounts = ACCOUNTS.select("portfolio", "native_code", "asset").join(
        before.select("asset", "price", "currency", "reason"), on="asset"
    )
    return stage.bridge(TABLE.lazy(), of_accounts, after).collect()


def test_the_bridge_is_old_units_at_the_change_of_price_and_net_movements_at_the_new_one():
    btc = row("BTC", bridged(prices(100, 10), prices(110, 20)))
    assert (btc["opening_value"], btc["price_effect"], btc["movement_value"], btc["closing_value"], btc["reason"]) == (
        D(1000), D(100), D(275), D(1375), None,
    )  # fmt: skip
    totals = stage.bridge_totals(bridged(prices(100, 10), prices(110, 20)).lazy()).collect()
    assert totals.row(0, named=True)["closing_value"] == D(1375)


def test_where_no_bridge_leads_there_is_a_reason():
    found = bridged(prices(100, "-", "EUR"), prices(110, 20))
    assert row("BTC", found)["reason"] == "CURRENCY_CHANGED"
    assert row("USDC", found)["reason"] == "NO_USD_PAIR"
    assert row("ADA", found)["reason"] == "OPENING_UNKNOWN"
    assert row("BTC", found)["closing_value"] is None


def test_what_was_not_held_at_the_opening_needs_no_price_there():
    eth = row("ETH", bridged(prices(100, "-"), prices(110, 20)))
    assert (eth["opening_value"], eth["price_effect"], eth["closing_value"], eth["reason"]) == (D(0), D(0), D(0), None)


AMOUNTS = st.decimals(-(10**6), 10**6, places=18, allow_nan=False)
KINDS = st.sampled_from(["transfer", "match", "fee", "redeem", "nobody knows"])


@given(st.lists(st.tuples(st.integers(0, 59), KINDS, AMOUNTS, st.sampled_from([D(0), D(0), D("0.5")])), max_size=12), AMOUNTS)
def test_opening_and_columns_lead_to_the_closing_whatever_happens(events, opened):
    balance, made = opened, []
    for n, (day, kind, amount, gap) in enumerate(sorted(events, key=lambda e: e[0])):
        balance += amount + gap
        at = instant("2024-12-15") + timedelta(days=day)
        made.append({"account_id": 1, "occurred_at": at, "position": n, "event_type": kind, "amount": amount, "balance_after": balance,
                     "recorded_at": KNOWN, "page_sha256": ""})  # fmt: skip
    opening = OPENINGS.frame(
        [{"account_id": 1, "kind": "ASSERTED", "amount": opened, "opened_at": instant("2024-12-01"), "recorded_at": KNOWN}]
    )
    table = stage.rollforward(POSTINGS.frame(made).lazy(), opening.lazy(), ACCOUNTS.filter(pl.col("account_id") == 1), SINCE, UNTIL)
    found = row("BTC", stage.require_identity(table))
    before = sum((e["amount"] for e in made if e["occurred_at"] < SINCE), opened)
    within = sum((e["amount"] for e in made if SINCE <= e["occurred_at"] < UNTIL), D(0))
    assert (found["book_opening"], found["book_closing"]) == (before, before + within)
    assert sum(found[name] for name in stage.columns(table)) == within
