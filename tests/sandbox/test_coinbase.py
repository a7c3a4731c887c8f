"""Coinbase Exchange over a real socket: who may ask, what accounts say, how a ledger is paged."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipelines.sandbox.coinbase import signature
from tests.sandbox.asking import Client, serving, write

SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
LEDGER_TARGET = "/accounts/71452118-efc7-4cc4-8780-a5e22d4baa53/ledger?start_date=2024-01-01T00%3A00%3A00Z&limit=100"
REPORT = b'{"type":"balance","format":"csv","balance":{"datetime":"2024-01-01T00:00:00.000Z"}}'


@pytest.mark.parametrize(
    ("method", "target", "body", "expected"),
    [
        ("GET", "/accounts", b"", "rGG1JqXQ+E6pZei33vupSfjDznqIYp7EiYs3JKWtKIw="),
        ("GET", LEDGER_TARGET, b"", "XZPUUCK4fI47aqq7eCLVls+rMkM20Zxjpo75Th3D+6o="),
        ("POST", "/reports", REPORT, "AaISeVIfdVD/mQTZuYH30EsK4n78eY67Qj2RLtjrQoI="),
    ],
)
def test_the_signature_is_the_published_one(method: str, target: str, body: bytes, expected: str) -> None:
    assert signature(SECRET, "1700000000", method, target, body) == expected


ERRORS = [
    ({"KEY": ""}, 401, 401, "CB-ACCESS-KEY header is required"),
    ({"SIGN": ""}, 400, 400, "CB-ACCESS-SIGN header is required"),
    ({"TIMESTAMP": ""}, 400, 400, "CB-ACCESS-TIMESTAMP header is required"),
    ({"PASSPHRASE": ""}, 400, 400, "CB-ACCESS-PASSPHRASE header is required"),
    ({"TIMESTAMP": "yesterday"}, 400, 400, "invalid timestamp"),
    ({"TIMESTAMP": "1700000000"}, 401, 400, "request timestamp expired"),
    ({"KEY": "nobody"}, 401, 400, "Invalid API Key"),
    ({"PASSPHRASE": "open sesame"}, 401, 400, "Invalid Passphrase"),
    ({"SIGN": "AAAA"}, 401, 400, "invalid signature"),
]


@pytest.mark.parametrize(("wrong", "status", "_", "message"), ERRORS)
def test_credentials_are_refused_in_the_venues_words(ask: Client, wrong: dict[str, str], status: int, _: int, message: str) -> None:
    refused = ask.coinbase("/accounts", **wrong)
    assert (refused.status_code, refused.json()) == (status, {"message": message})


def test_older_clients_saw_400_for_credentials(dataset: Path) -> None:
    with serving(dataset, legacy_400=True) as ask:
        for wrong, _, legacy, message in ERRORS:
            refused = ask.coinbase("/accounts", **wrong)
            assert (refused.status_code, refused.json()) == (legacy, {"message": message})


@pytest.mark.parametrize(("seconds", "status"), [(-29, 200), (29, 200), (-31, 401), (31, 401)])
def test_a_clock_may_be_thirty_seconds_off(ask: Client, seconds: float, status: int) -> None:
    assert ask.coinbase("/accounts", ahead=seconds).status_code == status


def test_the_query_is_part_of_what_is_signed(ask: Client) -> None:
    target = f"/accounts/{ask.account_id('BTC')}/ledger?limit=1&start_date=2024-01-01T00%3A00%3A00Z"
    assert ask.coinbase(target).status_code == 200
    without_query = ask.signed(target.partition("?")[0])
    assert ask.get(target, **without_query).json() == {"message": "invalid signature"}
    other_encoding = ask.signed(target.replace("%3A", ":"))
    assert ask.get(target, **other_encoding).json() == {"message": "invalid signature"}


def test_an_unknown_path_asks_who_you_are_first(ask: Client) -> None:
    assert (ask.get("/nonsense").status_code, ask.get("/Accounts").status_code) == (401, 401)
    known = ask.coinbase("/nonsense")
    assert (known.status_code, known.json()) == (404, {"message": "NotFound"})
    assert ask.http.post("/accounts").status_code == 401


def test_accounts_are_those_of_the_keys_profile_with_fiat_at_zero(ask: Client) -> None:
    accounts = {a["currency"]: a for a in ask.coinbase("/accounts").json()}
    assert set(accounts) == {"BTC", "USD", "SOL", "EUR", "GBP", "USDC"}
    assert accounts["BTC"] | {"id": "", "profile_id": ""} == {
        "id": "",
        "currency": "BTC",
        "balance": "0.170000000000000001",  # the dataset's own decimals where it has more than 16
        "hold": "0.0000000000000000",
        "available": "0.170000000000000001",
        "profile_id": "",
        "trading_enabled": True,
        "pending_deposit": "0.0000000000000000",
        "display_name": "BTC",
    }
    assert (accounts["USD"]["balance"], accounts["USD"]["available"]) == ("74.4500000000000000", "74.45")
    assert accounts["SOL"]["balance"] == "7.0000000000000000", "an opening without rows"
    assert (accounts["EUR"]["balance"], accounts["EUR"]["available"]) == ("0.0000000000000000", "0")
    assert {a["currency"] for a in ask.coinbase("/accounts", "stranger").json()} == {"BTC", "USD", "EUR", "GBP", "USDC"}


def test_one_account_is_found_with_and_without_dashes_and_only_by_its_owner(ask: Client) -> None:
    account = ask.account_id("BTC")
    assert ask.coinbase(f"/accounts/{account}").json()["currency"] == "BTC"
    assert ask.coinbase(f"/accounts/{account.replace('-', '')}").json()["id"] == account
    for target, portfolio in ((f"/accounts/{account}", "vault"), ("/accounts/nonsense", "desk"), (f"/accounts/{account}/ledger", "vault")):
        refused = ask.coinbase(target, portfolio)
        assert (refused.status_code, refused.json()) == (404, {"message": "NotFound"})


def test_ids_are_the_same_in_every_sandbox(ask: Client, dataset: Path) -> None:
    with serving(dataset) as other:
        assert other.coinbase("/accounts").json() == ask.coinbase("/accounts").json()


def test_profiles_are_those_of_one_user(ask: Client) -> None:
    profiles = ask.coinbase("/profiles").json()
    assert [(p["name"], p["active"], p["is_default"]) for p in profiles] == [("desk", True, True), ("vault", True, False)]
    assert len({p["user_id"] for p in profiles}) == 1
    assert ask.coinbase("/accounts").json()[0]["profile_id"] == profiles[0]["id"]
    assert ask.coinbase("/profiles?active=false").json() == []
    assert ask.coinbase(f"/profiles/{profiles[1]['id']}").json() == profiles[1]
    assert ask.coinbase(f"/profiles/{profiles[1]['id']}", "stranger").status_code == 404


def ids(response) -> list[str]:
    assert response.status_code == 200, response.text
    return [row["id"] for row in response.json()]


EVER = "start_date=2020-01-01"


def test_a_ledger_without_dates_shows_the_last_day_of_the_data_clock(ask: Client) -> None:
    assert ids(ask.ledger("limit=1000")) == ["1040", "1030"], "the day before 2025-01-11, its first instant included"
    assert ids(ask.ledger(EVER)) == ["1040", "1030", "1020", "1010", "1001"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("start_date=2025-01-05&end_date=2025-01-10", ["1030", "1020", "1010"]),  # both inclusive
        ("start_date=2025-01-05T00:00:01&end_date=2025-01-09", []),
        ("start_date=2025-01-10T00:00:00Z", ["1040", "1030"]),
        ("end_date=2025-01-05T00%3A00%3A00.000Z", ["1010", "1001"]),
        ("start_date=2025-01-09T23:59:59.999999Z&end_date=2025-01-09T23:59:59.999999Z", ["1020"]),
        ("start_date=2025-01-09T22:59:59-01:00&end_date=2025-01-10", ["1030", "1020"]),
        ("start_date=2025-01-10&end_date=2025-01-05", []),
    ],
)
def test_both_dates_of_a_ledger_are_inclusive(ask: Client, query: str, expected: list[str]) -> None:
    assert ids(ask.ledger(query)) == expected


def test_a_ledger_row_has_the_published_form(ask: Client) -> None:
    [fee, match] = ask.ledger(EVER, "USD").json()
    assert (fee["id"], match["id"]) == ("1003", "1002"), "newest first, by id within one instant"
    assert fee == {
        "id": "1003",
        "amount": "-0.0500000000000000",
        "balance": "74.4500000000000000",
        "created_at": "2025-01-02T10:00:00.500000Z",
        "type": "fee",
        "details": match["details"],
    }
    assert match["details"]["product_id"] == "BTC-USD"
    assert set(match["details"]) == {"order_id", "product_id", "trade_id"}


def test_a_transfer_between_profiles_of_one_user_names_both(ask: Client) -> None:
    [sent] = [row for row in ask.ledger(EVER).json() if row["type"] == "transfer"]
    [received] = ask.ledger(EVER, portfolio="vault").json()
    assert sent["details"] == received["details"]
    profiles = {p["name"]: p["id"] for p in ask.coinbase("/profiles").json()}
    assert (sent["details"]["from"], sent["details"]["to"]) == (profiles["desk"], profiles["vault"])
    [outside] = ask.ledger(EVER, portfolio="stranger").json()
    assert outside["details"]["transfer_type"] == "deposit"


def test_the_data_clock_decides_what_has_happened(dataset: Path) -> None:
    with serving(dataset) as ask:
        ask.sandbox.now = ask.sandbox.now.replace(day=5)
        assert ids(ask.ledger(EVER)) == ["1010", "1001"]
        assert {a["currency"]: a["available"] for a in ask.coinbase("/accounts").json()}["BTC"] == "0.15"
        ask.sandbox.now = ask.sandbox.now.replace(day=1)
        assert ids(ask.ledger(EVER)) == []
        before = {a["currency"]: a["available"] for a in ask.coinbase("/accounts").json()}
        assert (before["BTC"], before["USD"]) == ("0", "100"), "the opening"


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory):
    """An account with 2,345 rows, five to an instant."""
    rows = "\n".join(
        f"coinbase,desk,BTC,2025-01-02T00:{n // 5 // 60:02}:{n // 5 % 60:02}Z,match,1,{n + 1},,{5000 + 3 * n}" for n in range(2345)
    )
    with serving(write(tmp_path_factory.mktemp("busy"), rows)) as client:
        yield client


@pytest.mark.parametrize(("limit", "rows"), [("", 100), ("&limit=7", 7), ("&limit=1000", 1000), ("&limit=5000", 1000)])
def test_a_page_has_a_hundred_rows_unless_asked_and_never_more_than_a_thousand(busy: Client, limit: str, rows: int) -> None:
    assert len(busy.ledger(EVER + limit).json()) == rows


@pytest.mark.parametrize("size", [100, 999, 1000])
def test_walking_back_with_after_meets_every_row_once(busy: Client, size: int) -> None:
    target = f"/accounts/{busy.account_id('BTC')}/ledger?{EVER}&limit={size}"
    met, page = [], busy.coinbase(target)
    while (rows := page.json()) and len(met) < 2345:
        met += [int(row["id"]) for row in rows]
        assert (page.headers["CB-BEFORE"], page.headers["CB-AFTER"]) == (rows[0]["id"], rows[-1]["id"])
        page = busy.coinbase(f"{target}&after={page.headers['CB-AFTER']}")
    assert met == [5000 + 3 * n for n in reversed(range(2345))]
    assert "CB-AFTER" not in page.headers
    assert "CB-BEFORE" not in page.headers


def test_before_gives_the_newest_rows_above_the_cursor_not_the_page_just_above(busy: Client) -> None:
    newest = 5000 + 3 * 2344
    assert ids(busy.ledger(f"{EVER}&limit=2&before=5000")) == [str(newest), str(newest - 3)]
    assert ids(busy.ledger(f"{EVER}&before={newest - 3}")) == [str(newest)]
    assert ids(busy.ledger(f"{EVER}&before={newest}")) == []
    assert ids(busy.ledger(f"{EVER}&before=5000&after=5009")) == ["5006", "5003"]
    assert ids(busy.ledger(f"{EVER}&limit=1&after=5001")) == ["5000"], "a cursor need not be a row's own"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("after=xyz", "after cursor value is not valid"),
        ("before=-1", "before cursor value is not valid"),
        ("limit=0", "invalid limit"),
        ("limit=many", "invalid limit"),
        ("start_date=soon", "invalid start_date"),
        ("end_date=1969-12-31", "end_date must be after the epoch"),
    ],
)
def test_a_ledger_refuses_what_it_cannot_read(ask: Client, query: str, message: str) -> None:
    refused = ask.ledger(query)
    assert (refused.status_code, refused.json()) == (400, {"message": message})


def test_another_profile_cannot_be_asked_for(ask: Client) -> None:
    [own, other] = ask.coinbase("/profiles").json()
    assert ask.ledger(f"profile_id={own['id']}").status_code == 200
    assert ask.ledger(f"profile_id={other['id']}").status_code == 403


def test_the_private_limit_is_thirty_then_fifteen_a_second_for_each_profile(dataset: Path) -> None:
    with serving(dataset, limit_scale=0.001) as ask:
        codes = [ask.coinbase("/accounts").status_code for _ in range(31)]
        assert codes == [200] * 30 + [429]
        refused = ask.coinbase("/accounts")
        assert refused.json() == {"message": "Private rate limit exceeded"}
        assert not {"retry-after", "ratelimit"} & set(refused.headers)
        assert ask.coinbase("/accounts", "vault").status_code == 200
        assert ask.sandbox.requests["GET", "/accounts", 429] == ask.sandbox.refused == 2
    with serving(dataset, limit_scale=2) as ask:
        assert 429 in [ask.coinbase("/accounts").status_code for _ in range(60)], "asked faster than thirty a second"
        time.sleep(0.2)
        assert ask.coinbase("/accounts").status_code == 200, "30 a second by the scaled clock"
