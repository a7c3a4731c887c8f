"""Pacifica over a real socket: an account, its history by cursor and by offset, credits in a rolling minute."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.sandbox.asking import Client, at, serving

HISTORY = "/account/balance/history"
EVERYTHING = ["withdraw", "deposit_release", "deposit", "funding", "trade", "trade", "deposit"]


def kinds(response) -> list[str]:
    assert response.status_code == 200, response.text
    return [row["event_type"] for row in response.json()["data"]]


def test_the_address_looks_like_one_and_names_one_portfolio(ask: Client) -> None:
    addresses = [ask.keys[name]["account"] for name in ("margin", "margin-alpha")]
    assert len(set(addresses)) == 2
    for address in addresses:
        assert re.fullmatch(r"[1-9A-HJ-NP-Za-km-z]{43,44}", address)


def test_an_account_has_the_published_form(ask: Client) -> None:
    body = ask.pacifica("/account").json()
    assert (body["success"], body["error"], body["code"]) == (True, None, None)
    assert (body["data"]["balance"], body["data"]["pending_balance"], body["data"]["spot_balances"]) == ("1439.749999", "0", [])
    assert body["data"]["updated_at"] == int(at("2025-01-07").timestamp() * 1000)
    assert ask.pacifica("/account", "margin-alpha").json()["data"]["balance"] == "0"


def test_the_data_clock_decides_the_balance_and_what_is_pending(dataset: Path) -> None:
    with serving(dataset, now=at("2025-01-05"), account_as_list=True) as ask:
        [data] = ask.pacifica("/account").json()["data"]
        assert (data["balance"], data["pending_balance"]) == ("989.749999", "500")


def test_a_row_of_history_has_milliseconds_and_no_id(ask: Client) -> None:
    body = ask.pacifica(HISTORY, include_trades="true").json()
    assert body["data"][-2] == {
        "amount": "-10.500000",
        "balance": "989.500000",
        "pending_balance": "0.000000",
        "event_type": "trade",
        "created_at": int(at("2025-01-02").timestamp() * 1000) + 2,
    }
    assert (body["has_more"], body["next_cursor"]) == (False, None)


def test_without_include_trades_the_history_has_holes(ask: Client) -> None:
    assert kinds(ask.pacifica(HISTORY)) == ["withdraw", "deposit_release", "deposit", "deposit"]
    assert kinds(ask.pacifica(HISTORY, include_trades="true")) == EVERYTHING
    assert ask.pacifica(HISTORY, include_trades="perhaps").status_code == 400


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7])
def test_walking_by_cursor_meets_every_row_once(ask: Client, size: int) -> None:
    met, cursor = [], {}
    for _ in EVERYTHING:
        body = ask.pacifica(HISTORY, include_trades="true", limit=size, **cursor).json()
        met += [(row["event_type"], row["balance"]) for row in body["data"]]
        assert body["has_more"] == bool(body["next_cursor"])
        if not body["has_more"]:
            break
        cursor = {"cursor": body["next_cursor"]}
    assert [kind for kind, _ in met] == EVERYTHING
    assert met[4:6] == [("trade", "989.750000"), ("trade", "989.500000")], "two fills of one millisecond keep their order"


def test_a_cursor_stays_where_it_was_when_rows_arrive_and_an_offset_does_not(dataset: Path) -> None:
    with serving(dataset, now=at("2025-01-05")) as ask:
        first = ask.pacifica(HISTORY, include_trades="true", limit=2).json()
        ask.sandbox.now = at("2025-01-10")
        assert kinds(ask.pacifica(HISTORY, include_trades="true", cursor=first["next_cursor"])) == ["trade", "trade", "deposit"]
        assert kinds(ask.pacifica(HISTORY, include_trades="true", offset=2)) == EVERYTHING[2:]


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "x"}, {"cursor": "0OIl"}, {"offset": "-1"}])
def test_history_refuses_what_it_cannot_read(ask: Client, query: dict[str, str]) -> None:
    refused = ask.pacifica(HISTORY, **query)
    assert refused.status_code == 400
    assert (refused.json()["success"], refused.json()["data"], refused.json()["code"]) == (False, None, 400)
    assert refused.json()["error"]


def test_limits_of_a_page_are_settings(dataset: Path) -> None:
    with serving(dataset, pacifica_default=3, pacifica_max=5) as ask:
        assert len(kinds(ask.pacifica(HISTORY, include_trades="true"))) == 3
        assert len(kinds(ask.pacifica(HISTORY, include_trades="true", limit=400))) == 5


def test_signs_and_pending_amounts_are_settings(dataset: Path) -> None:
    with serving(dataset, signed_amounts=False, pending_amounts=True) as ask:
        amounts = [row["amount"] for row in ask.pacifica(HISTORY, include_trades="true").json()["data"]]
    assert amounts == ["50.000000", "500.000000", "500.000000", "0.000001", "0.250000", "10.500000", "1000.000000"]


def test_an_account_must_be_named_and_exist(ask: Client, dataset: Path) -> None:
    for path in ("/account", HISTORY):
        assert ask.get(f"/api/v1{path}").status_code == 400
        missing = ask.get(f"/api/v1{path}?account=nobody")
        assert (missing.status_code, missing.json()["error"]) == (404, "Account not found")
    with serving(dataset, unknown_address="empty") as lenient:
        assert lenient.get(f"/api/v1{HISTORY}?account=nobody").json()["data"] == []
    assert ask.get("/api/v1/nonsense").json() == {"success": False, "data": None, "error": "Not found", "code": 404}


def test_an_unknown_key_is_refused_or_ignored(ask: Client, dataset: Path) -> None:
    assert ask.get("/api/v1/info", **{"PF-API-KEY": "12345678_abc"}).status_code == 401
    with serving(dataset, unknown_key="ignored") as lenient:
        reply = lenient.get("/api/v1/info", **{"PF-API-KEY": "12345678_abc"})
        assert "q=1000;" in reply.headers["ratelimit-policy"]


def test_markets_are_listed_for_clients_that_load_them_first(ask: Client) -> None:
    [market] = ask.get("/api/v1/info").json()["data"]
    assert (market["symbol"], market["base_asset"], market["instrument_type"]) == ("BTC", "BTC", "perpetual")


def test_eight_pages_a_minute_without_a_key_and_a_hundred_with_one(dataset: Path) -> None:
    with serving(dataset, limit_scale=1) as ask:
        without = [ask.pacifica(HISTORY, keyed=False) for _ in range(9)]
        assert [r.status_code for r in without] == [200] * 8 + [429]
        assert without[0].headers["ratelimit"] == '"credits";r=880;t=60'
        assert without[0].headers["ratelimit-policy"] == '"credits";q=1000;w=60'
        assert without[8].json() == {"success": False, "data": None, "error": "Rate limit exceeded", "code": 429}
        assert without[8].headers["ratelimit"].startswith('"credits";r=40;')
        assert ask.pacifica("/account", keyed=False).status_code == 200, "a refusal costs nothing, four credits are left"
        with_key = [ask.pacifica(HISTORY).status_code for _ in range(101)]
        assert with_key == [200] * 100 + [429]
        assert ask.pacifica(HISTORY, "margin-alpha").status_code == 200, "each key has its own"


def test_credits_come_back_when_they_leave_the_window(dataset: Path) -> None:
    with serving(dataset, limit_scale=120) as ask:  # a minute lasts half a second
        assert 429 in [ask.pacifica(HISTORY, keyed=False).status_code for _ in range(40)]
        time.sleep(0.55)
        assert ask.pacifica(HISTORY, keyed=False).status_code == 200


def test_positions_and_spot_are_what_the_settings_say(dataset: Path) -> None:
    with serving(dataset, positions=(("BTC", "ask", "0.25"),), spot=(("SOL", "3"),), unrealised="-7.5") as ask:
        [position] = ask.pacifica("/positions").json()["data"]
        account = ask.pacifica("/account").json()["data"]
    assert (position["symbol"], position["side"], position["amount"]) == ("BTC", "ask", "0.25")
    assert (account["positions_count"], account["account_equity"]) == (1, "1432.249999")
    assert account["spot_balances"][0]["symbol"] == "SOL"
