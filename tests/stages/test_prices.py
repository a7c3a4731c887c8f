"""Prices at the end of a day: law 2, law 3, and every reason of law 4."""

import hashlib

import polars as pl
import pytest

from pipelines.stages.days import instant as any_instant
from pipelines.stages.prices import daily_prices, side_by_side
from pipelines.tables import DAILY_PRICES, POLICIES, PRODUCTS
from tests.ledger_text import D, instant, rows
from tests.stages.scenario import ASSETS, KNOWN, calendar_days, candle, candles, coverage, hourly

T = "2025-01-10"
DAY_BEFORE = "2025-01-09"
ALL_TIME = coverage("product_id | since | until\nBTC-USD | 2024-01-01 | 2026-01-01")
NO_POLICY = POLICIES.empty().lazy()
BTC = "BTC | crypto"


def products(text):
    return rows(PRODUCTS, text, quote="USD", status="online", trading_disabled=False, recorded_at=KNOWN).lazy()


def assets(*lines):
    return rows(ASSETS, "\n".join(("asset | asset_class", *lines))).lazy()


def policies(text):
    return rows(POLICIES, text, name="policy", exclude=False, approver="controller", recorded_at=KNOWN).lazy()


MARKET = products("product_id | base\nBTC-USD | BTC")


def price(days, traded=None, asked=ALL_TIME, listed=MARKET, of=None, ruled=NO_POLICY):
    frame = daily_prices(candles() if traded is None else traded, asked, listed, assets(BTC) if of is None else of, ruled, days)
    return DAILY_PRICES.conform(frame).sort("asset", "as_of")


def at(moment, *tables, **named):
    return price(any_instant(instant(moment)).lazy(), *tables, **named)


def only(frame, *columns):
    assert frame.height == 1
    return frame.select(columns).row(0)


# Law 2: which candles count


@pytest.mark.parametrize(
    ("moment", "count", "first_start", "last_end"),
    [
        ("2025-01-10T00:00:00Z", 24, "2025-01-09T00:00:00Z", "2025-01-10T00:00:00Z"),
        ("2025-01-10T00:00:00.000001Z", 23, "2025-01-09T01:00:00Z", "2025-01-10T00:00:00Z"),
        ("2025-01-09T23:59:59.999999Z", 23, "2025-01-09T00:00:00Z", "2025-01-09T23:00:00Z"),
        ("2025-01-10T00:30:00Z", 23, "2025-01-09T01:00:00Z", "2025-01-10T00:00:00Z"),
    ],
)
def test_a_candle_counts_when_it_starts_within_a_day_before_and_has_ended(moment, count, first_start, last_end):
    traded = candles(hourly("BTC-USD", "2025-01-08", "2025-01-12"))
    row = only(at(moment, traded), "candle_count", "first_start", "last_end", "price_basis")
    assert row == (count, instant(first_start), instant(last_end), "VWAP_24H")


def test_kolkata_closes_off_the_hour_with_23_candles():
    traded = candles(hourly("BTC-USD", "2025-01-08", "2025-01-12"))
    assert price(calendar_days("kolkata", DAY_BEFORE), traded)["candle_count"].to_list() == [23]


@pytest.mark.parametrize("day", ["2025-03-08", "2025-03-09", "2025-03-10", "2025-11-01", "2025-11-02", "2025-11-03"])
def test_the_window_is_24_hours_on_days_of_23_and_25(day):
    traded = candles(hourly("BTC-USD", "2025-03-06", "2025-03-12"), hourly("BTC-USD", "2025-10-30", "2025-11-05"))
    assert price(calendar_days("new_york", day), traded)["candle_count"].to_list() == [24]


def test_the_price_is_the_volume_weighted_close():
    traded = candles(
        [candle("BTC-USD", instant("2025-01-09T10:00Z"), "100", "1"), candle("BTC-USD", instant("2025-01-09T11:00Z"), "200", "3")]
    )
    assert only(at(T, traded), "price", "currency", "volume", "reason") == (D(175), "USD", D(4), None)


