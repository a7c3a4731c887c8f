"""The known values of real Coinbase candles, and every day of four products against plain arithmetic."""

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from pipelines.stages.prices import daily_prices
from pipelines.tables import CANDLE_COVERAGE, CANDLES, MONEY, POLICIES, PRODUCTS
from tests import oracle
from tests.ledger_text import instant
from tests.stages.scenario import ASSETS, KNOWN, calendar_days

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "real" / "candles.parquet"
pytestmark = pytest.mark.skipif(not REAL.exists(), reason="the real candles (../shared/data/real) are not on this machine")
PRODUCT_IDS = ("BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD")


@pytest.fixture(scope="module")
def real_candles():
    """Floats as the decimals of their shortest text."""
    raw = pl.read_parquet(REAL)
    exact = {
        name: pl.Series(name, [Decimal(str(x)) for x in raw[name]], dtype=MONEY) for name in ("low", "high", "open", "close", "volume")
    }
    start = pl.from_epoch("time", "s").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    known = raw.with_columns(**exact, start=start, recorded_at=pl.lit(KNOWN), retired_at=None).drop("time")
    return CANDLES.conform(known.cast({n: t for n, t in CANDLES.schema.items() if t != MONEY}))


@pytest.fixture(scope="module")
def real_prices(real_candles):
    products = [
        {"product_id": p, "base": p[:3], "quote": "USD", "status": "online", "trading_disabled": False, "recorded_at": KNOWN}
        for p in PRODUCT_IDS
    ]
    asked = [
        {"product_id": p, "since": instant("2024-01-01"), "until": KNOWN, "asked_at": KNOWN, "final": True, "recorded_at": KNOWN}
        for p in PRODUCT_IDS
    ]
    assets = ASSETS.frame({"asset": p[:3], "asset_class": "crypto"} for p in PRODUCT_IDS)
    days = calendar_days("utc", "2024-04-19", "2026-05-07")
    tables = real_candles, CANDLE_COVERAGE.frame(asked), PRODUCTS.frame(products), assets, POLICIES.empty()
    return daily_prices(*(t.lazy() for t in tables), days).collect()


@pytest.mark.parametrize(
    ("asset", "as_of", "known", "candle_count"),
    [
        ("BTC", "2025-01-02", "93918.447067", 24),
        ("ETH", "2025-01-02", "3341.410308", 24),
        ("SOL", "2025-01-02", "191.193878", 24),
        ("BTC", "2025-10-26", "111430.096415", 19),
    ],
)
def test_known_values(real_prices, asset, as_of, known, candle_count):
    row = real_prices.row(by_predicate=(pl.col("asset") == asset) & (pl.col("as_of") == instant(as_of)), named=True)
    assert (str(round(row["price"], 6)), row["candle_count"]) == (known, candle_count)


def test_every_day_of_four_products_is_plain_arithmetic(real_prices, real_candles):
    by_day: dict[tuple[str, object], list[dict]] = {}
    for c in real_candles.select("product_id", "start", "close", "volume").to_dicts():
        by_day.setdefault((c["product_id"][:3], c["start"].date()), []).append(c)
    assert real_prices.height == 4 * 749
    for asset, day, price, count in real_prices.select("asset", "day", "price", "candle_count").iter_rows():
        traded = by_day[asset, day]
        turnover = oracle.total(oracle.product(c["close"], c["volume"]) for c in traded)
        assert (price, count) == (oracle.quotient(turnover, oracle.total(c["volume"] for c in traded)), len(traded))
