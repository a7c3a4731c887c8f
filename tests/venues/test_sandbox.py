"""The real clients against the emulated venues, over a real socket: what was put in comes out, and nothing is refused."""

from __future__ import annotations

import json
import tomllib
from datetime import timedelta

import polars as pl
import pytest

from pipelines import venues
from pipelines.config import Config
from pipelines.errors import Refused
from pipelines.sandbox.serve import Sandbox
from pipelines.sandbox.settings import Settings
from pipelines.venues import PriceClient, wire
from tests.ledger_text import D, instant
from tests.venues.serving import HURRIED, run

START = instant("2025-01-01")
EVENTS = 45  # of each account, several to an instant


def ledger():
    """One account of each venue, each with a balance that goes up by 2, down by 1 …, three events to an instant."""
    rows = ["venue,portfolio,native_code,occurred_at,event_type,amount,balance_after,pending_after,event_id"]
    kinds = {"coinbase": ("match", "fee"), "pacifica": ("deposit", "trade"), "cryptofuse": ("deposit", "withdrawal")}
    for venue, code in (("coinbase", "BTC"), ("coinbase", "USD"), ("pacifica", "USDC"), ("cryptofuse", "USDTERC20")):
        balance = 0
        for n in range(EVENTS):
            amount, kind = (2, kinds[venue][0]) if n % 2 == 0 else (-1, kinds[venue][1])
            balance += amount
            at = f"{START + timedelta(hours=n // 3):%Y-%m-%dT%H:%M:%S.000000Z}"
            pending = "0" if venue == "pacifica" else ""
            event_id = n + (100 if code == "USD" else 1) if venue == "coinbase" else ""
            rows.append(f"{venue},{venue[:4]},{code},{at},{kind},{amount},{balance},{pending},{event_id}")
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    portfolios = "".join(f'[[portfolio]]\nname = "{v[:4]}"\nvenue = "{v}"\n' for v in ("coinbase", "pacifica", "cryptofuse"))
    (folder / "dataset.toml").write_text(f'name = "three"\nstart = 2025-01-01\nend = 2025-02-01\n{portfolios}')
    (folder / "ledger.csv").write_text(ledger())
    hours = [int(START.timestamp()) + 3600 * n for n in range(31 * 24) if n != 5]
    candles = "\n".join(f"BTC-USD,{at},0.1,0.3,0.1,0.{at % 1000:03}1,0.00001" for at in hours)
    (folder / "candles.csv").write_text(f"product_id,time,low,high,open,close,volume\n{candles}\n")
    product = {"id": "BTC-USD", "base_currency": "BTC", "quote_currency": "USD", "status": "online", "trading_disabled": False}
    (folder / "products.json").write_text(json.dumps([product]))
    return folder


def asking(dataset, venue, work, settings=None, page_size=20, **more):
    """`work(client)` with the client of the dataset's portfolio at `venue`, configured as the sandbox says."""
    with Sandbox(dataset, settings=settings or Settings()) as sandbox:
        written = tomllib.loads(sandbox.config_text())
        for portfolio in written["portfolio"]:
            portfolio.update(page_size=page_size, **(more if portfolio["venue"] == venue else {}))
        config = Config.model_validate(written)
        portfolio = next(p for p in config.portfolio if p.venue == venue)

        async def doing():
            async with venues.connect(portfolio, HURRIED) as client:
                return await work(client)

        return run(doing()), sandbox.refused


async def everything(client, since=None):
    balances = await client.balances()
    venue = balances[0].venue
    _, reading = wire.read_balances(venue, balances)
    accounts = reading.rows.filter(scope="account")["venue_account_id"].to_list() if client.subjects_by_account else [None]
    pages = [page for account in accounts async for page in client.history(account, since)]
    return reading.rows, wire.read_history(venue, pages), len(pages)


