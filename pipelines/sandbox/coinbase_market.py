"""Coinbase Exchange, the public side: time, products, currencies, candles. Needs no key; limited by address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from pipelines.sandbox.candles import Candle, buckets
from pipelines.sandbox.coinbase import ALWAYS, refuse
from pipelines.sandbox.limits import Clock, PerCaller, TokenBucket
from pipelines.sandbox.replay import World
from pipelines.sandbox.values import HOUR, SECOND, loose_instant, short
from pipelines.sandbox.values import printed as printed_instant
from pipelines.sandbox.web import Asked, Handler, Seen, answer, printed, route

GRANULARITIES = (60, 300, 900, 3600, 21600, 86400)
AGGREGATIONS = 300
FIAT = {"USD": "$", "EUR": "€", "GBP": "£"}
NETWORKS = {"BTC": "bitcoin", "SOL": "solana", "ADA": "cardano", "LTC": "litecoin", "DOGE": "dogecoin", "XRP": "ripple"}  # else ethereum
TOO_MANY = "granularity too small for the requested time range. Count of aggregations requested exceeds 300"


class Market:
    """What anybody may ask."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._products = {product["id"]: product for product in world.dataset.products}
        traded = [p[side] for p in world.dataset.products for side in ("base_currency", "quote_currency")]
        held = [code for p in world.portfolios("coinbase").values() for code in p.accounts]
        self._currencies = {code: _currency(code) for code in sorted({*ALWAYS, *traded, *held})}
        self._limits = PerCaller(lambda: TokenBucket(10, 15, clock))

    def routes(self, seen: Seen) -> list[Route]:
        paths = {
            "/time": self.time,
            "/products": self.products,
            "/products/{product_id}": self.product,
            "/products/{product_id}/candles": self.candles,
            "/currencies": self.currencies,
            "/currencies/{currency_id}": self.currency,
        }
        return [route(seen, template, self._limited(handler)) for template, handler in paths.items()]

    def _limited(self, handler: Handler) -> Handler:
        def within(asked: Asked) -> Response:
            if not self._limits[asked.address].take():
                refuse(429, "Public rate limit exceeded")
            return handler(asked)

        return within

    def time(self, _: Asked) -> Response:
        now = self._world.now
        epoch = now / SECOND if now % SECOND else now // SECOND
        return answer({"iso": printed_instant(now, "milliseconds"), "epoch": round(epoch, 3)})

    def products(self, _: Asked) -> Response:
        return answer(self._world.dataset.products)

    def product(self, asked: Asked) -> Response:
        return answer(_known(self._products, asked.path["product_id"]))

    def currencies(self, _: Asked) -> Response:
        return answer(list(self._currencies.values()))

    def currency(self, asked: Asked) -> Response:
        return answer(_known(self._currencies, asked.path["currency_id"]))

    # candles

    def candles(self, asked: Asked) -> Response:
        _known(self._products, asked.path["product_id"])
        seconds = _granularity(asked.query.get("granularity"))
        rows = self._buckets(asked.path["product_id"], seconds, _bound(asked.query, "start"), _bound(asked.query, "end"))
        return printed("[" + ",".join(map(_row, reversed(rows))) + "]")

    def _buckets(self, product: str, seconds: int, start: float | None, end: float | None) -> list[Candle]:
        """Both bounds inclusive, on a bucket's start; with one missing both are ignored and the newest rows returned."""
        settings = self._world.settings
        if start is None or end is None:
            return self._shown(product, seconds, None, None, settings.newest_candles)
        if start > end:
            refuse(400, "start must be before end")
        if (end - start) / seconds > AGGREGATIONS:
            refuse(400, TOO_MANY)
        first = int(start // seconds if settings.candle_start_rounds_down else -(-start // seconds)) * seconds
        return self._shown(product, seconds, first, int(end // seconds) * seconds, None)

    def _shown(self, product: str, seconds: int, first: int | None, last: int | None, newest: int | None) -> list[Candle]:
        """Buckets of whole hours that exist now. The replayed dataset knows nothing finer than an hour."""
        if seconds < HOUR or product not in self._world.dataset.hours:
            return []
        now, forming = self._world.now / SECOND, self._world.settings.forming_candle
        until = None if last is None else last + seconds - HOUR
        hours = self._world.dataset.hours[product].shown(now, forming, first, until, newest and newest * seconds // HOUR)
        hours = self._world.faults.candles(product, hours, self._world.now)
        found = [bucket for bucket in buckets(hours, seconds) if forming or bucket.start + seconds <= now]
        return found[-newest:] if newest else found


def _known(known: Mapping[str, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    if name not in known:
        refuse(404, "NotFound")
    return known[name]


def _granularity(text: str | None) -> int:
    seconds = 60 if text is None else int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0
    if seconds not in GRANULARITIES:
        refuse(400, "Unsupported granularity")
    return seconds


def _bound(query: Mapping[str, str], name: str) -> float | None:
    """Seconds since 1970, from such a number or ISO 8601."""
    if not (text := query.get(name)):
        return None
    try:
        return float(text) if re.fullmatch(r"[0-9]{1,11}(\.[0-9]{1,9})?", text) else loose_instant(text) / SECOND
    except (ValueError, OverflowError):
        refuse(400, f"Invalid {name}")


def _row(candle: Candle) -> str:
    """Numbers, not strings, by their shortest text."""
    return f"[{candle.start},{','.join(short(number) for number in candle[1:])}]"


def _currency(code: str) -> dict[str, Any]:
    fiat = code in FIAT
    network = NETWORKS.get(code, "ethereum")
    step = "0.01" if fiat else "0.000001" if code == "USDC" else "0.00000001"
    networks = [] if fiat else [_network(network, step)]
    return {
        "id": code,
        "name": code,
        "min_size": step,
        "status": "online",
        "message": "",
        "max_precision": step,
        "convertible_to": {"USD": ["USDC"], "USDC": ["USD"]}.get(code, []),
        "details": _details(code, step),
        "default_network": "" if fiat else network,
        "supported_networks": networks,
        "display_name": code,
    }


def _details(code: str, step: str) -> dict[str, Any]:
    return {
        "type": "fiat" if code in FIAT else "crypto",
        "symbol": FIAT.get(code),
        "network_confirmations": 0 if code in FIAT else 14,
        "sort_order": 1 if code in FIAT else 100,
        "crypto_address_link": "",
        "crypto_transaction_link": "",
        "push_payment_methods": ["bank_wire"] if code in FIAT else ["crypto"],
        "group_types": ["fiat"] if code in FIAT else [],
        "display_name": code,
        "processing_time_seconds": 0,
        "min_withdrawal_amount": float(step),
        "max_withdrawal_amount": 1000000,
    }


def _network(network: str, step: str) -> dict[str, Any]:
    return {
        "id": network,
        "name": network.capitalize(),
        "status": "online",
        "contract_address": "",
        "crypto_address_link": "",
        "crypto_transaction_link": "",
        "min_withdrawal_amount": float(step),
        "max_withdrawal_amount": 1000000,
        "network_confirmations": 14,
        "processing_time_seconds": 0,
    }
