"""The real wallet and the captured replies: what the sandbox serves has the form, and the numbers, of the real thing."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.conftest import DATA
from tests.sandbox.asking import Client, serving

pytestmark = pytest.mark.skipif(not (DATA / "real").is_dir(), reason="real data is not beside this checkout (../shared/data)")
D = Decimal


@pytest.fixture(scope="module")
def ask() -> Iterator[Client]:
    with serving(DATA / "real") as client:
        yield client


def captured(name: str):
    return json.loads((DATA / "captured" / name).read_text())


def fields_of(schema: str) -> set[str]:
    return set(captured("coinbase-exchange-openapi-v1.0.json")["components"]["schemas"][schema]["properties"])


def test_walking_the_real_ledger_gives_the_file_back(ask: Client) -> None:
    with (DATA / "real/ledger.csv").open() as file:
        expected = [(r["event_id"], r["occurred_at"], r["event_type"], D(r["amount"]), D(r["balance_after"])) for r in csv.DictReader(file)]
    target = f"/accounts/{ask.account_id('BTC')}/ledger?start_date=2020-01-01&limit=1000"
    rows, page = [], ask.coinbase(target)
    while page.json() and len(rows) < len(expected):
        rows += page.json()
        page = ask.coinbase(f"{target}&after={page.headers['CB-AFTER']}")
    got = [(r["id"], r["created_at"], r["type"], D(r["amount"]), D(r["balance"])) for r in reversed(rows)]
    assert got == expected


@pytest.mark.parametrize(("product", "price"), [("BTC-USD", "93918.447067"), ("ETH-USD", "3341.410308"), ("SOL-USD", "191.193878")])
def test_the_weighted_close_of_a_day_is_the_known_one(ask: Client, product: str, price: str) -> None:
    query = "granularity=3600&start=2025-01-01T00:00:00Z&end=2025-01-01T23:00:00Z"
    rows = json.loads(ask.get(f"/products/{product}/candles?{query}").text, parse_float=D, parse_int=D)
    assert len(rows) == 24
    assert f"{sum(r[4] * r[5] for r in rows) / sum(r[5] for r in rows):.6f}" == price


def test_replies_have_the_fields_of_the_openapi_and_of_captured_ones(ask: Client) -> None:
    [account, *_] = ask.coinbase("/accounts").json()
    assert set(captured("accounts_form.json")[0]) <= set(account)
    assert fields_of("apiAccount") <= set(account)
    [entry, *_] = ask.ledger("start_date=2020-01-01").json()
    assert set(entry) == fields_of("apiAccountLedgerEntry")
    assert set(ask.get("/currencies/BTC").json()) >= fields_of("apiCurrency")


def test_candles_are_printed_as_captured_ones_are(ask: Client) -> None:
    [row, *_] = ask.get("/products/BTC-USD/candles?granularity=3600").json()
    assert [type(n) for n in row[:1]] == [int]
    assert len(row) == len(captured("candles_form_BTC-USD_3600.json")[0])


def test_pacificas_replies_have_the_fields_of_captured_ones(tmp_path: Path) -> None:
    from tests.sandbox.asking import write

    with serving(write(tmp_path)) as ask:
        seen = captured("pacifica_testnet_2026-01-27.json")
        account = ask.pacifica("/account").json()
        assert set(account) == set(seen["GET /api/v1/account"])
        assert set(seen["GET /api/v1/account"]["data"]) <= set(account["data"])
        assert set(ask.get("/api/v1/info").json()["data"][0]) == set(seen["GET /api/v1/info"]["data"][0])
