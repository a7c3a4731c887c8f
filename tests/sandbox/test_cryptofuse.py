"""CryptoFuse over a real socket: tokens and their scope, three shapes of balances, a history paged by offset."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import pytest

from tests.sandbox.asking import Client, at, serving


def error(response) -> tuple[int, str]:
    body = response.json()["error"]
    assert set(body) == {"code", "message", "details"}
    return response.status_code, body["code"]


def test_a_token_is_granted_to_client_credentials(ask: Client) -> None:
    body = ask.token().json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}, "there is no refresh token"
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, "read write")
    key = ask.keys["till"]
    basic = base64.b64encode(f"{key['client_id']}:{key['client_secret']}".encode()).decode()
    form = {"grant_type": "client_credentials", "scope": "read"}
    granted = ask.http.post("/o/token", data=form, headers={"Authorization": f"Basic {basic}"})
    assert granted.json()["scope"] == "read"


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "read admin"}, 400, "invalid_scope"),
    ],
)
def test_a_token_is_refused_in_the_venues_words(ask: Client, form: dict[str, str], status: int, said: str) -> None:
    refused = ask.token(**form)
    assert (refused.status_code, refused.json()) == (status, {"error": said})


def test_a_client_may_have_fewer_rights(dataset: Path) -> None:
    with serving(dataset, scopes=("read",)) as ask:
        assert ask.token().json() == {"error": "invalid_scope"}
        assert ask.cryptofuse("/user/balances/history/", scope="read").status_code == 200


def test_live_balances_need_reading_and_writing_history_only_reading(ask: Client) -> None:
    assert error(ask.cryptofuse("/user/balances/", scope="read")) == (403, "permission_denied")
    assert ask.cryptofuse("/user/balances/history/", scope="read").status_code == 200
    assert ask.cryptofuse("/user/balances/").status_code == 200


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic bm86bm8="}])
def test_without_a_token_nothing_is_read(ask: Client, header: dict[str, str]) -> None:
    for path in ("/user/balances/", "/user/balances/history/", "/currencies/"):
        assert error(ask.get(path, **header)) == (401, "authentication_failed")


def test_a_token_ends(dataset: Path) -> None:
    with serving(dataset, token_seconds=1) as ask:
        granted = ask.token().json()
        bearer = {"Authorization": f"Bearer {granted['access_token']}"}
        assert granted["expires_in"] == 1
        assert ask.get("/user/balances/", **bearer).status_code == 200
        time.sleep(1.05)
        assert error(ask.get("/user/balances/", **bearer)) == (401, "authentication_failed")


def test_balances_are_flat_maps_and_absent_is_absent(ask: Client) -> None:
    assert ask.cryptofuse("/user/balances/").json() == {
        "account": {"ETH": "1.500000", "MYSTERY": "1.000000", "USDTERC20": "475.000000", "USDTTRC20": "10.000000"},
        "sub_accounts": {},
        "statistics": {"total_deposits": 4, "total_withdrawals": 1},
    }
    assert ask.cryptofuse("/user/balances/", "kiosk").json()["account"] == {"ETH": "9.000000"}


def test_the_two_other_published_shapes_are_settings(dataset: Path) -> None:
    with serving(dataset, balances_shape="nested", now=at("2025-01-02T12:00")) as ask:
        assert ask.cryptofuse("/user/balances/").json() == {
            "account": {"usdterc20": {"amount": "475.000000000000000000", "pending_amount": "0.000000000000000000"}},
        }
    with serving(dataset, balances_shape="list", now=at("2025-01-02T12:00")) as ask:
        [row] = ask.cryptofuse("/user/balances/").json()["balances"]
    assert (row["currency"], row["total_balance"], row["available_balance"]) == ("USDTERC20", "475.000000", "475.000000")
    assert (row["total_deposited"], row["total_withdrawn"], row["last_transaction"]) == ("500.000000", "25.000000", "2025-01-02T09:30:00Z")


def test_history_is_newest_first_unsigned_and_in_whole_seconds(ask: Client) -> None:
    body = ask.cryptofuse("/user/balances/history/?currency=USDTERC20").json()
    assert body == {
        "history": [
            {
                "timestamp": "2025-01-02T09:30:00Z",
                "currency": "USDTERC20",
                "type": "withdrawal",
                "amount": "25.000000",
                "balance_after": "475.000000",
            },
            {
                "timestamp": "2025-01-01T09:30:00Z",
                "currency": "USDTERC20",
                "type": "deposit",
                "amount": "500.000000",
                "balance_after": "500.000000",
            },
        ],
        "total": 2,
        "limit": 20,
        "offset": 0,
    }


def codes(ask: Client, query: str) -> tuple[list[str], int]:
    body = ask.cryptofuse(f"/user/balances/history/?{query}").json()
    return [row["currency"] for row in body["history"]], body["total"]


def test_history_pages_by_offset(ask: Client) -> None:
    everything = ["MYSTERY", "USDTTRC20", "ETH", "USDTERC20", "USDTERC20"]
    assert codes(ask, "") == (everything, 5)
    assert codes(ask, "limit=2") == (everything[:2], 5)
    assert codes(ask, "limit=2&offset=2") == (everything[2:4], 5)
    assert codes(ask, "limit=2&offset=4") == (everything[4:], 5)
    assert codes(ask, "limit=2&offset=99") == ([], 5)
    assert codes(ask, "type=withdrawal") == (["USDTERC20"], 1)
    assert codes(ask, "type=deposit&currency=eth") == (["ETH"], 1)
    assert ask.cryptofuse("/user/balances/history/?limit=5000").json()["limit"] == 100


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=-1", "offset=-1", "offset=1.5"])
def test_history_refuses_what_it_cannot_read(ask: Client, query: str) -> None:
    assert error(ask.cryptofuse(f"/user/balances/history/?{query}")) == (400, "invalid_request")


def test_history_grows_at_its_head_as_the_data_clock_moves(dataset: Path) -> None:
    with serving(dataset, now=at("2025-01-03")) as ask:
        assert codes(ask, "limit=1") == (["USDTERC20"], 2)
        ask.sandbox.now = at("2025-01-03T09:30")
        assert codes(ask, "limit=1") == (["USDTTRC20"], 4)


def test_currencies_are_the_venues_own_map_of_codes_it_has_published(ask: Client) -> None:
    listed = ask.cryptofuse("/currencies/?full=true&min_max=true&include_usd=true").json()["currencies"]
    assert {c["currency"]: (c["token"], c["blockchain"], c["is_stable"]) for c in listed} == {
        "BTC": ("btc", "btc", False),
        "ETH": ("eth", "eth", False),
        "USDTERC20": ("usdt", "eth", True),
        "USDTTRC20": ("usdt", "trx", True),
    }
    assert {"name", "is_popular", "min_amount", "max_amount"} <= set(listed[0])
    assert ask.cryptofuse("/currencies/").json() == {"currencies": ["BTC", "ETH", "USDTERC20", "USDTTRC20"]}


def test_a_missing_slash_is_redirected_and_another_path_is_not_found(ask: Client, dataset: Path) -> None:
    moved = ask.get("/user/balances/history?limit=2")
    assert (moved.status_code, moved.headers["location"]) == (301, "/user/balances/history/?limit=2")
    assert error(ask.get("/user/nonsense/")) == (404, "not_found")
    with serving(dataset, slash_redirect=False) as strict:
        assert error(strict.get("/user/balances")) == (404, "not_found")


def test_each_merchant_has_its_own_limit_and_learns_when_to_come_back(dataset: Path) -> None:
    with serving(dataset, cryptofuse_limits=((5, 60), (1000, 3600)), limit_scale=1) as ask:
        bearer = {"Authorization": f"Bearer {ask.token().json()['access_token']}"}
        assert [ask.get("/user/balances/", **bearer).status_code for _ in range(5)] == [200] * 4 + [429]
        refused = ask.get("/user/balances/", **bearer)
        assert error(refused) == (429, "rate_limit_exceeded")
        assert 55 <= int(refused.headers["Retry-After"]) <= 60
        assert ask.cryptofuse("/user/balances/", "kiosk").status_code == 200
        assert ask.sandbox.refused == 2
