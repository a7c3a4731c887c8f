"""Somebody else's client (ccxt), unmodified but for its base URL, sees at the sandbox what ours sees."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import ccxt
import pytest

from pipelines import venues
from pipelines.config import Config
from pipelines.sandbox.generate import generate
from pipelines.sandbox.serve import Sandbox
from pipelines.venues import wire
from tests.ledger_text import D
from tests.sandbox.asking import FAST
from tests.venues.serving import HURRIED, run

EVER = {"start_date": "2012-01-01T00:00:00Z", "end_date": "2040-01-01T00:00:00Z"}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("dataset")
    generate(folder, 14)
    with Sandbox(folder, limit_scale=FAST) as serving:
        yield serving


def ours(sandbox: Sandbox, name: str) -> Any:
    return next(p for p in Config.model_validate(tomllib.loads(sandbox.config_text())).portfolio if p.name == name)


def theirs(sandbox: Sandbox, name: str) -> Any:
    """ccxt's client of the portfolio's venue, with the same keys."""
    keys = next(p for p in tomllib.loads(sandbox.config_text())["portfolio"] if p["name"] == name)
    if keys["venue"] == "coinbase":
        client: Any = ccxt.coinbaseexchange({"apiKey": keys["key"], "secret": keys["secret"], "password": keys["passphrase"]})
    else:
        client = ccxt.pacifica({"walletAddress": keys["account"]})
    client.enableRateLimit = False
    client.urls["api"] = {"public": sandbox.base_url, "private": sandbox.base_url}
    return client


def read(sandbox: Sandbox, name: str) -> tuple[Any, Any]:
    """What our client reads of a portfolio: balances and every event."""

    async def work() -> tuple[Any, Any]:
        async with venues.connect(ours(sandbox, name), HURRIED) as client:
            pages = await client.balances()
            _, balances = wire.read_balances(pages[0].venue, pages)
            held = balances.rows.filter(scope="account")
            accounts = held["venue_account_id"].to_list() if client.subjects_by_account else [None]
            history = [page for account in accounts async for page in client.history(account, None)]
            return held, wire.read_history(pages[0].venue, history).rows

    return run(work())


def told(entries: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """The venue's own texts, as ccxt hands them through, as exact numbers where they are numbers."""
    return [tuple(D(e["info"][n]) if n in ("amount", "balance", "pending_balance") else str(e["info"][n]) for n in names) for e in entries]


def test_accounts_and_ledgers_of_coinbase(sandbox: Sandbox) -> None:
    client = theirs(sandbox, "trading")
    balances, events = read(sandbox, "trading")
    accounts = {a["code"]: a["info"] for a in client.fetch_accounts()}
    assert {(c, a["id"], D(a["balance"])) for c, a in accounts.items()} == set(
        balances.select("native_code", "venue_account_id", "amount").iter_rows()
    )
    compared = 0
    for code, account in accounts.items():
        entries = client.fetch_ledger(code, None, 1000, dict(EVER))
        mine = events.filter(venue_account_id=account["id"])
        expected = [tuple(row) for row in mine.select("event_id", "amount", "balance_after", "event_type").iter_rows()]
        got = sorted(told(entries, "id", "amount", "balance", "type"), key=lambda row: int(row[0]))
        assert got == expected
        assert [e["direction"] for e in entries if e["amount"]] == ["in" if D(e["info"]["amount"]) > 0 else "out" for e in entries]
        compared += len(got)
    assert compared > 50


def test_products_and_candles_of_coinbase(sandbox: Sandbox) -> None:
    client = theirs(sandbox, "trading")
    since, hours = sandbox.now - timedelta(days=10), 240

    async def work() -> tuple[Any, Any]:
        async with venues.PriceClient(Config.model_validate(tomllib.loads(sandbox.config_text())).prices, HURRIED) as ours:
            pages = [page async for page in ours.candles("BTC-USD", since, since + timedelta(hours=hours))]
            return wire.read_products(await ours.products()).rows, wire.read_candles(pages).rows

    products, candles = run(work())
    markets = client.load_markets()
    assert {(m["id"], m["base"], m["quote"], m["active"]) for m in markets.values()} == {
        (p, b, q, status == "online") for p, b, q, status in products.select("product_id", "base", "quote", "status").iter_rows()
    }
    rows = client.fetch_ohlcv("BTC/USD", "1h", int(since.timestamp() * 1000), hours)
    expected = candles.select("start", "open", "high", "low", "close", "volume").iter_rows()
    assert [(at, *map(float, numbers)) for at, *numbers in rows] == [(t.timestamp() * 1000, *map(float, n)) for t, *n in expected]
    assert len(rows) > 200


def test_the_ledger_of_pacifica(sandbox: Sandbox) -> None:
    client = theirs(sandbox, "perps")
    account = client.walletAddress
    entries = client.fetch_ledger(None, None, 500, {"account": account, "include_trades": "true", "paginate": False})
    _, events = read(sandbox, "perps")
    names = ("created_at", "event_type", "amount", "balance", "pending_balance")
    expected = [
        (str(int(at.timestamp() * 1000)), *rest)
        for at, *rest in events.select("occurred_at", "event_type", "amount", "balance_after", "pending_after").iter_rows()
    ]
    assert sorted(told(entries, *names)) == sorted(expected)
    assert len(entries) > 50
