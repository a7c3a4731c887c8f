"""The rows of a statement, by portfolio and by asset."""

import polars as pl
import pytest

from pipelines.stages import statements
from pipelines.stages.valuations import daily_values
from pipelines.tables import DAILY_BALANCES, DAILY_PRICES, MONEY
from tests.ledger_text import D, instant, rows
from tests.stages.scenario import accounts

DAY = {"calendar": "utc", "day": instant("2025-01-31").date(), "as_of": instant("2025-02-01")}
KNOWN_AT = instant("2025-02-03T04:05:06Z")
HELD = accounts(
    """
    account_id | entity | venue      | portfolio | native_code | asset | network
    1          | acme   | coinbase   | desk      | BTC         | BTC   | -
    2          | acme   | cryptofuse | shop      | BTC         | BTC   | bitcoin
    3          | acme   | cryptofuse | shop      | USDTERC20   | USDT  | ethereum
    4          | acme   | cryptofuse | shop      | USDTTRC20   | USDT  | tron
    5          | acme   | cryptofuse | shop      | WAT         | -     | -
    6          | acme   | coinbase   | desk      | WAT         | -     | -
    7          | zeta   | coinbase   | zdesk     | BTC         | BTC   | -
    8          | acme   | coinbase   | desk      | EUR         | EUR   | -
    9          | acme   | coinbase   | treasury  | EUR         | EUR   | -
    """
)
BALANCES = rows(
    DAILY_BALANCES,
    """
    account_id | balance | pending_balance | read_through         | balance_status | movements_status | status_reasons
    9          | -       | -               | -                    | STALE          | NOT_TESTED       | NEVER_READ;OPENING_UNKNOWN
    8          | 3       | -               | 2025-02-01           | COMPLETE       | COMPLETE         | -
    7          | 100     | -               | 2025-02-01           | NOT_TESTED     | NOT_TESTED       | -
    6          | 8       | -               | 2025-02-01           | NOT_TESTED     | NOT_TESTED       | -
    5          | 9       | -               | 2025-02-01           | NOT_TESTED     | NOT_TESTED       | -
    4          | -2      | 5               | 2025-02-01           | EXCEPTION      | COMPLETE         | CHAIN_BREAK;NEGATIVE_BALANCE
    3          | 10      | 0.5             | 2025-01-31T12:00:00Z | STALE          | EXCEPTION        | READ_BEFORE_AS_OF;CHAIN_BREAK
    2          | 0       | -               | 2025-02-01           | COMPLETE       | NOT_TESTED       | -
    1          | 2       | -               | 2025-02-01           | COMPLETE       | COMPLETE         | -
    """,
    **DAY,
).lazy()
PRICES = rows(
    DAILY_PRICES,
    """
    asset | price | price_basis | currency | reason      | candle_count | last_end
    BTC   | 100   | VWAP_24H    | USD      | -           | 24           | 2025-02-01
    USDT  | -     | -           | -        | NOT_FETCHED | 3            | 2025-01-31T03:00:00Z
    EUR   | 1     | PAR         | EUR      | -           | -            | -
    """,
    **DAY,
    method="VWAP_24H",
).lazy()


def valued(accounts_view=HELD, balances=BALANCES, prices=PRICES):
    return statements.by_portfolio(balances, daily_values(balances, prices, accounts_view), prices, accounts_view, KNOWN_AT)


ROWS = valued()


def asset_row(entity, asset, of=ROWS):
    return statements.by_asset(of).collect().row(by_predicate=(pl.col("entity") == entity) & (pl.col("asset") == asset), named=True)


def test_a_statement_has_exactly_its_columns():
    assert ",".join(ROWS.collect_schema().names()) == (
        "as_of,known_at,entity,venue,portfolio,native_code,asset,network,balance,pending_balance,price,price_basis,currency,value,"
        "reason,candle_count,last_candle_end,read_through,balance_status,movements_status,status_reasons"
    )
    assert ",".join(statements.by_asset(ROWS).collect_schema().names()) == (
        "as_of,known_at,entity,asset,portfolios,balance,pending_balance,price,price_basis,currency,value,reason,candle_count,"
        "last_candle_end,balance_status,movements_status,status_reasons"
    )


def test_rows_stand_in_order_and_accounts_at_zero_are_among_them():
    assert ROWS.select("entity", "venue", "portfolio", "asset", "native_code").collect().rows() == [
        ("acme", "coinbase", "desk", "BTC", "BTC"),
        ("acme", "coinbase", "desk", "EUR", "EUR"),
        ("acme", "coinbase", "desk", None, "WAT"),  # what nothing maps comes last
        ("acme", "coinbase", "treasury", "EUR", "EUR"),
        ("acme", "cryptofuse", "shop", "BTC", "BTC"),  # at zero
        ("acme", "cryptofuse", "shop", "USDT", "USDTERC20"),
        ("acme", "cryptofuse", "shop", "USDT", "USDTTRC20"),
        ("acme", "cryptofuse", "shop", None, "WAT"),
        ("zeta", "coinbase", "zdesk", "BTC", "BTC"),
    ]


def test_a_row_carries_balance_price_value_and_what_was_proved():
    assert ROWS.collect().row(0, named=True) == {
        "as_of": instant("2025-02-01"), "known_at": KNOWN_AT, "entity": "acme", "venue": "coinbase", "portfolio": "desk",
        "native_code": "BTC", "asset": "BTC", "network": None, "balance": D(2), "pending_balance": None, "price": D(100),
        "price_basis": "VWAP_24H", "currency": "USD", "value": D(200), "reason": None, "candle_count": 24,
        "last_candle_end": instant("2025-02-01"), "read_through": instant("2025-02-01"), "balance_status": "COMPLETE",
        "movements_status": "COMPLETE", "status_reasons": None,
    }  # fmt: skip