def test_product_and_quotient_are_rounded_half_even_at_18_places():
    first, second = instant("2025-01-09T10:00Z"), instant("2025-01-09T11:00Z")
    tiny = "0.000000000000000001"
    even = candles([candle("BTC-USD", first, "0.5", tiny), candle("BTC-USD", second, "0.5", "0.000000000000000003")])
    # products 0 and 2e-18 (0.5 → 0, 1.5 → 2), volume 4e-18
    assert only(at(T, even), "price") == (D("0.5"),)
    thirds = candles([candle("BTC-USD", first, "1", "2"), candle("BTC-USD", second, "0", "1")])
    assert only(at(T, thirds), "price") == (D("0.666666666666666667"),)


def test_an_hour_without_trades_adds_nothing_and_is_counted_as_missing():
    traded = candles(hourly("BTC-USD", DAY_BEFORE, "2025-01-09T10:00Z"), hourly("BTC-USD", "2025-01-09T15:00Z", T))
    assert only(at(T, traded), "price", "candle_count") == (D(100), 19)


def test_the_evidence_is_a_hash_anyone_can_recompute():
    late, early = (
        candle("BTC-USD", instant("2025-01-09T23:00Z"), "100.50", "2"),
        candle("BTC-USD", instant("2025-01-09T00:00Z"), "90", "0.10"),
    )
    digest = hashlib.sha256(b"1736380800,90,0.1\n1736463600,100.5,2\n").hexdigest()
    assert only(at(T, candles([late, early])), "evidence") == (digest,)


def test_every_asset_has_one_row_a_day_and_calendar():
    days = pl.concat([calendar_days("utc", "2025-01-01", "2025-01-31"), calendar_days("kolkata", "2025-01-01", "2025-01-31")])
    closed = price(days, candles(hourly("BTC-USD", "2025-01-01", "2025-02-01")), of=assets(BTC, BTC, "USD | fiat", "XYZ | crypto"))
    assert closed.height == 3 * 62
    assert closed.select("calendar", "day", "asset", "method").is_unique().all()


# Law 3: fiat is itself


@pytest.mark.parametrize("currency", ["USD", "EUR", "GBP"])
def test_fiat_is_itself_whatever_market_or_policy_says(currency):
    listed = products(f"product_id | base\n{currency}-USD | {currency}")
    ruled = policies(f"asset | exclude | price | currency\n{currency} | true | - | -")
    row = at(T, candles(hourly(f"{currency}-USD", DAY_BEFORE, T)), listed=listed, of=assets(f"{currency} | fiat"), ruled=ruled)
    assert only(row, "price", "price_basis", "currency", "reason") == (D(1), "PAR", currency, None)
    assert only(row, "candle_count", "volume", "first_start", "last_end", "evidence") == (None,) * 5


def test_a_coin_that_calls_itself_usd_is_not_fiat():
    assert only(at(T, of=assets("EUR | crypto")), "price", "reason") == (None, "NO_USD_PAIR")


def test_other_fiat_is_priced_like_any_asset():
    assert only(at(T, of=assets("CHF | fiat")), "price", "reason") == (None, "NO_USD_PAIR")


# Law 4: no price is no price

