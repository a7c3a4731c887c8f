"""CryptoFuse's pages, as published, read into rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import Unreadable
from pipelines.venues import wire
from tests.ledger_text import D, instant
from tests.venues.serving import page

OUT = {
    "timestamp": "2024-01-02T09:30:00Z",
    "currency": "USDTERC20",
    "type": "withdrawal",
    "amount": "25.000000",
    "balance_after": "475.000000",
}
IN = {
    "timestamp": "2024-01-01T09:30:00Z",
    "currency": "USDTERC20",
    "type": "deposit",
    "amount": "500.000000",
    "balance_after": "500.000000",
}


def balances(body):
    venue_id, reading = wire.read_balances("cryptofuse", [page("cryptofuse", "balances", body)])
    assert venue_id is None
    return reading


def history(*pages):
    return wire.read_history("cryptofuse", pages)


def walked(rows, total, offset=0):
    return page("cryptofuse", "history", {"history": rows, "total": total, "limit": 100, "offset": offset})


def scopes(reading):
    return reading.rows.select("native_code", "scope", "amount").rows()


def test_flat_maps_show_the_main_account_and_the_sum_of_sub_accounts_apart():
    reading = balances(
        {"account": {"USDTERC20": "5000.000000"}, "sub_accounts": {"USDTERC20": "7", "ETH": "1.5"}, "statistics": {"total_deposits": 3}}
    )
    assert scopes(reading) == [("USDTERC20", "account", D(5000)), ("USDTERC20", "sub_accounts", D(7)), ("ETH", "sub_accounts", D("1.5"))]


def test_maps_of_amounts_in_lower_case_are_the_same_codes():
    reading = balances({"account": {"usdtbsc": {"amount": "1.000000000000000001", "pending_amount": "2"}}})
    assert scopes(reading) == [("USDTBSC", "account", D("1.000000000000000001")), ("USDTBSC", "pending", D(2))]


def test_a_list_of_balances_shows_what_is_available_and_what_is_pending():
    row = {
        "currency": "BTC",
        "total_balance": "1.5",
        "available_balance": "1.2",
        "pending_balance": "0.3",
        "usd_value": "60000",
        "wallets": [],
    }
    assert scopes(balances({"balances": [row]})) == [("BTC", "account", D("1.2")), ("BTC", "pending", D("0.3"))]


@pytest.mark.parametrize(
    "body", [{"accounts": {}}, {"account": {}, "staked": {"ETH": "1"}}, {"account": []}, {"balances": {}}, {"balances": [], "more": 1}]
)
def test_any_other_shape_is_refused_with_its_keys(body):
    with pytest.raises(Unreadable) as caught:
        balances(body)
    assert all(key in str(caught.value) for key in body)


def test_a_code_that_appears_in_both_cases_is_refused_the_second_time():
    reading = balances({"account": {"ETH": "1", "eth": "2"}})
    assert scopes(reading) == [("ETH", "account", D(1))]
    assert reading.refused["reason"].to_list() == ["account ETH is listed twice"]


def test_events_come_out_oldest_first_with_unsigned_amounts():
    rows = history(walked([OUT, IN], 2)).rows
    assert rows.select("native_code", "occurred_at", "event_type", "amount", "balance_after").rows() == [
        ("USDTERC20", instant("2024-01-01T09:30:00Z"), "deposit", D(500), D(500)),
        ("USDTERC20", instant("2024-01-02T09:30:00Z"), "withdrawal", D(25), D(475)),
    ]


def test_a_row_pushed_to_the_next_page_by_a_new_one_is_read_once():
    new = OUT | {"amount": "1.000000", "balance_after": "474.000000", "timestamp": "2024-01-03T00:00:00Z"}
    drifted = history(walked([OUT], 2), walked([OUT, IN], 3, 1), walked([new, OUT], 3))
    assert drifted.rows["balance_after"].to_list().count(D(475)) == 1
    assert drifted.rows.height == 3


def test_two_real_events_that_look_alike_are_two_even_across_pages():
    again = IN | {"amount": "0.000000"}
    assert history(walked([again], 2), walked([again], 2, 1)).rows.height == 2


def test_a_malformed_row_is_refused_under_its_code():
    reading = history(walked([OUT | {"amount": "NaN"}, IN], 2))
    assert reading.rows.height == 1
    assert reading.refused.select("native_code", "reason", "position").rows() == [("USDTERC20", "amount is not a number", 0)]


@pytest.mark.parametrize(
    "envelope", [lambda rows: rows, lambda rows: {"currencies": rows}, lambda rows: {"count": 1, "next": None, "results": rows}]
)
def test_the_map_of_codes_is_the_venue_s_own(envelope):
    rows = [
        {"currency": "USDTTRC20", "token": "usdt", "blockchain": "trx", "is_stable": True},
        {"currency": "WETH", "token": "weth"},
        {"currency": "X"},
    ]
    reading = wire.read_currencies(page("cryptofuse", "currencies", envelope(rows)))
    assert reading.rows.rows() == [("USDTTRC20", "USDT", "trx"), ("WETH", "WETH", None)]
    assert reading.refused["native_code"].to_list() == ["X"]


def test_a_map_under_an_unknown_name_is_unreadable():
    with pytest.raises(Unreadable, match="coins"):
        wire.read_currencies(page("cryptofuse", "currencies", {"coins": []}))


_codes = st.sampled_from(["ETH", "USDTERC20", "BTC"])


@given(st.lists(st.tuples(_codes, st.decimals(0, D("1e15"), places=18)), max_size=20), st.integers(1, 7))
def test_any_history_cut_into_pages_reads_back_exactly(moves, size):
    rows = [
        IN | {"currency": code, "amount": f"{amount:f}", "timestamp": f"2024-01-01T09:30:{n:02}Z"} for n, (code, amount) in enumerate(moves)
    ][::-1]
    reading = history(*[walked(rows[n : n + size], len(rows), n) for n in range(0, len(rows), size)])
    assert reading.rows.select("native_code", "amount").rows() == moves
