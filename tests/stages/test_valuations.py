"""Values at the end of a day."""

import polars as pl
import pytest

from pipelines.stages.valuations import daily_values
from pipelines.tables import DAILY_BALANCES, DAILY_PRICES, DAILY_VALUES
from tests.ledger_text import D, instant, rows
from tests.stages.scenario import accounts

DAY = {"calendar": "utc", "day": instant("2025-01-31").date(), "as_of": instant("2025-02-01")}
HELD = accounts(
    """
    account_id | native_code | asset
    1          | BTC         | BTC
    2          | XBT         | -
    """
)


def balances(text):
    return rows(DAILY_BALANCES, text, **DAY, balance_status="NOT_TESTED", movements_status="NOT_TESTED").lazy()


def prices(text):
    return rows(DAILY_PRICES, text, **DAY, method="VWAP_24H").lazy()


BTC_AT_100 = prices("asset | price | price_basis | currency\nBTC | 100 | VWAP_24H | USD")


def value(held, priced=BTC_AT_100, of=HELD):
    return DAILY_VALUES.conform(daily_values(held, priced, of)).sort("account_id")


def test_value_is_balance_times_price():
    row = value(balances("account_id | balance\n1 | -1.5")).row(0, named=True)
    assert row == DAY | {
        "account_id": 1, "balance": D("-1.5"), "price": D(100), "price_basis": "VWAP_24H", "currency": "USD",
        "value": D(-150), "reason": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("balance", "price", "said"),
    [
        ("0.000000000000000001", "0.5", D(0)),
        ("0.000000000000000003", "0.5", D("0.000000000000000002")),
        ("-0.000000000000000001", "0.5", D(0)),
        ("1.000000000000000001", "1.000000000000000001", D("1.000000000000000002")),
        ("123456789.123456789123456789", "98765.432109876543210988", D("12193263124676.116335924444321263")),
        ("0", "98765.432109876543210988", D(0)),
    ],
)
def test_values_are_rounded_half_even_at_18_places(balance, price, said):
    priced = prices(f"asset | price | price_basis | currency\nBTC | {price} | VWAP_24H | USD")
    assert value(balances(f"account_id | balance\n1 | {balance}"), priced)["value"].to_list() == [said]


def test_a_code_that_nothing_maps_is_not_priced():
    row = value(balances("account_id | balance\n2 | 7")).select("balance", "price", "value", "reason").row(0)
    assert row == (D(7), None, None, "UNMAPPED_ASSET")


def test_an_unpriced_asset_keeps_its_reason():
    priced = prices("asset | reason\nBTC | NOT_FETCHED")
    assert value(balances("account_id | balance\n1 | 7"), priced).select("balance", "price", "value", "reason").row(0) == (
        D(7),
        None,
        None,
        "NOT_FETCHED",
    )


def test_an_unknown_balance_has_a_price_and_no_value():
    assert value(balances("account_id | balance\n1 | -")).select("price", "value", "reason").row(0) == (D(100), None, None)


def test_a_value_out_of_range_takes_its_price_with_it_and_spares_the_others():
    held = accounts("account_id | native_code | asset\n1 | BTC | BTC\n2 | XBT | BTC\n3 | BT3 | BTC")
    valued = value(balances("account_id | balance\n1 | 10000000000000000\n2 | 9999999999999999\n3 | 500000000000000000"), of=held)
    assert valued["value"].to_list() == [None, D("999999999999999900"), None]
    assert valued["reason"].to_list() == ["OUT_OF_RANGE", None, "OUT_OF_RANGE"]
    without_price = valued.filter(pl.col("reason").is_not_null()).select("price", "price_basis", "currency")
    assert without_price.rows() == [(None, None, None)] * 2


def test_another_days_price_is_not_used():
    priced = BTC_AT_100.with_columns(day=pl.lit(instant("2025-01-30").date()))
    assert value(balances("account_id | balance\n1 | 1"), priced)["price"].to_list() == [None]