LISTED = products(
    """
    product_id | base | quote | status   | trading_disabled
    GOOD-USD   | GOOD | USD   | online   | false
    EURO-EUR   | EURO | EUR   | online   | false
    TETH-USDT  | TETH | USDT  | online   | false
    BORN-USD   | BORN | USD   | online   | false
    SOON-USD   | SOON | USD   | offline  | true
    EDGE-USD   | EDGE | USD   | online   | false
    DEAD-USD   | DEAD | USD   | delisted | true
    LAST-USD   | LAST | USD   | delisted | true
    HALT-USD   | HALT | USD   | online   | true
    GONE-USD   | GONE | USD   | offline  | false
    LOST-USD   | LOST | USD   | online   | false
    NEVR-USD   | NEVR | USD   | online   | false
    HALF-USD   | HALF | USD   | online   | false
    OPEN-USD   | OPEN | USD   | online   | false
    HOLE-USD   | HOLE | USD   | online   | false
    CALM-USD   | CALM | USD   | online   | false
    DUST-USD   | DUST | USD   | online   | false
    HUGE-USD   | HUGE | USD   | online   | false
    SPIK-USD   | SPIK | USD   | online   | false
    TINY-USD   | TINY | USD   | online   | false
    FREE-USD   | FREE | USD   | online   | false
    BULK-USD   | BULK | USD   | online   | false
    """
)
ASKED = coverage(
    """
    product_id | since                | until                | final
    GOOD-USD   | 2025-01-09           | 2025-01-10           | true
    BORN-USD   | 2025-01-01           | 2025-02-01           | true
    SOON-USD   | 2025-01-01           | 2025-02-01           | true
    EDGE-USD   | 2025-01-01           | 2025-02-01           | true
    LAST-USD   | 2025-01-01           | 2025-02-01           | true
    GONE-USD   | 2025-01-01           | 2025-02-01           | true
    NEVR-USD   | 2025-01-01           | 2025-02-01           | true
    HALF-USD   | 2025-01-09           | 2025-01-09T23:00:00Z | true     # the last hour was not asked for
    OPEN-USD   | 2025-01-01           | 2025-01-09T23:00:00Z | true
    OPEN-USD   | 2025-01-09T23:00:00Z | 2025-01-10           | false    # asked too early
    HOLE-USD   | 2025-01-01           | 2025-01-09T11:00:00Z | true
    HOLE-USD   | 2025-01-09T12:00:00Z | 2025-02-01           | true
    CALM-USD   | 2025-01-09           | 2025-01-09T12:00:00Z | true     # two that touch are one
    CALM-USD   | 2025-01-09T12:00:00Z | 2025-01-10           | true
    DUST-USD   | 2025-01-01           | 2025-02-01           | true
    HUGE-USD   | 2025-01-01           | 2025-02-01           | true
    SPIK-USD   | 2025-01-01           | 2025-02-01           | true
    TINY-USD   | 2025-01-01           | 2025-02-01           | true
    FREE-USD   | 2025-01-01           | 2025-02-01           | true
    BULK-USD   | 2025-01-01           | 2025-02-01           | true
    """
)
TRADED = candles(
    hourly("GOOD-USD", "2025-01-08", "2025-01-12"),
    hourly("EURO-EUR", "2025-01-08", "2025-01-12"),
    hourly("BORN-USD", "2025-01-10", "2025-01-12"),
    hourly("SOON-USD", "2025-01-10", "2025-01-12"),
    hourly("EDGE-USD", "2025-01-08T23:00Z", "2025-01-09"),  # the hour before the window
    hourly("EDGE-USD", "2025-01-10", "2025-01-11"),
    hourly("DEAD-USD", "2025-01-01", "2025-01-02"),
    hourly("LAST-USD", "2025-01-09T05:00Z", "2025-01-09T06:00Z", "3"),
    hourly("HALF-USD", "2025-01-08", "2025-01-12"),
    hourly("OPEN-USD", "2025-01-08", "2025-01-12"),
    hourly("HOLE-USD", "2025-01-08", "2025-01-12"),
    hourly("CALM-USD", "2025-01-01", "2025-01-02"),
    hourly("DUST-USD", "2025-01-08", "2025-01-12", volume="0"),
    hourly("HUGE-USD", "2025-01-08", "2025-01-12", close="500000000000000000", volume="300"),
    hourly("SPIK-USD", "2025-01-08", "2025-01-09T12:00Z"),
    hourly("SPIK-USD", "2025-01-09T12:00Z", "2025-01-09T13:00Z", close="500000000000000000", volume="300"),
    hourly("TINY-USD", "2025-01-08", "2025-01-12", close="0.000000000000000001", volume="0.1"),
    hourly("FREE-USD", "2025-01-08", "2025-01-12", close="0"),
    hourly("BULK-USD", "2025-01-08", "2025-01-12", close="0.5", volume="900000000000000000"),
)
RULED = policies(
    """
    asset | exclude | price               | currency | since      | until
    SPAM  | true    | -                   | -        | -          | -
    USDC  | false   | 1                   | USD      | -          | -
    BOTH  | false   | 2                   | USD      | -          | -
    BOTH  | true    | -                   | -        | 2025-01-01 | -
    WIDE  | false   | 9000000000000000000 | USD      | -          | -
    """
)
CASES = rows(
    ASSETS,
    """
    asset | asset_class
    GOOD  | VWAP_24H             # traded, asked for, final
    USDC  | FIXED_POLICY         # 1:1 exists only as a policy
    SPAM  | EXCLUDED_BY_POLICY
    BOTH  | EXCLUDED_BY_POLICY   # an exclusion wins over a price
    NONE  | NO_USD_PAIR
    EURO  | NO_USD_PAIR          # a euro pair is no dollar pair
    TETH  | NO_USD_PAIR          # nor is a tether pair
    BORN  | NOT_YET_LISTED
    SOON  | NOT_YET_LISTED       # before TRADING_SUSPENDED in the order
    EDGE  | NO_CANDLES           # it traded before, so it was listed
    DEAD  | DELISTED             # whether or not anybody asked
    LAST  | VWAP_24H             # its last day of trading still has a price
    HALT  | TRADING_SUSPENDED
    GONE  | TRADING_SUSPENDED
    LOST  | NOT_FETCHED
    NEVR  | NO_CANDLES           # asked for, and nobody ever traded it
    HALF  | NOT_FETCHED          # one hour not asked for
    OPEN  | NOT_FETCHED          # one hour not final
    HOLE  | NOT_FETCHED          # one hour between two answers
    CALM  | NO_CANDLES
    DUST  | ZERO_VOLUME
    HUGE  | OUT_OF_RANGE         # close × volume does not fit
    SPIK  | OUT_OF_RANGE         # nor in one hour of many: no thinner average
    TINY  | OUT_OF_RANGE         # the price rounds to zero
    FREE  | OUT_OF_RANGE         # zero is not a price
    BULK  | OUT_OF_RANGE         # the day's volume does not fit
    WIDE  | OUT_OF_RANGE         # a policy is no better
    """,
)
ROWS = price(calendar_days("utc", DAY_BEFORE), TRADED, ASKED, LISTED, CASES.with_columns(asset_class=pl.lit("crypto")).lazy(), RULED)


