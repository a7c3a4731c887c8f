"""Coinbase Exchange's public side over a real socket: the clock, products, currencies and every rule of candles."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.sandbox.asking import FIRST_HOUR, HOUR, Client, at, hour, serving


def starts(response) -> list[int]:
    """Hours since the first one, as they were replied."""
    assert response.status_code == 200, response.text
    return [(row[0] - FIRST_HOUR) // HOUR for row in response.json()]


def candles(ask: Client, query: str, product: str = "BTC-USD"):
    return ask.get(f"/products/{product}/candles?{query}")


def between(ask: Client, first: int, last: int, granularity: int = HOUR):
    return candles(ask, f"granularity={granularity}&start={hour(first)}&end={hour(last)}")


def test_the_time_is_the_data_clocks(dataset: Path) -> None:
    with serving(dataset, now=at("2024-01-01T00:00:00.504")) as ask:
        assert ask.get("/time").json() == {"iso": "2024-01-01T00:00:00.504Z", "epoch": 1704067200.504}
        ask.sandbox.now += timedelta(hours=1)
        assert ask.get("/time").json()["iso"] == "2024-01-01T01:00:00.504Z"


def test_products_are_the_files(ask: Client) -> None:
    products = ask.get("/products").json()
    assert [(p["id"], p["status"]) for p in products] == [("BTC-USD", "online"), ("OMG-USD", "delisted"), ("REN-BTC", "online")]
    assert ask.get("/products/OMG-USD").json() == products[1]
    missing = ask.get("/products/USDC-USD")
    assert (missing.status_code, missing.json()) == (404, {"message": "NotFound"})


def test_currencies_tell_fiat_from_crypto(ask: Client) -> None:
    currencies = {c["id"]: c["details"]["type"] for c in ask.get("/currencies").json()}
    assert currencies == dict.fromkeys(("BTC", "OMG", "REN", "SOL", "USDC"), "crypto") | dict.fromkeys(("EUR", "GBP", "USD"), "fiat")
    assert ask.get("/currencies/BTC").json()["default_network"] == "bitcoin"
    assert ask.get("/currencies/XYZ").status_code == 404


def test_bounds_are_inclusive_and_the_newest_comes_first(ask: Client) -> None:
    assert starts(between(ask, 3, 6)) == [6, 5, 4, 3]
    assert starts(between(ask, 3, 3)) == [3]


def test_a_row_is_low_high_open_close_volume_as_numbers_by_their_shortest_text(ask: Client) -> None:
    assert between(ask, 0, 1).text == f"[[{FIRST_HOUR + HOUR},91,111,101,102.5,2],[{FIRST_HOUR},42150,42300.1,42280.5,0.00001,0.00000001]]"


def test_an_hour_without_trades_is_left_out(ask: Client) -> None:
    assert starts(between(ask, 28, 33)) == [33, 32, 29, 28]
    assert between(ask, 30, 31).json() == []


def test_bounds_may_be_unix_seconds(ask: Client) -> None:
    assert starts(candles(ask, f"granularity=3600&start={FIRST_HOUR + HOUR}&end={FIRST_HOUR + 2 * HOUR}")) == [2, 1]


def test_three_hundred_aggregations_pass_so_301_rows_may_come(dataset: Path) -> None:
    with serving(dataset, now=at("2025-01-16")) as ask:
        assert starts(between(ask, 40, 340)) == list(range(340, 39, -1))
        refused = between(ask, 40, 341)
    assert refused.status_code == 400
    assert refused.json() == {
        "message": "granularity too small for the requested time range. Count of aggregations requested exceeds 300",
    }


def test_start_after_end_is_refused(ask: Client) -> None:
    refused = between(ask, 6, 3)
    assert (refused.status_code, refused.json()) == (400, {"message": "start must be before end"})


@pytest.mark.parametrize("granularity", ["1", "7200", "x", "-3600"])
def test_other_granularities_are_refused(ask: Client, granularity: str) -> None:
    refused = candles(ask, f"granularity={granularity}")
    assert (refused.status_code, refused.json()) == (400, {"message": "Unsupported granularity"})


def test_an_unreadable_bound_is_refused(ask: Client) -> None:
    assert candles(ask, f"granularity=3600&start=soon&end={hour(3)}").status_code == 400


@pytest.mark.parametrize("query", ["", f"&start={hour(3)}", f"&end={hour(3)}"])
def test_with_a_bound_missing_both_are_ignored_and_the_newest_350_come(dataset: Path, query: str) -> None:
    with serving(dataset, now=at("2025-01-17")) as ask:
        assert starts(candles(ask, f"granularity=3600{query}")) == list(range(383, 33, -1))


def test_a_candle_exists_from_its_start_and_grows_until_its_end(dataset: Path) -> None:
    with serving(dataset, now=at("2025-01-01T05:30")) as ask:
        [forming, closed] = between(ask, 4, 9).json()
        assert forming == [FIRST_HOUR + 5 * HOUR, 105, 105, 105, 105, 1], "nothing of the half hour to come"
        assert closed == [FIRST_HOUR + 4 * HOUR, 94, 114, 104, 105.5, 2]
        ask.sandbox.now = at("2025-01-01T06:00")
        assert between(ask, 5, 9).json() == [[FIRST_HOUR + 5 * HOUR, 95, 115, 105, 106.5, 2]], "the hour that starts now is not there"
    with serving(dataset, now=at("2025-01-01T05:30"), forming_candle=False) as ask:
        assert starts(between(ask, 4, 9)) == [4]


def test_hours_join_into_longer_buckets(ask: Client) -> None:
    [day] = between(ask, 24, 24, 86400).json()
    assert day == [FIRST_HOUR + 24 * HOUR, 114, 157, 124, 148.5, 44], "hours 24 to 47 without 30 and 31"
    assert starts(between(ask, 0, 12, 21600)) == [12, 6, 0]
    assert between(ask, 0, 1, 60).json() == [], "the dataset knows nothing finer"


@pytest.mark.parametrize(("rounds_down", "expected"), [(False, [4]), (True, [4, 3])])
def test_whether_an_unaligned_start_rounds_down_is_a_setting(dataset: Path, rounds_down: bool, expected: list[int]) -> None:
    with serving(dataset, candle_start_rounds_down=rounds_down) as ask:
        assert starts(candles(ask, "granularity=3600&start=2025-01-01T03:30:00Z&end=2025-01-01T04:59:00Z")) == expected


def test_delisted_never_traded_and_unknown_products_differ(ask: Client) -> None:
    assert starts(candles(ask, f"granularity=3600&start={hour(20)}&end={hour(30)}", "OMG-USD")) == [23, 22, 21, 20]
    assert candles(ask, "granularity=3600", "REN-BTC").json() == []
    missing = candles(ask, "granularity=3600", "USDC-USD")
    assert (missing.status_code, missing.json()) == (404, {"message": "NotFound"})


def test_floats_of_a_parquet_file_keep_their_shortest_text(dataset: Path, tmp_path: Path) -> None:
    import polars as pl

    for path in dataset.iterdir():
        if path.stem != "candles":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    numbers = {"low": 0.1, "high": 1e22, "open": 1e-7, "close": 5270.0, "volume": 1638400.123}
    pl.DataFrame([{"product_id": "BTC-USD", "time": FIRST_HOUR, **numbers}]).write_parquet(tmp_path / "candles.parquet")
    with serving(tmp_path) as ask:
        assert between(ask, 0, 1).text == f"[[{FIRST_HOUR},0.1,10000000000000000000000,0.0000001,5270,1638400.123]]"
        assert json.loads(between(ask, 0, 1).text)[0][1:] == list(numbers.values())


def test_the_public_limit_is_fifteen_then_ten_a_second_for_an_address(dataset: Path) -> None:
    with serving(dataset, limit_scale=0.001) as ask:
        assert [ask.get("/products/BTC-USD").status_code for _ in range(16)] == [200] * 15 + [429]
        assert ask.get("/time").json() == {"message": "Public rate limit exceeded"}
        assert ask.coinbase("/accounts").status_code == 200, "private requests are counted apart"
        assert ask.sandbox.requests["GET", "/products/{product_id}", 200] == 15
