"""Behind one number: its entries, its candles, each formula with its result."""

from __future__ import annotations

import pytest

from pipelines.errors import UsageError
from pipelines.explain import explain
from tests.exports import january


@pytest.fixture
def told(published):
    return lambda portfolio, asset, **more: "\n".join(explain(published, january.CLOSE, portfolio, asset, **more))


def test_a_market_number_is_its_entries_its_candles_and_the_product_of_both(told):
    lines = told("treasury", "BTC")
    assert "Opening 0 (INCEPTION, 2024-03-01 00:00:00Z)" in lines
    assert "Balance = opening 0 + 3 entries 12.5 = 12.5" in lines
    assert lines.count("BTC-USD 2025-01-31") == 24
    assert "Σ(close · volume) 2,355,599.05 ÷ Σ volume 24 over 24 candles = USD 98,149.960416666666666667" in lines
    assert "Value = 12.5 × 98,149.960416666666666667 = USD 1,226,874.505208333333333338" in lines
    assert "100 →" not in lines, "the entry at the very instant does not count"


def test_an_asserted_opening_names_its_document_and_what_came_before_it_does_not_count(told):
    lines = told("perps", "USDC")
    assert "Opening 79,000 (ASSERTED, 2024-12-15 00:00:00Z, document doc17.pdf)" in lines
    assert "2024-12-10" not in lines
    assert "Balance = opening 79,000 + 7 entries 1,012 = 80,012" in lines
    assert "Marked CHAIN_BREAK" in lines
    assert "Price = USD 1 (fixed by policy, approved by controller)" in lines


def test_many_entries_are_cut_from_the_front_and_their_sum_is_kept(told):
    lines = told("perps", "USDC", entries=2)
    assert "… 5 earlier entries, together 1,001" in lines
    assert "→ 79,979" in lines
    assert "… " not in told("perps", "USDC", entries=0)


def test_what_has_no_price_or_no_balance_says_why(told):
    assert "No price: NO_USD_PAIR\nNo value, and none in any total." in told("treasury", "XYZ")
    assert "Balance: unknown, because the account's opening is." in told("vault", "BTC")
    assert "Price = EUR 1 (the currency itself)" in told("treasury", "EUR")


def test_an_asset_held_under_two_codes_is_two_numbers(told):
    lines = told("shop", "USDT")
    assert "shop USDTERC20" in lines
    assert "shop USDTTRC20" in lines
    assert "USDTTRC20" not in told("shop", "USDTERC20")


def test_an_asset_nobody_holds_is_refused_with_what_there_is(told):
    with pytest.raises(UsageError, match="It has BTC, GBP"):
        told("vault", "DOGE")