@pytest.mark.parametrize(("asset", "said"), CASES.rows())
def test_the_first_reason_that_holds(asset, said):
    row = ROWS.row(by_predicate=pl.col("asset") == asset, named=True)
    assert said in (row["price_basis"], row["reason"])
    assert (row["price"] is None) == (row["price_basis"] is None) == (row["currency"] is None) == (row["reason"] is not None)


def test_counts_say_what_is_known_of_the_window_priced_or_not():
    counts = dict(ROWS.select("asset", "candle_count").rows())
    assert {a: n for a, n in counts.items() if n} == {
        "GOOD": 24, "LAST": 1, "HALF": 24, "OPEN": 24, "HOLE": 24, "DUST": 24, "HUGE": 24, "SPIK": 13, "TINY": 24, "FREE": 24, "BULK": 24,
    }  # fmt: skip
    assert {a for a, n in counts.items() if n is None} == {"USDC", "SPAM", "BOTH", "NONE", "EURO", "TETH", "WIDE"}
    without = ROWS.filter(pl.col("candle_count").fill_null(0) == 0)
    assert without.select(pl.col("volume", "first_start", "last_end", "evidence").is_null().all()).row(0) == (True,) * 4


def test_before_the_price_venue_was_ever_reached_nothing_is_fetched():
    frame = at(T, listed=PRODUCTS.empty().lazy(), of=assets(BTC, "USD | fiat"))
    assert frame.select("asset", "price_basis", "reason").rows() == [("BTC", None, "NOT_FETCHED"), ("USD", "PAR", None)]


@pytest.mark.parametrize(
    ("moment", "priced"),
    [
        ("2025-01-04T23:59:59.999999Z", None),
        ("2025-01-05", D(1)),  # from its first instant
        ("2025-01-09T23:59:59.999999Z", D(1)),
        ("2025-01-10", D("0.9")),  # the newer one; `to` is exclusive
        ("2025-01-15", None),
    ],
)
def test_a_policy_holds_from_its_first_instant_to_before_its_last(moment, priced):
    ruled = policies(
        """
        asset | price | currency | since      | until
        USDC  | 0.9   | USD      | 2025-01-10 | 2025-01-15
        USDC  | 1     | USD      | 2025-01-05 | 2025-01-12
        """
    )
    row = at(moment, of=assets("USDC | stable"), ruled=ruled)
    assert only(row, "price", "price_basis", "currency") == ((priced, "FIXED_POLICY", "USD") if priced else (None, None, None))
    assert row["reason"].to_list() == [None if priced else "NO_USD_PAIR"]


