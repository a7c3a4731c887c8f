"""Coinbase's pages, as published, read into rows."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import Unreadable
from pipelines.venues import wire
from tests.ledger_text import D, instant
from tests.venues.serving import ledger_page, page

ACCOUNT = {"id": "a1", "currency": "BTC", "balance": "1.25", "hold": "0.25", "available": "1", "profile_id": "p1", "trading_enabled": True}
ENTRY = {"id": "1001", "created_at": "2024-01-01T10:00:00.500000Z", "amount": "0.25", "balance": "1.25", "type": "match", "details": {}}
FEE = ENTRY | {"id": "1002", "amount": "-0.00005", "balance": "1.24995", "type": "fee"}
PRODUCT = {"id": "BTC-USD", "base_currency": "BTC", "quote_currency": "USD", "status": "online", "trading_disabled": False}
HOURS = "GET /products/BTC-USD/candles?granularity=3600&start=2024-01-01T00%3A00%3A00Z&end=2024-01-01T01%3A00%3A00Z"


def history(*pages):
    return wire.read_history("coinbase", pages)


def test_an_account_shows_its_balance_and_beside_it_what_is_held_and_pending():
    usd = {"id": "a2", "currency": "USD", "balance": "0.0000000000000000", "hold": "0", "profile_id": "p1", "pending_deposit": "7.5"}
    venue_id, reading = wire.read_balances("coinbase", [page("coinbase", "accounts", [ACCOUNT, usd])])
    assert venue_id == "p1"
    assert reading.rows.rows() == [
        ("BTC", "a1", "account", D("1.25")),
        ("BTC", "a1", "hold", D("0.25")),
        ("USD", "a2", "account", D(0)),
        ("USD", "a2", "hold", D(0)),
        ("USD", "a2", "pending", D("7.5")),
    ]


def test_a_currency_listed_twice_is_refused_the_second_time():
    _, reading = wire.read_balances("coinbase", [page("coinbase", "accounts", [ACCOUNT, ACCOUNT | {"balance": "9"}])])
    assert reading.rows.filter(scope="account")["amount"].to_list() == [D("1.25")]
    assert reading.refused["reason"].to_list() == ["BTC is listed twice"]


def test_accounts_of_two_profiles_are_not_one_portfolio():
    with pytest.raises(Unreadable, match="2 profiles"):
        wire.read_balances("coinbase", [page("coinbase", "accounts", [ACCOUNT, ACCOUNT | {"currency": "ETH", "profile_id": "p2"}])])


def test_a_match_and_its_fee_share_an_instant_and_are_ordered_by_id():
    rows = history(ledger_page([FEE, ENTRY])).rows
    assert rows.select("venue_account_id", "event_id", "event_type", "amount", "balance_after").rows() == [
        ("a1", "1001", "match", D("0.25"), D("1.25")),
        ("a1", "1002", "fee", D("-0.00005"), D("1.24995")),
    ]
    assert rows["occurred_at"].to_list() == [instant("2024-01-01T10:00:00.500000Z")] * 2
    assert rows["native_code"].is_null().all()
    assert rows["position"].to_list() == [1, 0]


def test_ids_are_ordered_as_numbers():
    rows = history(ledger_page([ENTRY | {"id": "1000"}, ENTRY | {"id": "999"}, ENTRY | {"id": 98}])).rows
    assert rows["event_id"].to_list() == ["98", "999", "1000"]


def test_an_entry_seen_on_two_pages_is_one_entry_as_the_later_page_shows_it():
    rows = history(ledger_page([FEE, ENTRY]), ledger_page([ENTRY | {"balance": "1.26"}, ENTRY | {"id": "1000"}])).rows
    assert rows["event_id"].to_list() == ["1000", "1001", "1002"]
    assert rows["balance_after"].to_list()[1] == D("1.26")


def test_the_same_id_in_two_accounts_is_two_entries():
    assert history(ledger_page([ENTRY]), ledger_page([ENTRY], "a2")).rows["venue_account_id"].to_list() == ["a1", "a2"]


def test_an_unknown_event_type_passes_through():
    assert history(ledger_page([ENTRY | {"type": "airdrop_of_2031"}])).rows["event_type"].to_list() == ["airdrop_of_2031"]


def test_a_malformed_row_goes_to_suspense_verbatim_and_the_others_stay():
    bad = ENTRY | {"amount": "1e18"}
    reading = history(ledger_page([FEE, bad, 7, {"id": "1"}]))
    assert reading.rows["event_id"].to_list() == ["1002"]
    assert reading.refused.sort("position").select("reason", "row", "position").rows() == [
        ("amount is 10^18 or more", json.dumps(bad), 1),
        ("Expected `object`, got `int`", "7", 2),
        ("Object missing required field `created_at`", '{"id": "1"}', 3),
    ]


def test_a_page_of_another_shape_is_unreadable_and_names_its_keys_not_its_values():
    with pytest.raises(Unreadable, match=r"ledger of coinbase for portfolio desk.*message") as caught:
        history(ledger_page({"message": "secret-value"}))
    assert "secret-value" not in str(caught.value)


def test_products_are_read_with_their_status():
    reading = wire.read_products(
        page("coinbase", "products", [PRODUCT, PRODUCT | {"id": "OLD-USD", "status": "delisted", "trading_disabled": True}])
    )
    assert reading.rows.rows() == [("BTC-USD", "BTC", "USD", "online", False), ("OLD-USD", "BTC", "USD", "delisted", True)]


def candles(*bodies):
    return wire.read_candles([page("coinbase", "candles", body, HOURS) for body in bodies])


def test_prices_are_read_from_their_text_and_never_through_a_float():
    reading = candles(b"[[1704067200, 0.1, 1e-8, 12345678901234567.123456789012345678, 42310.99, 315.20417000]]")
    assert reading.rows.rows() == [
        (
            "BTC-USD",
            instant("2024-01-01"),
            D("0.1"),
            D("0.00000001"),
            D("12345678901234567.123456789012345678"),
            D("42310.99"),
            D("315.20417"),
        )
    ]


def test_hours_before_the_window_are_left_out_because_the_venue_says_it_may_send_them():
    reading = candles(b"[[1704070800,1,1,1,1,1],[1704067200,1,1,1,1,1],[1704063600,1,1,1,1,1]]")
    assert reading.rows["start"].to_list() == [instant("2024-01-01"), instant("2024-01-01T01:00:00Z")]
    assert reading.refused.is_empty()


def test_an_hour_asked_twice_is_as_the_later_page_shows_it():
    assert candles(b"[]", b"[[1704067200,1,1,1,1,1]]", b"[[1704067200,1,1,1,2,1]]").rows["close"].to_list() == [D(2)]


def test_an_hour_shown_twice_on_a_page_with_different_numbers_is_refused_once():
    reading = candles(b"[[1704067200,1,1,1,1,1],[1704067200,1,1,1,1,1],[1704067200,1,1,1,9,1]]")
    assert reading.rows["close"].to_list() == [D(1)]
    assert reading.refused["reason"].to_list() == ["this hour is shown twice on the page, with different numbers"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"[1704067201,1,1,1,1,1]", "time is not the start of an hour"),
        (b"[1704067200,1,1,1,1]", "a candle has 6 numbers, not 5"),
        (b"[1704067200,1,1,1,-1,1]", "close is negative"),
        (b"[1704067200,1,1,1,null,1]", "close is missing"),
        (b'{"time":1704067200}', "Expected `array`, got `object`"),
    ],
)
def test_a_candle_that_cannot_be_is_refused(row, reason):
    reading = candles(b"[" + row + b"]")
    assert reading.rows.is_empty()
    assert reading.refused.select("reason", "row").rows() == [(reason, row.decode())]


_amounts = st.decimals(min_value=D("-1e17"), max_value=D("1e17"), places=16).map(lambda d: f"{d:f}")
_entries = st.lists(st.tuples(st.integers(0, 10**20), _amounts, _amounts), max_size=20, unique_by=lambda e: e[0])


@given(_entries, st.integers(1, 7))
def test_any_ledger_cut_into_pages_reads_back_exactly(entries, size):
    newest_first = sorted(entries, reverse=True)
    rows = [ENTRY | {"id": str(i), "amount": a, "balance": b} for i, a, b in newest_first]
    reading = history(*[ledger_page(rows[n : n + size]) for n in range(0, len(rows), size)])
    assert reading.refused.is_empty()
    assert reading.rows.select("event_id", "amount", "balance_after").rows() == [(str(i), D(a), D(b)) for i, a, b in sorted(entries)]
