"""The demo's dataset: the same bytes for the same seed, plausible, and with every awkward thing in it that it promises."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from pipelines.config import load as load_config
from pipelines.errors import UsageError
from pipelines.sandbox import faults
from pipelines.sandbox.dataset import Dataset, load
from pipelines.sandbox.generate import generate
from pipelines.sandbox.replay import World
from pipelines.sandbox.serve import Sandbox
from pipelines.sandbox.values import HOUR, micros

END = datetime(2025, 7, 1, tzinfo=UTC)


@pytest.fixture(scope="module", params=[12, 30])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / f"{request.param}"
    generate(out, request.param)
    return out


@pytest.fixture(scope="module")
def demo(folder: Path) -> Dataset:
    return load(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_one_seed_writes_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        generate(tmp_path / name, 12, seed)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a")["ledger.csv"] != contents(tmp_path / "c")["ledger.csv"]
    assert contents(tmp_path / "a")["candles.parquet"] != contents(tmp_path / "c")["candles.parquet"]


def test_a_year_takes_less_than_ten_seconds_and_no_spot_balance_is_ever_negative(tmp_path: Path) -> None:
    began = time.perf_counter()
    generate(tmp_path, 365)
    assert time.perf_counter() - began < 10
    year = load(tmp_path)
    assert year.start == date(2024, 7, 1)
    assert_chains_hold(year)


def test_every_chain_holds(demo: Dataset) -> None:
    assert_chains_hold(demo)


def assert_chains_hold(dataset: Dataset) -> None:
    for portfolio in dataset.portfolios.values():
        for code, events in portfolio.events.items():
            before, pending = portfolio.opening.get(code, 0), 0
            for event in events:
                assert before + event.amount == event.balance >= 0, (portfolio.name, event)
                if event.kind == "deposit_release":
                    assert event.balance + event.pending == before + pending, "a release moves both with their sum unchanged"
                before, pending = event.balance, event.pending or 0


def test_six_portfolios_on_three_venues(demo: Dataset) -> None:
    assert Counter(p.venue for p in demo.portfolios.values()) == {"coinbase": 3, "pacifica": 2, "cryptofuse": 1}
    assert {p.entity for p in demo.portfolios.values()} == {"acme"}
    assert set(demo.portfolios["shop"].events) == {"USDTERC20", "USDTTRC20", "USDCERC20", "ETH", "BTC"}


def test_what_happens_is_what_happens_to_such_portfolios(demo: Dataset) -> None:
    kinds = {p.name: {e.kind for events in p.events.values() for e in events} for p in demo.portfolios.values()}
    assert kinds["trading"] == {"match", "fee", "transfer"}
    assert kinds["treasury"] == {"match", "fee", "transfer", "conversion"}
    assert kinds["perps"] == {"deposit", "withdraw", "trade", "funding", "subaccount_transfer"}
    assert kinds["perps-alpha"] == {"deposit", "deposit_release", "trade", "funding", "subaccount_transfer"}
    assert kinds["shop"] == {"deposit", "withdrawal", "fee"}


def test_a_trade_moves_two_accounts_and_a_fee_in_one_instant(demo: Dataset) -> None:
    trading = demo.portfolios["trading"].events
    for trade in (e for code, events in trading.items() if code != "USD" for e in events):
        match, fee = (e for e in trading["USD"] if e.at == trade.at)
        assert (match.kind, fee.kind) == ("match", "fee")
        assert (match.amount < 0) == (trade.amount > 0)
        assert fee.amount < 0


def test_transfers_between_own_portfolios_have_both_legs(demo: Dataset) -> None:
    events = {(p.name, code): list(e) for p in demo.portfolios.values() for code, e in p.events.items()}
    sent = [e for e in events["treasury", "USD"] if e.kind == "transfer" and e.amount < 0]
    received = [e for name in ("trading", "payroll") for e in events[name, "USD"] if e.kind == "transfer" and e.amount > 0]
    assert {(e.at, -e.amount) for e in sent} == {(e.at, e.amount) for e in received} != set()
    arrived = [e for e in events["perps", "USDC"] if e.kind == "deposit"]
    left = {-e.amount: e.at for e in events["treasury", "USDC"] if e.kind == "transfer"}
    assert arrived
    for deposit in arrived:
        assert left[deposit.amount] < deposit.at, "in transit in between"


def test_a_deposit_is_pending_until_it_is_released(demo: Dataset) -> None:
    alpha = demo.portfolios["perps-alpha"].events["USDC"]
    [pending, *_] = [e for e in alpha if e.kind == "deposit"]
    [release, *_] = [e for e in alpha if e.kind == "deposit_release"]
    assert pending.amount == 0 < pending.pending
    assert (release.amount, release.pending) == (pending.pending, 0)


def test_markets_have_a_delisting_an_asset_without_usd_a_missing_hour_and_one_without_volume(demo: Dataset) -> None:
    products = {p["id"]: p for p in demo.products}
    assert (products["OMG-USD"]["status"], products["OMG-USD"]["trading_disabled"]) == ("delisted", True)
    treasury = demo.portfolios["treasury"]
    assert treasury.events["OMG"][-1].balance > 0, "still held"
    assert treasury.opening["REN"] > 0
    assert not {"REN-USD", "USDC-USD"} & set(products)
    end, start = int(END.timestamp()), int(datetime.combine(demo.start, datetime.min.time(), UTC).timestamp())
    shown = {name: hours.shown(end, forming=False) for name, hours in demo.hours.items()}
    assert set(shown) == {"BTC-USD", "ETH-USD", "SOL-USD", "USDT-USD", "OMG-USD"}
    assert (shown["BTC-USD"][0].start, shown["BTC-USD"][-1].start) == (start - 48 * HOUR, end - HOUR)
    assert shown["OMG-USD"][-1].start < end - 24 * HOUR
    missing = [b.start - a.start for a, b in pairwise(shown["ETH-USD"]) if b.start - a.start != HOUR]
    assert missing == [2 * HOUR]
    assert [h.volume for h in shown["SOL-USD"]].count(0) == 1
    for hours in shown.values():
        for hour in hours:
            assert hour.low <= min(hour.open, hour.close) <= max(hour.open, hour.close) <= hour.high
    assert all(-h.close.as_tuple().exponent <= 2 for h in shown["BTC-USD"])
    assert all(-h.volume.as_tuple().exponent <= 8 for h in shown["BTC-USD"])


def test_a_transfer_is_shown_on_the_last_day_that_happened_nine_days_before(demo: Dataset) -> None:
    told = faults.load(demo, None)
    [late] = told.late
    assert late.restate
    assert micros(END) - late.at > 8 * 86_400 * 10**6
    day_before, at_end = micros(END) - 86_400 * 10**6, micros(END)
    usd = World(demo, at_end, faults=told).portfolios("coinbase")["treasury"].accounts["USD"]
    own = World(demo, at_end).portfolios("coinbase")["treasury"].accounts["USD"]
    assert usd.balance(day_before) == own.balance(day_before)
    assert usd.balance(at_end)[0] - own.balance(at_end)[0] == late.amount
    ids = [int(e.event_id) for e in usd.rows(at_end)]
    assert ids == sorted(ids), "its id lies between its neighbours'"


def test_its_configuration_is_valid_and_prices_nothing_by_policy(folder: Path, tmp_path: Path) -> None:
    with Sandbox(folder) as sandbox:
        sandbox.write_config(tmp_path / "closebook.toml")
    config = load_config(tmp_path / "closebook.toml")
    assert (config.book.end, len(config.portfolio), config.policy) == (date(2025, 7, 1), 6, ())


def test_one_day_is_too_short(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too short"):
        generate(tmp_path / "x", 1)
    assert not (tmp_path / "x").exists()