def test_a_policy_may_name_another_currency():
    ruled = policies("asset | price | currency\nEURC | 1 | EUR")
    assert only(at(T, of=assets("EURC | stable"), ruled=ruled), "price", "currency") == (D(1), "EUR")


def test_overlapping_and_nested_answers_cover_what_they_cover_together():
    asked = coverage(
        """
        product_id | since                | until
        BTC-USD    | 2025-01-01           | 2025-01-09T12:00:00Z
        BTC-USD    | 2025-01-02           | 2025-01-03            # inside the first
        BTC-USD    | 2025-01-09T06:00:00Z | 2025-01-10            # overlaps it
        ETH-USD    | 2025-01-01           | 2026-01-01            # says nothing of bitcoin
        """
    )
    traded = candles(hourly("BTC-USD", "2025-01-08", "2025-01-12"))
    assert at(T, traded, asked)["reason"].to_list() == [None]
    assert at("2025-01-10T01:00:00Z", traded, asked)["reason"].to_list() == ["NOT_FETCHED"]
    assert at("2025-01-10T00:59:59Z", traded, asked)["reason"].to_list() == [None]  # the hours that count are covered


# Policies: what the market says of them, and assets that are priced as others


PEGGED = products("product_id | base\nBTC-USD | BTC\nUSDT-USD | USDT")
PEG_ASKED = coverage("product_id | since | until\nBTC-USD | 2024-01-01 | 2026-01-01\nUSDT-USD | 2024-01-01 | 2026-01-01")


@pytest.mark.parametrize(
    ("asset", "close", "bound", "currency", "said"),
    [
        ("USDT", "0.99", "0.01", "USD", ("WITHIN", -100)),  # to the last digit
        ("USDT", "0.989999999999999999", "0.01", "USD", ("BREACHED", -100)),
        ("USDT", "1.02", "0.01", "USD", ("BREACHED", 200)),
        ("USDT", "1.02", "-", "USD", (None, 200)),  # no bound was set
        ("USDC", "1", "0.01", "USD", ("BOUND_NOT_TESTED", None)),  # there is no market
        ("USDT", "1", "0.01", "EUR", ("BOUND_NOT_TESTED", None)),  # nor one in euros
    ],
)
def test_a_fixed_price_is_held_against_the_market(asset, close, bound, currency, said):
    ruled = policies(f"asset | price | currency | bound\n{asset} | 1 | {currency} | {bound}")
    row = at(T, candles(hourly("USDT-USD", DAY_BEFORE, T, close)), PEG_ASKED, PEGGED, assets(f"{asset} | stable"), ruled)
    assert only(row, "price", "price_basis", "candle_count") == (D(1), "FIXED_POLICY", None)
    assert only(row, "bound_status", "spread_bps") == said


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("BTC", (D(100), "ALIAS_POLICY", "USD", None, 24)),
        ("EUR", (D(1), "ALIAS_POLICY", "EUR", None, None)),
        ("USDC", (D("0.5"), "ALIAS_POLICY", "USD", None, None)),  # itself priced by policy
        ("DOGE", (None, None, None, "NO_USD_PAIR", None)),  # the other's reason
    ],
)
def test_an_alias_has_the_price_or_the_reason_of_what_it_stands_for(target, said):
    ruled = policies(f"asset | same_as | price | currency\nWBTC | {target} | - | -\nUSDC | - | 0.5 | USD")
    row = at(T, candles(hourly("BTC-USD", DAY_BEFORE, T)), of=assets("WBTC | crypto"), ruled=ruled)
    assert only(row, "asset", "price", "price_basis", "currency", "reason", "candle_count") == ("WBTC", *said)


