"""A venue puts a row in three months back, or says an hour again with other numbers: what moves, what stands, what was known before."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.faults.house import House, house, same, venues
from tests.ledger_text import D, instant

START, END = instant("2025-01-01"), instant("2025-05-01")
INSERTED = instant("2025-01-20T00:00:30Z")
SHOWN_FROM = END - timedelta(days=1)
OWNERS = {"desk": ("coinbase", "BTC", "match"), "perps": ("pacifica", "USDC", "trade"), "shop": ("cryptofuse", "ETH", "deposit")}


def dataset(folder: Path) -> Path:
    """An entry every six hours for four months in one account of each venue; the merchant has a second code that moved only once."""
    folder.mkdir(parents=True)
    owners = "".join(f'[[portfolio]]\nname = "{p}"\nvenue = "{v}"\n' for p, (v, _, _) in OWNERS.items())
    (folder / "dataset.toml").write_text(f'name = "long"\nstart = {START:%Y-%m-%d}\nend = {END:%Y-%m-%d}\n{owners}')
    rows = ["venue,portfolio,native_code,occurred_at,event_type,amount,balance_after,pending_after,event_id"]
    rows += ["cryptofuse,shop,BTC,2025-01-02T00:00:00Z,deposit,3,3,,"]
    for p, (v, code, word) in OWNERS.items():
        for n in range(470):
            at = START + timedelta(hours=6 * n + 1)
            own = f"{'0' if v == 'pacifica' else ''},{10 * n + 10 if v == 'coinbase' else ''}"
            rows.append(f"{v},{p},{code},{at:%Y-%m-%dT%H:%M:%SZ},{word},1.5,{1.5 * (n + 1)},{own}")
    (folder / "ledger.csv").write_text("\n".join(rows) + "\n")
    hours = [START - timedelta(days=2) + timedelta(hours=n) for n in range(123 * 24)]
    candles = [f"BTC-USD,{int(t.timestamp())},90,110,100,{100 + n / 100},1.5" for n, t in enumerate(hours)]
    (folder / "candles.csv").write_text("\n".join(["product_id,time,low,high,open,close,volume", *candles]) + "\n")
    market = {"id": "BTC-USD", "base_currency": "BTC", "quote_currency": "USD", "status": "online", "trading_disabled": False}
    (folder / "products.json").write_text(json.dumps([market]))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("long") / "dataset")


def late(portfolio: str, code: str, restate: bool, at: datetime = INSERTED) -> str:
    keys = {"portfolio": portfolio, "native_code": code, "occurred_at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "event_type": "deposit"}
    keys |= {"amount": "0.25", "visible_from": f"{SHOWN_FROM:%Y-%m-%dT%H:%M:%SZ}"}
    return "\n".join(["[[late]]", *(f'{k} = "{v}"' for k, v in keys.items()), f"restate = {str(restate).lower()}\n"])


def rows(book: House, portfolio: str, code: str, known: datetime | None = None) -> pl.DataFrame:
    return book.facts(known)["postings"].filter(portfolio=portfolio, native_code=code)


@pytest.mark.parametrize("portfolio", OWNERS)
def test_a_row_put_in_three_months_back_moves_every_later_balance_by_exactly_its_amount(portfolio: str, data: Path, tmp_path: Path) -> None:
    code = OWNERS[portfolio][1]
    with (
        venues(data, late(portfolio, code, restate=True), now=SHOWN_FROM - timedelta(hours=1)) as sandbox,
        house(tmp_path, sandbox.config_text(), 100) as book,
    ):
        assert book.run() == {}
        before, known = rows(book, portfolio, code), book.warehouse.known_through()
        sandbox.now = SHOWN_FROM
        assert book.run() == {}
        after = rows(book, portfolio, code)
        assert after.height == before.height + 1, "the new one, and no other twice"
        moved = before.join(after, on="occurred_at", suffix="_now").select(
            "occurred_at", by=pl.col("balance_after_now") - pl.col("balance_after")
        )
        assert moved.filter(pl.col("occurred_at") < INSERTED)["by"].unique().to_list() == [D(0)]
        assert moved.filter(pl.col("occurred_at") > INSERTED)["by"].unique().to_list() == [D("0.25")]
        assert after.filter(occurred_at=INSERTED)["amount"].to_list() == [D("0.25")]
        assert after["amount"].sum() == after["balance_after"][-1], "the chain is whole again"
        assert rows(book, portfolio, code, known).equals(before), "what was known before still answers as before"


def test_a_row_put_in_where_nothing_has_moved_for_months_is_found_by_the_venue_s_own_count(data: Path, tmp_path: Path) -> None:
    fault = late("shop", "BTC", restate=False, at=instant("2025-01-01T00:00:00Z"))
    with (
        venues(data, fault, now=SHOWN_FROM - timedelta(hours=1)) as sandbox,
        house(tmp_path, sandbox.config_text(), 100) as book,
    ):
        assert book.run() == {}
        assert rows(book, "shop", "BTC").height == 1
        sandbox.now = SHOWN_FROM
        assert book.run() == {}
        assert rows(book, "shop", "BTC")["amount"].to_list() == [D("0.25"), D(3)]


@pytest.mark.parametrize("portfolio", OWNERS)
def test_a_row_put_in_lately_is_found_even_if_the_venue_restates_nothing(portfolio: str, data: Path, tmp_path: Path) -> None:
    code, at = OWNERS[portfolio][1], SHOWN_FROM - timedelta(days=8, minutes=5)
    fault = late(portfolio, code, restate=False, at=at)
    with (
        venues(data, fault, now=SHOWN_FROM - timedelta(days=6)) as sandbox,
        house(tmp_path / "steps", sandbox.config_text(), 100) as steps,
        house(tmp_path / "once", sandbox.config_text(), 100) as once,
    ):
        assert steps.run() == {}
        sandbox.now = SHOWN_FROM
        assert steps.run() == {}
        assert once.run() == {}
        assert rows(steps, portfolio, code).filter(occurred_at=at).height == 1
        same(steps.facts(), once.facts())


RESTATED = """
[[restated_candle]]
product_id = "BTC-USD"
start = 2025-04-29T05:00:00Z
close = "777"
volume = "2"
visible_from = 2025-04-30T12:00:00Z
"""
MISSING = """
[[missing_candles]]
product_id = "BTC-USD"
since = 2025-04-29T05:00:00Z
until = 2025-04-29T08:00:00Z
visible_from = 2025-04-29T20:00:00Z
"""
HOUR_5 = instant("2025-04-29T05:00:00Z")


def closes(book: House, at: datetime | None = None) -> list[object]:
    return book.facts(at)["candles"].filter(start=HOUR_5)["close"].to_list()


def test_an_hour_said_again_with_other_numbers_is_another_version_of_it(data: Path, tmp_path: Path) -> None:
    with venues(data, RESTATED, now=instant("2025-04-30")) as sandbox, house(tmp_path, sandbox.config_text(), 100) as book:
        book.run()
        [first], known, hours = closes(book), book.warehouse.known_through(), book.facts()["candles"].height
        sandbox.now = instant("2025-04-30T13:00:00Z")
        book.run()
        assert closes(book) == [D(777)]
        assert closes(book, known) == [first]
        assert book.facts()["candles"].height == hours + 13, "the new hours, and none twice"


def test_an_hour_restated_after_the_days_that_are_asked_again_stays_as_it_was(data: Path, tmp_path: Path) -> None:
    settings = "[prices]\nrefetch_days = 0\n"
    with venues(data, RESTATED, now=instant("2025-04-30")) as sandbox:
        text = sandbox.config_text().replace("[prices]\n", settings)
        with house(tmp_path, text, 100) as book:
            book.run()
            first = closes(book)
            sandbox.now = instant("2025-04-30T13:00:00Z")
            book.run()
            assert closes(book) == first


def test_hours_left_out_come_when_the_venue_has_them_and_hours_once_shown_stay(data: Path, tmp_path: Path) -> None:
    with venues(data, MISSING, now=instant("2025-04-29T12:00:00Z")) as sandbox, house(tmp_path, sandbox.config_text(), 100) as book:
        book.run()
        assert closes(book) == []
        sandbox.now = instant("2025-04-30")
        book.run()
        assert len(closes(book)) == 1
        sandbox.now = instant("2025-04-29T12:00:00Z")  # the venue loses them again
        book.run()
        assert len(closes(book)) == 1


def test_asking_again_for_hours_that_stand_is_no_news(data: Path, tmp_path: Path) -> None:
    with venues(data) as sandbox, house(tmp_path, sandbox.config_text(), 100) as book:
        book.run()
        changed, asked = book.warehouse.changed_at(), sum(sandbox.requests.values())
        book.run()
        assert book.warehouse.changed_at() == changed
        assert sum(sandbox.requests.values()) - asked <= 6 + 1 + 6 * 3


def test_an_hour_is_not_asked_for_before_it_is_final(data: Path, tmp_path: Path) -> None:
    clock = instant("2025-04-29T12:03:00Z")
    with venues(data, now=clock) as sandbox, house(tmp_path, sandbox.config_text(), 100) as book:
        book.run(clock)
        assert newest_hour(book) == instant("2025-04-29T10:00:00Z"), "the hour that ended three minutes ago may still change"
        sandbox.now = clock + timedelta(minutes=2)
        book.run(sandbox.now)
        assert newest_hour(book) == instant("2025-04-29T11:00:00Z")


def newest_hour(book: House) -> object:
    return book.facts()["candles"]["start"].max()


def test_what_is_held_beside_a_perpetual_balance_is_read_live(data: Path, tmp_path: Path) -> None:
    held = {"positions": (("BTC", "ask", "0.25"),), "spot": (("SOL", "3"),), "unrealised": "-7.5"}
    with venues(data, now=instant("2025-04-30"), **held) as sandbox, house(tmp_path, sandbox.config_text(), 100) as book:
        assert book.run() == {}
        beside = "SELECT native_code, scope, amount FROM venue_balances WHERE portfolio = 'perps' AND scope NOT IN ('account', 'pending')"
        [balance] = book.warehouse.sql("SELECT amount FROM venue_balances WHERE portfolio = 'perps' AND scope = 'account'")["amount"]
        assert sorted(book.warehouse.sql(beside).rows()) == [
            ("BTC", "position", D("-0.25")), ("SOL", "spot", D(3)), ("USDC", "equity", balance - D("7.5"))
        ]  # fmt: skip
        assert set(book.warehouse.sql("SELECT native_code FROM accounts WHERE portfolio = 'perps'")["native_code"]) == {"USDC"}
        assert sandbox.requests["GET", "/api/v1/positions", 200] == 1


def test_where_no_position_is_open_none_is_asked_for(data: Path, tmp_path: Path) -> None:
    with venues(data) as sandbox, house(tmp_path, sandbox.config_text(), 100) as book:
        assert book.run() == {}
        assert sandbox.requests["GET", "/api/v1/positions", 200] == 0