def test_by_asset_sums_portfolios_and_entities_stay_apart():
    row = asset_row("acme", "BTC")
    assert (row["portfolios"], row["balance"], row["value"], row["candle_count"]) == (2, D(2), D(200), 24)
    assert asset_row("zeta", "BTC")["value"] == D(10000)


def test_networks_of_one_asset_are_one_row_with_the_worst_word_and_every_reason_once():
    row = asset_row("acme", "USDT")
    assert (row["portfolios"], row["balance"], row["pending_balance"]) == (1, D(8), D("5.5"))
    assert (row["price"], row["value"], row["reason"]) == (None, None, "NOT_FETCHED")
    assert (row["balance_status"], row["movements_status"]) == ("EXCEPTION", "EXCEPTION")
    assert row["status_reasons"] == "READ_BEFORE_AS_OF;CHAIN_BREAK;NEGATIVE_BALANCE"


@pytest.mark.parametrize(
    ("words", "worst"),
    [
        (("COMPLETE", "NOT_TESTED"), "NOT_TESTED"),
        (("NOT_TESTED", "STALE"), "STALE"),
        (("EXCEPTION", "STALE"), "EXCEPTION"),
        (("COMPLETE", "COMPLETE"), "COMPLETE"),
    ],
)
def test_the_worst_word(words, worst):
    two = ROWS.filter((pl.col("entity") == "acme") & (pl.col("asset") == "BTC")).with_columns(balance_status=pl.Series(words))
    assert asset_row("acme", "BTC", two)["balance_status"] == worst


def test_codes_that_nothing_maps_are_never_summed_together():
    assert asset_row("acme", "coinbase:WAT")["balance"] == D(8)
    row = asset_row("acme", "cryptofuse:WAT")
    assert (row["balance"], row["price"], row["reason"]) == (D(9), None, "UNMAPPED_ASSET")


def test_a_balance_that_nobody_knows_is_left_out_of_the_sum_and_said():
    row = asset_row("acme", "EUR")
    assert (row["portfolios"], row["balance"], row["value"], row["currency"]) == (2, D(3), D(3), "EUR")
    assert (row["balance_status"], row["status_reasons"]) == ("STALE", "NEVER_READ;OPENING_UNKNOWN")


def test_rows_by_asset_stand_in_order():
    assert statements.by_asset(ROWS).select("entity", "asset").collect().rows() == [
        ("acme", "BTC"), ("acme", "EUR"), ("acme", "USDT"), ("acme", "coinbase:WAT"), ("acme", "cryptofuse:WAT"), ("zeta", "BTC"),
    ]  # fmt: skip


def large(*balances, price="1"):
    """acme's two bitcoin accounts with these balances, and everybody else's as they were."""
    by_account = pl.LazyFrame({"account_id": [1, 2], "large": [D(b) for b in balances]}, schema={"account_id": pl.Int32, "large": MONEY})
    held = BALANCES.join(by_account, on="account_id", how="left").with_columns(balance=pl.coalesce("large", "balance")).drop("large")
    priced = PRICES.with_columns(price=pl.when(pl.col("asset") == "BTC").then(pl.lit(D(price), MONEY)).otherwise("price"))
    return valued(balances=held, prices=priced)


def test_a_sum_of_balances_out_of_range_is_null_and_spares_the_other_rows():
    these = large("900000000000000000", "900000000000000000", price="0.1")
    row = asset_row("acme", "BTC", these)
    assert (row["balance"], row["value"], row["price"], row["reason"]) == (None, None, D("0.1"), None)
    assert row["status_reasons"] == "OUT_OF_RANGE"
    assert asset_row("acme", "EUR", these)["balance"] == D(3)


def test_a_sum_of_values_out_of_range_takes_the_price_with_it():
    row = asset_row("acme", "BTC", large("400000000000000000", "400000000000000000", price="2"))
    assert (row["balance"], row["value"], row["price"], row["currency"], row["reason"]) == (D("8e17"), None, None, None, "OUT_OF_RANGE")
    assert row["status_reasons"] == "OUT_OF_RANGE"


def test_one_value_out_of_range_leaves_no_partial_total():
    row = asset_row("acme", "BTC", large("900000000000000000", "1", price="2"))
    assert (row["balance"], row["value"], row["price"], row["reason"]) == (D("900000000000000001"), None, None, "OUT_OF_RANGE")


def test_a_total_is_a_subtotal_and_what_it_leaves_out():
    assert statements.subtotals(ROWS).collect().rows() == [
        ("acme", "EUR", "PAR", D(3), 1),
        ("acme", "USD", "VWAP_24H", D(200), 2),
        ("zeta", "USD", "VWAP_24H", D(10000), 1),
    ]
    left_out = statements.unpriced(ROWS).select("portfolio", "native_code", "balance", "reason").collect()
    assert left_out.rows() == [
        ("desk", "WAT", D(8), "UNMAPPED_ASSET"),
        ("treasury", "EUR", None, None),  # nobody knows whether anything is held
        ("shop", "USDTERC20", D(10), "NOT_FETCHED"),
        ("shop", "USDTTRC20", D(-2), "NOT_FETCHED"),
        ("shop", "WAT", D(9), "UNMAPPED_ASSET"),
    ]


def test_an_unpriced_balance_of_zero_is_not_missing_from_a_total():
    nothing = valued(balances=BALANCES.with_columns(balance=pl.lit(D(0), MONEY)))
    assert statements.unpriced(nothing).collect().is_empty()


def test_subtotals_by_asset_are_the_subtotals_by_portfolio():
    by_asset = statements.subtotals(statements.by_asset(ROWS)).drop("rows").collect()
    assert by_asset.equals(statements.subtotals(ROWS).drop("rows").collect())