def told(venue, code):
    rows = pl.read_csv(ledger().encode(), infer_schema=False).filter(venue=venue, native_code=code)
    return [(instant(at), D(amount), D(balance)) for at, amount, balance in rows.select("occurred_at", "amount", "balance_after").rows()]


@pytest.mark.parametrize(("venue", "code"), [("coinbase", "BTC"), ("coinbase", "USD"), ("pacifica", "USDC"), ("cryptofuse", "USDTERC20")])
def test_every_event_of_every_account_comes_out_once_in_true_order(dataset, venue, code):
    (balances, reading, pages), refused = asking(dataset, venue, everything)
    account = balances.filter(native_code=code, scope="account")
    mine = pl.col("venue_account_id").eq_missing(account["venue_account_id"][0]) & (
        pl.col("native_code").is_null() | pl.col("native_code").eq(code)
    )
    rows = reading.rows.filter(mine)
    unsigned = venue == "cryptofuse"
    assert rows.select("occurred_at", "amount", "balance_after").rows() == [
        (t, abs(a) if unsigned else a, b) for t, a, b in told(venue, code)
    ]
    assert account["amount"].to_list() == [told(venue, code)[-1][2]]
    assert reading.refused.is_empty()
    assert pages >= 3
    assert refused == 0


@pytest.mark.parametrize("venue", ["coinbase", "pacifica", "cryptofuse"])
def test_a_second_walk_reads_only_what_is_new(dataset, venue):
    newest = told(venue, {"coinbase": "BTC", "pacifica": "USDC", "cryptofuse": "USDTERC20"}[venue])[-1][0]
    (balances, reading, pages), _ = asking(dataset, venue, lambda client: everything(client, newest))
    assert reading.rows.filter(occurred_at=newest).height == (6 if venue == "coinbase" else 3)
    assert pages == (balances.filter(scope="account").height if venue == "coinbase" else 1)


def test_a_wrong_secret_is_refused_at_once(dataset):
    with pytest.raises(Refused, match="invalid signature"):
        asking(dataset, "coinbase", lambda client: client.balances(), secret="AAAA")


@pytest.mark.parametrize("shape", ["maps", "list", "nested"])
def test_every_published_shape_of_live_balances_is_read(dataset, shape):
    (balances, _, _), _ = asking(dataset, "cryptofuse", everything, Settings(balances_shape=shape))
    assert balances.filter(scope="account").select("native_code", "amount").rows() == [
        ("USDTERC20", told("cryptofuse", "USDTERC20")[-1][2])
    ]


def test_a_key_that_only_reads_walks_the_history_without_balances(dataset):
    async def work(client):
        with pytest.raises(Refused):
            await client.balances()
        return [page async for page in client.history(None, None)]

    pages, _ = asking(dataset, "cryptofuse", work, Settings(scopes=("read",)))
    assert wire.read_history("cryptofuse", pages).rows.height == EVENTS


def test_the_venue_explains_its_codes(dataset):
    pages, _ = asking(dataset, "cryptofuse", lambda client: client.currencies())
    assert wire.read_currencies(pages[0]).rows.select("native_code", "asset").rows() == [("USDTERC20", "USDT")]


def test_candles_products_and_the_clock_of_the_price_venue(dataset):
    with Sandbox(dataset) as sandbox:
        settings = Config.model_validate(tomllib.loads(sandbox.config_text())).prices

        async def work():
            async with PriceClient(settings, HURRIED) as client:
                pages = [page async for page in client.candles("BTC-USD", START, START + timedelta(days=31))]
                return await client.time(), wire.read_products(await client.products()).rows, wire.read_candles(pages).rows

        now, products, candles = run(work())
    assert now == instant("2025-02-01")
    assert products["product_id"].to_list() == ["BTC-USD"]
    assert candles.height == 31 * 24 - 1
    assert candles["volume"].unique().to_list() == [D("0.00001")]
    assert candles["close"][1] == D(f"0.{int((START + timedelta(hours=1)).timestamp()) % 1000:03}1")