def test_an_alias_leaves_the_market_of_its_own_aside_and_an_exclusion_wins():
    traded = candles(hourly("BTC-USD", DAY_BEFORE, T), hourly("USDT-USD", DAY_BEFORE, T, "7"))
    ruled = policies("asset | same_as\nUSDT | BTC")
    assert only(at(T, traded, PEG_ASKED, PEGGED, assets("USDT | stable"), ruled), "price") == (D(100),)
    both = policies("asset | same_as | exclude\nUSDT | BTC | false\nUSDT | - | true")
    assert only(at(T, traded, PEG_ASKED, PEGGED, assets("USDT | stable"), both), "reason") == ("EXCLUDED_BY_POLICY",)


def test_one_fiat_account_makes_a_currency_of_a_code_that_others_call_crypto():
    assert only(at(T, of=assets("USD | crypto", "USD | fiat")), "price_basis") == ("PAR",)


# Other methods stand beside the price


def beside(moment, traded, **named):
    days = any_instant(instant(moment)).lazy()
    frame = side_by_side(traded, ALL_TIME, named.get("listed", MARKET), named.get("of", assets(BTC)), named.get("ruled", NO_POLICY), days)
    return {row["method"]: row for row in DAILY_PRICES.conform(frame).to_dicts()}


def test_methods_side_by_side_and_how_far_they_lie_apart():
    traded = candles(
        hourly("BTC-USD", "2025-01-09", "2025-01-09T12:00Z", "100", volume="3"),
        hourly("BTC-USD", "2025-01-09T12:00Z", "2025-01-10", "200", volume="1"),
        hourly("BTC-USD", "2025-01-10", "2025-01-12", "900"),
    )
    told = beside(T, traded)
    assert {m: (row["price"], row["spread_bps"]) for m, row in told.items()} == {
        "VWAP_24H": (D(125), None),
        "LAST_CLOSE": (D(200), 6000),
        "TWAP_24H": (D(150), 2000),
        "DAY_CLOSE": (D(200), 6000),
    }
    assert all(row["price_basis"] == m and row["candle_count"] == 24 for m, row in told.items())
    noon = beside("2025-01-10T12:00Z", traded)
    assert (noon["LAST_CLOSE"]["price"], noon["DAY_CLOSE"]["price"]) == (D(900), D(200))  # the day's close is that of the UTC day


def test_a_price_holds_until_somebody_trades_again():
    traded = candles(hourly("BTC-USD", "2025-01-09T18:00Z", "2025-01-09T19:00Z", "100"), hourly("BTC-USD", "2025-01-09T23:00Z", T, "160"))
    assert beside(T, traded)["TWAP_24H"]["price"] == D(110)  # five hours and one


def test_other_methods_need_an_answered_window_and_have_the_same_reasons():
    assert {row["reason"] for row in beside(T, candles()).values()} == {"NO_CANDLES"}
    gone = beside("2026-01-01T01:00Z", candles(hourly("BTC-USD", "2025-12-31", "2026-01-01")))
    assert {row["reason"] for row in gone.values()} == {"NOT_FETCHED"}
    still = beside(T, candles(hourly("BTC-USD", DAY_BEFORE, T, volume="0")))
    assert {m: row["reason"] for m, row in still.items()} == {"VWAP_24H": "ZERO_VOLUME"} | dict.fromkeys(list(still)[1:])


def test_the_market_stands_beside_a_fixed_price_and_beside_nothing_else():
    ruled = policies("asset | price | currency\nBTC | 1 | USD")
    traded = candles(hourly("BTC-USD", DAY_BEFORE, T))
    told = beside(T, traded, ruled=ruled)
    assert told["VWAP_24H"]["price_basis"] == "FIXED_POLICY"
    assert {row["price"] for m, row in told.items() if m != "VWAP_24H"} == {D(100)}
    assert list(beside(T, traded, of=assets("USD | fiat"))) == ["VWAP_24H"]
    assert list(beside(T, traded, of=assets("DOGE | crypto"))) == ["VWAP_24H"]
    assert list(beside(T, traded, ruled=policies("asset | exclude\nBTC | true"))) == ["VWAP_24H"]
