"""Invented markets of the demo: a seeded walk of hourly candles in whole price steps, so that no digit depends on the machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

import polars as pl

from pipelines.sandbox.values import HOUR

MILLION = 1_000_000
VOLUME = 10**8  # volumes have 8 decimals


@dataclass(frozen=True)
class Listing:
    """A product: where its price begins, in steps of 10^-places, and by how many millionths an hour may move it."""

    base: str
    quote: str
    price: int = 0
    places: int = 2
    wobble: int = 0
    volume: int = 0  # of a usual hour, in units of the base
    delisted: bool = False

    @property
    def id(self) -> str:
        return f"{self.base}-{self.quote}"


LISTINGS = (
    Listing("BTC", "USD", 96_412_37, 2, 5_000, 400),
    Listing("ETH", "USD", 2_514_80, 2, 6_500, 6_000),
    Listing("SOL", "USD", 148_22, 2, 8_000, 50_000),
    Listing("USDT", "USD", 1_00012, 5, 12, 4_000_000),
    Listing("OMG", "USD", 62_40, 2, 9_000, 20_000, delisted=True),
    Listing("ETH", "BTC"),
    Listing("REN", "BTC"),  # the only market of REN: it has no USD pair
)


class Hour(NamedTuple):
    """Prices in steps, volume in 10^-8."""

    start: int
    low: int
    high: int
    open: int
    close: int
    volume: int


Walks = Mapping[str, Sequence[Hour]]


def walks(seed: int, since: int, until: int, delisted_at: int) -> Walks:
    """Each USD market's hours with since <= start < until (seconds); a delisted market's end earlier."""
    ends = {listing: min(until, delisted_at) if listing.delisted else until for listing in LISTINGS if listing.price}
    return {listing.id: _walk(Random(f"{seed}/{listing.id}"), listing, range(since, end, HOUR)) for listing, end in ends.items()}


def _walk(random: Random, listing: Listing, starts: Iterable[int]) -> list[Hour]:
    hours, price, wobble = [], listing.price, listing.wobble
    for start in starts:
        close = max(1, price + price * random.randint(-wobble, wobble) // MILLION)
        low = max(1, min(price, close) - price * random.randint(0, wobble // 2) // MILLION)
        high = max(price, close) + price * random.randint(0, wobble // 2) // MILLION
        volume = random.randint(listing.volume * VOLUME // 4, listing.volume * VOLUME * 2)
        hours.append(Hour(start, low, high, price, close, volume))
        price = close
    return hours


def awkward(told: Walks, middle: int) -> dict[str, list[Hour]]:
    """The same with one hour in which nobody traded ETH, and one in which SOL's candle has no volume."""
    shown = {product: list(hours) for product, hours in told.items()}
    shown["ETH-USD"] = [hour for hour in shown["ETH-USD"] if hour.start != middle]
    shown["SOL-USD"] = [_quiet(hour) if hour.start == middle + HOUR else hour for hour in shown["SOL-USD"]]
    return shown


def _quiet(hour: Hour) -> Hour:
    return hour._replace(low=hour.open, high=hour.open, close=hour.open, volume=0)


class Prices:
    """What a trade at an instant costs: the close of its hour."""

    def __init__(self, told: Walks) -> None:
        places = {listing.id: listing.places for listing in LISTINGS}
        self._closes = {product: {h.start: Decimal(h.close).scaleb(-places[product]) for h in hours} for product, hours in told.items()}

    def at(self, base: str, seconds: int) -> Decimal:
        return self._closes[f"{base}-USD"][seconds // HOUR * HOUR]


def frame(shown: Walks) -> pl.DataFrame:
    """As candles.parquet: floats whose shortest text is the price."""
    places = {listing.id: listing.places for listing in LISTINGS}
    rows = [
        (product, hour.start, *(step / 10 ** places[product] for step in hour[1:5]), hour.volume / VOLUME)
        for product, hours in sorted(shown.items())
        for hour in hours
    ]
    numbers = dict.fromkeys(("low", "high", "open", "close", "volume"), pl.Float64)
    return pl.DataFrame(rows, schema={"product_id": pl.String, "time": pl.Int64, **numbers}, orient="row")


def products() -> list[dict[str, Any]]:
    """As GET /products returns them."""
    return [_product(listing) for listing in sorted(LISTINGS, key=lambda listing: listing.id)]


def _product(listing: Listing) -> dict[str, Any]:
    increment = f"{Decimal(1).scaleb(-listing.places if listing.price else -8):f}"
    return {
        "id": listing.id,
        "base_currency": listing.base,
        "quote_currency": listing.quote,
        "quote_increment": increment,
        "base_increment": "0.00000001",
        "display_name": f"{listing.base}/{listing.quote}",
        "min_market_funds": "1",
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "status": "delisted" if listing.delisted else "online",
        "status_message": "",
        "trading_disabled": listing.delisted,
        "fx_stablecoin": listing.base == "USDT",
        "max_slippage_percentage": "0.02000000",
        "auction_mode": False,
        "high_bid_limit_percentage": "",
    }
