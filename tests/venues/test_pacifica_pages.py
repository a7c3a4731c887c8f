"""Pacifica's pages, as published, read into rows."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import Unreadable
from pipelines.venues import wire
from tests.ledger_text import D, instant
from tests.venues.serving import page

ASKED = "GET /api/v1/account?account=42trU9A5"
CAPTURED = Path(__file__).parents[3] / "shared/data/captured/pacifica_testnet_2026-01-27.json"


def event(amount="100.000000", balance="1200.000000", pending="0.000000", kind="deposit", at=1716200000000):
    return {"amount": amount, "balance": balance, "pending_balance": pending, "event_type": kind, "created_at": at}


def events(*rows, **more):
    return page("pacifica", "history", {"success": True, "data": list(rows), "next_cursor": "", "has_more": False} | more)


def history(*pages):
    return wire.read_history("pacifica", pages)


def balances(data):
    return wire.read_balances(
        "pacifica", [page("pacifica", "account", {"success": True, "data": data, "error": None, "code": None}, ASKED)]
    )


def test_an_account_shows_collateral_pending_and_spot():
    account = {
        "balance": "2000.000000",
        "pending_balance": "5",
        "account_equity": "2150.25",
        "spot_balances": [{"symbol": "SOL", "amount": "1.50000000"}],
    }
    venue_id, reading = balances(account)
    assert venue_id == "42trU9A5"
    assert reading.rows.select("native_code", "scope", "amount").rows() == [
        ("USDC", "account", D(2000)),
        ("USDC", "pending", D(5)),
        ("USDC", "equity", D("2150.25")),
        ("SOL", "spot", D("1.5")),
    ]
    assert balances([account])[1].rows.equals(reading.rows), "an older form is a list of one"


@pytest.mark.skipif(not CAPTURED.exists(), reason="the captured replies lie outside the project")
def test_a_captured_reply_of_the_testnet_is_read():
    captured = json.loads(CAPTURED.read_text())["GET /api/v1/account"]
    _, reading = wire.read_balances("pacifica", [page("pacifica", "account", captured, ASKED)])
    assert reading.rows.select("native_code", "scope", "amount").rows()[:2] == [
        ("USDC", "account", D("100.717133")),
        ("USDC", "pending", D(0)),
    ]


def test_open_positions_are_signed_and_no_balance():
    held = [("BTC", "bid", "0.5"), ("ETH", "ask", "2"), ("SOL", "sideways", "1"), ("BTC", "bid", "1")]
    rows = [{"symbol": symbol, "side": side, "amount": amount, "entry_price": "1"} for symbol, side, amount in held]
    _, reading = wire.read_balances("pacifica", [page("pacifica", "positions", {"success": True, "data": rows}, ASKED)])
    assert reading.rows.select("native_code", "scope", "amount").rows() == [("BTC", "position", D("0.5")), ("ETH", "position", D(-2))]
    assert reading.refused["reason"].to_list() == ["side 'sideways' is neither bid nor ask", "position BTC is listed twice"]


def test_events_come_out_oldest_first_in_usdc_and_keep_their_pending_balance():
    rows = history(events(event("-50.000000", "1150.000000", "3", "withdraw", 1716203600123), event())).rows
    assert rows.select("native_code", "occurred_at", "event_type", "amount", "balance_after", "pending_after", "position").rows() == [
        ("USDC", instant("2024-05-20T10:13:20Z"), "deposit", D(100), D(1200), D(0), 1),
        ("USDC", instant("2024-05-20T11:13:20.123Z"), "withdraw", D(-50), D(1150), D(3), 0),
    ]
    assert rows["event_id"].is_null().all()


def test_rows_that_share_a_millisecond_keep_the_order_of_the_walk():
    rows = history(events(event(balance="30"), event(balance="20")), events(event(balance="10"))).rows
    assert rows["balance_after"].to_list() == [D(10), D(20), D(30)]


def test_rows_repeated_where_pages_drifted_are_read_once():
    a, b, c, d = (event(balance=str(n), at=1716200000000 + n) for n in (4, 3, 2, 1))
    assert history(events(a, b, c), events(b, c, d)).rows["balance_after"].to_list() == [D(1), D(2), D(3), D(4)]


def test_two_real_events_that_look_alike_are_two():
    twice = event("0", "10", kind="funding")
    assert history(events(event(balance="11"), twice, twice, event("10", "10", at=1))).rows.height == 4


def test_a_venue_found_to_list_oldest_first_is_left_in_its_order():
    rows = history(events(event(balance="1", at=1), event(balance="2", at=2), event(balance="3", at=2))).rows
    assert rows["balance_after"].to_list() == [D(1), D(2), D(3)]


def test_an_unknown_event_type_passes_and_a_malformed_row_does_not():
    reading = history(events(event(kind="airdrop"), event(balance=None), event(at="soon")))
    assert reading.rows["event_type"].to_list() == ["airdrop"]
    assert sorted(reading.refused["reason"]) == ["balance is missing", "created_at is not a whole number of time"]


@pytest.mark.parametrize(
    "body", [{"success": False, "data": None, "error": "no"}, {"success": True}, {"success": True, "data": None}, [], b"<html>"]
)
def test_a_reply_without_success_or_data_is_unreadable(body):
    with pytest.raises(Unreadable, match="history of pacifica for portfolio desk"):
        history(page("pacifica", "history", body))


@given(st.lists(st.tuples(st.decimals(D("-1e9"), D("1e9"), places=6), st.integers(0, 10**13)), max_size=20), st.integers(1, 7))
def test_any_history_cut_into_pages_reads_back_exactly(moves, size):
    moves.sort(key=lambda move: move[1])
    balance, rows = D(0), []
    for amount, at in moves:
        balance += amount
        rows.append(event(f"{amount:f}", f"{balance:f}", f"{len(rows)}", at=at))
    newest_first = rows[::-1]
    reading = history(*[events(*newest_first[n : n + size]) for n in range(0, len(rows), size)])
    assert reading.rows["balance_after"].to_list() == [D(row["balance"]) for row in rows]
    assert reading.rows["amount"].to_list() == [amount for amount, _ in moves]
