"""Balance reports as the sandbox makes them, and our client fetching them from it."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.config import BalanceReport, CoinbasePortfolio
from pipelines.errors import Unreachable
from pipelines.sandbox.coinbase import profile_id, signature
from pipelines.venues import wire
from pipelines.venues.coinbase.client import CoinbaseClient
from pipelines.venues.coinbase.reports import Waiting
from pipelines.venues.http import Patience
from tests.ledger_text import instant
from tests.sandbox.asking import Client, serving

AT = instant("2025-01-10")
ORDER = {"type": "balance", "format": "csv", "balance": {"datetime": "2025-01-10T00:00:00.000Z"}}
HASTE = Waiting(first=0.02, longest=0.05, total=5.0)
BRIEF = Patience(attempts=2, total=2.0, first=0.01, longest=0.02, jitter=0.01)


def order(ask: Client, **changes):
    key, timestamp = ask.keys["desk"], str(int(time.time()))
    body = json.dumps(ORDER | changes).encode()
    headers = {"KEY": key["key"], "PASSPHRASE": key["passphrase"], "TIMESTAMP": timestamp}
    headers["SIGN"] = signature(key["secret"], timestamp, "POST", "/reports", body)
    return ask.http.post("/reports", content=body, headers={f"CB-ACCESS-{n}": v for n, v in headers.items()})


def fetched(ask: Client, portfolio: str = "desk", at=AT):
    async def work():
        async with CoinbaseClient(CoinbasePortfolio.model_validate(ask.keys[portfolio]), BRIEF) as client:
            return await client.report(at, profile_id(portfolio), HASTE)

    return asyncio.run(work())


def test_a_report_is_pending_then_creating_then_ready(dataset: Path) -> None:
    with serving(dataset, report_seconds=(0.1, 0.3)) as ask:
        report_id, seen = order(ask).json()["id"], []
        while "ready" not in seen:
            told = ask.coinbase(f"/reports/{report_id}").json()
            seen += [told["status"]] if told["status"] not in seen else []
            assert (told["file_url"] is None) == (told["status"] != "ready")
        assert seen == ["pending", "creating", "ready"]
        assert told["params"]["user"]["email"] == "pat@example.com", "the venue tells of a person: it is ours to cut that out"


def test_what_cannot_be_ordered_is_refused(ask: Client) -> None:
    assert order(ask, type="fills").status_code == 400
    assert order(ask, balance={"datetime": "2031-01-01T00:00:00Z"}).status_code == 400
    assert order(ask, balance={"datetime": "then"}).status_code == 400
    assert order(ask, balance=None).status_code == 400
    assert order(ask, profile_id=profile_id("vault")).status_code == 403
    assert ask.http.post("/reports", json=ORDER).status_code == 401


def test_a_report_is_its_profile_s_own(ask: Client) -> None:
    report_id = order(ask).json()["id"]
    assert ask.coinbase(f"/reports/{report_id}", "vault").status_code == 404
    assert report_id in [told["id"] for told in ask.coinbase("/reports?type=balance").json()]
    assert report_id not in [told["id"] for told in ask.coinbase("/reports?type=balance", "vault").json()]


def test_a_file_opens_to_its_whole_address_and_to_no_key(dataset: Path) -> None:
    with serving(dataset, report_seconds=(0, 0)) as ask:
        address = ask.coinbase(f"/reports/{order(ask).json()['id']}").json()["file_url"]
        assert ask.http.get(address).headers["content-type"].startswith("text/csv")
        assert ask.http.get(address.partition("?")[0]).status_code == 403
        assert ask.http.get(address, headers={"CB-ACCESS-KEY": "x"}).status_code == 400


def test_a_report_counts_what_happened_before_its_instant(dataset: Path) -> None:
    """The row at the very instant does not count, the one a microsecond earlier does."""
    with serving(dataset, report_seconds=(0, 0)) as ask:
        rows = wire.read_report(fetched(ask)[1], BalanceReport().columns).rows
    held = {code: balance for code, balance, _ in rows.select("native_code", "balance", "price").iter_rows()}
    assert {code: held[code] for code in ("BTC", "USD", "SOL", "EUR")} == {
        "BTC": Decimal("0.16"), "USD": Decimal("74.45"), "SOL": Decimal(7), "EUR": Decimal(0)
    }  # fmt: skip
    assert set(rows["as_of"]) == {AT}


def test_with_the_hour_that_begins_then_the_price_is_another(dataset: Path) -> None:
    def price(**settings):
        with serving(dataset, report_seconds=(0, 0), **settings) as ask:
            rows = wire.read_report(fetched(ask)[1], BalanceReport().columns).rows
        return dict(rows.select("native_code", "price").iter_rows())

    usual, inclusive = price(), price(report_hours_inclusive=True)
    assert inclusive["BTC"] - usual["BTC"] == Decimal("0.5"), "closes rise by one an hour"
    assert (usual["USD"], usual["USDC"], usual["SOL"]) == (Decimal(1), None, None)


EXPIRED = {
    "a file that is gone": "[[expired_report]]",
    "an order that is gone": '[[expired_report]]\npath = "/reports/"',
    "an answer that was lost": '[[truncated]]\npath = "/reports"\nafter = 1',
    "a venue that stumbles": '[[failure]]\npath = "/reports"\nafter = 1\ntimes = 1',
    "a file in pieces": '[[truncated]]\npath = "/report-files/"',
}


@pytest.mark.parametrize("fault", EXPIRED)
def test_a_report_is_had_in_the_end(fault: str, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "faults.toml").write_text(EXPIRED[fault])
    with serving(dataset, faults=tmp_path / "faults.toml", report_seconds=(0, 0)) as ask:
        pages = fetched(ask)
        assert ask.sandbox.faults_met.total() == 1
        ordered = ask.sandbox.requests["POST", "/reports", 200]
    with serving(dataset, report_seconds=(0, 0)) as ask:
        assert fetched(ask)[1].body == pages[1].body
    assert ordered == (2 if "gone" in fault else 1), "what was lost on the way is found again, what is gone is ordered anew"


def test_reports_that_always_expire_are_given_up(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "faults.toml").write_text("[[expired_report]]\ntimes = 0")
    with (
        serving(dataset, faults=tmp_path / "faults.toml", report_seconds=(0, 0)) as ask,
        pytest.raises(Unreachable, match="was gone before it was fetched"),
    ):
        fetched(ask)
