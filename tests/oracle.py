"""The laws once more, in loops and `decimal`: slow, plain, and independent of the stages it judges. No polars."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

Row = Mapping[str, Any]
EXACT = Context(prec=120, rounding=ROUND_HALF_EVEN)
PLACES = Decimal("1e-18")
LIMIT = Decimal("1e18")
HOUR = timedelta(hours=1)


def product(a: Decimal, b: Decimal) -> Decimal:
    return EXACT.quantize(EXACT.multiply(a, b), PLACES)


def quotient(a: Decimal, b: Decimal) -> Decimal:
    return EXACT.quantize(EXACT.divide(a, b), PLACES)


def total(numbers: Iterable[Decimal]) -> Decimal:
    result = Decimal(0)
    for number in numbers:
        result = EXACT.add(result, number)
    return result


def daily_balance(account: Row, opening: Row | None, postings: Iterable[Row], read_through: datetime | None, t: datetime) -> dict | None:
    """What daily_balances should say of one account at `t`; None: no row."""
    if opening is not None and not opening["opened_at"] < t:
        return None
    past = [p for p in postings if p["account_id"] == account["account_id"] and p["occurred_at"] < t]
    past.sort(key=lambda p: (p["occurred_at"], p["position"]))
    pending = [p["pending_after"] for p in past if p["pending_after"] is not None]
    unknown = opening is None or opening["kind"] == "UNKNOWN" or opening["amount"] is None
    balance = None if unknown else total([opening["amount"], *(p["amount"] for p in past if p["occurred_at"] >= opening["opened_at"])])
    overflow = balance is not None and abs(balance) >= LIMIT
    balance = None if overflow else balance
    reported = past[-1]["balance_after"] if past else None if unknown else opening["amount"]
    stale = read_through is None or read_through < t
    reasons = [
        word
        for word, holds in (
            ("NEVER_READ", read_through is None),
            ("READ_BEFORE_AS_OF", read_through is not None and read_through < t),
            ("OPENING_UNKNOWN", unknown),
            ("CHAIN_BREAK", balance is not None and balance != reported),
            ("NEGATIVE_BALANCE", balance is not None and balance < 0 and account["venue"] != "pacifica"),
            ("OUT_OF_RANGE", overflow),
        )
        if holds
    ]
    return {
        "balance": balance,
        "reported_balance": reported,
        "pending_balance": pending[-1] if pending else opening["pending_amount"] if opening else None,
        "last_event_at": past[-1]["occurred_at"] if past else None,
        "read_through": None if read_through is None else min(read_through, t),
        "balance_status": "STALE" if stale else "NOT_TESTED",
        "movements_status": "NOT_TESTED",
        "status_reasons": ";".join(reasons) or None,
    }


PRICE_COLUMNS = (
    "price", "price_basis", "currency", "reason", "candle_count", "volume", "first_start", "last_end", "evidence", "spread_bps",
    "bound_status",
)  # fmt: skip
FIAT = ("USD", "EUR", "GBP")
Price = dict[str, Any]


def daily_price(
    asset: str, asset_class: str, candles: list[Row], coverage: list[Row], products: list[Row], policies: list[Row], t: datetime
) -> Price:
    """What daily_prices should say of one asset at `t`: law 2, 3 and 4, rule by rule."""
    if asset_class == "fiat" and asset in FIAT:
        return _priced(Decimal(1), "PAR", asset)
    in_force = [p for p in policies if p["asset"] == asset and (p["since"] or t) <= t and (p["until"] is None or t < p["until"])]
    if any(p["exclude"] for p in in_force):
        return _unpriced("EXCLUDED_BY_POLICY")
    pairs = [p for p in products if p["base"] == asset and p["quote"] == "USD"]
    market = _at_market(pairs[0], candles, coverage, t) if pairs else _unpriced("NO_USD_PAIR")
    if in_force:
        policy = max(in_force, key=lambda p: p["since"] or datetime.min.replace(tzinfo=UTC))
        if other := policy["same_as"]:
            theirs = daily_price(other, "fiat" if other in FIAT else "crypto", candles, coverage, products, policies, t)
            own = {"spread_bps": None, "bound_status": None}
            return theirs | own | {"price_basis": theirs["price"] and "ALIAS_POLICY"}
        return _priced(policy["price"], "FIXED_POLICY", policy["currency"]) | _held_against(policy, market["price"])
    return market if products else _unpriced("NOT_FETCHED")


def _held_against(policy: Row, market: Decimal | None) -> Price:
    if market is None:
        return {"bound_status": policy["bound"] and "BOUND_NOT_TESTED"}
    near = abs(EXACT.subtract(market, policy["price"])) <= (policy["bound"] or 0)
    return {"spread_bps": _bps(market, policy["price"]), "bound_status": policy["bound"] and ("WITHIN" if near else "BREACHED")}


def _bps(price: Decimal, beside: Decimal) -> int | None:
    ratio = quotient(price, beside)
    apart = product(ratio - 1, Decimal(10_000))
    return int(apart.quantize(Decimal(1), context=EXACT)) if ratio < LIMIT and abs(apart) < LIMIT else None


def other_methods(
    asset: str, asset_class: str, candles: list[Row], coverage: list[Row], products: list[Row], policies: list[Row], t: datetime
) -> dict[str, Price]:
    """What the other methods should say beside it; nothing where there is no market, or no price is wanted."""
    pairs = [p for p in products if p["base"] == asset and p["quote"] == "USD"]
    said = daily_price(asset, asset_class, candles, coverage, products, policies, t)
    if not pairs or said["price_basis"] == "PAR" or _is_excluded(asset, policies, t):
        return {}
    market = _at_market(pairs[0], candles, coverage, t)
    mine = [c for c in candles if c["product_id"] == pairs[0]["product_id"]]
    window = sorted((c for c in mine if c["start"] >= t - 24 * HOUR and c["start"] + HOUR <= t), key=lambda c: c["start"])
    midnight = t.replace(hour=0, minute=0, second=0, microsecond=0)
    hours = [h for h in _hours(t) if window and h >= window[0]["start"]]
    held = [max((c for c in window if c["start"] <= h), key=lambda c: c["start"])["close"] for h in hours]
    says = {
        "LAST_CLOSE": window[-1]["close"] if window else None,
        "TWAP_24H": quotient(total(held), Decimal(len(held))) if held else None,
        "DAY_CLOSE": next((c["close"] for c in reversed(window) if c["start"] < midnight), None),
    }
    covered = all(_asked_for(hour, pairs[0]["product_id"], coverage) for hour in _hours(t))
    return {
        method: _by_method(method, price, market, _why_no_candle(pairs[0], mine, covered, t), covered) for method, price in says.items()
    }


def _is_excluded(asset: str, policies: list[Row], t: datetime) -> bool:
    return any(p["exclude"] and p["asset"] == asset and (p["since"] or t) <= t and (p["until"] is None or t < p["until"]) for p in policies)


def _by_method(method: str, price: Decimal | None, market: Price, why: str, covered: bool) -> Price:
    window = {name: market[name] for name in ("candle_count", "volume", "first_start", "last_end", "evidence")}
    if price is None or not covered:
        return _unpriced(why if price is None else "NOT_FETCHED") | window
    if price <= 0:
        return _unpriced("ZERO_VOLUME" if market["volume"] == 0 else "OUT_OF_RANGE") | window
    spread = _bps(price, market["price"]) if market["price"] else None
    return _priced(price, method, "USD") | window | {"spread_bps": spread}


def _at_market(pair: Row, candles: list[Row], coverage: list[Row], t: datetime) -> Price:
    mine = [c for c in candles if c["product_id"] == pair["product_id"]]
    window = sorted((c for c in mine if c["start"] >= t - 24 * HOUR and c["start"] + HOUR <= t), key=lambda c: c["start"])
    evidence = _evidence(window)
    covered = all(_asked_for(hour, pair["product_id"], coverage) for hour in _hours(t))
    if not window:
        return _unpriced(_why_no_candle(pair, mine, covered, t)) | evidence
    if not covered:
        return _unpriced("NOT_FETCHED") | evidence
    volume = total(c["volume"] for c in window)
    if volume == 0:
        return _unpriced("ZERO_VOLUME") | evidence
    products = [product(c["close"], c["volume"]) for c in window]
    price = quotient(total(products), volume)
    fits = all(abs(x) < LIMIT for x in (*products, total(products), volume, price)) and price > 0
    return (_priced(price, "VWAP_24H", "USD") if fits else _unpriced("OUT_OF_RANGE")) | evidence


def _why_no_candle(pair: Row, candles: list[Row], covered: bool, t: datetime) -> str:
    if covered and candles and all(c["start"] >= t - 24 * HOUR for c in candles):
        return "NOT_YET_LISTED"
    if pair["status"] == "delisted":
        return "DELISTED"
    if pair["trading_disabled"] or pair["status"] != "online":
        return "TRADING_SUSPENDED"
    return "NO_CANDLES" if covered else "NOT_FETCHED"


def _hours(t: datetime) -> list[datetime]:
    """The hour starts that count for `t`, found by trying them all."""
    around = [t.replace(minute=0, second=0, microsecond=0) + n * HOUR for n in range(-26, 3)]
    return [start for start in around if start >= t - 24 * HOUR and start + HOUR <= t]


def _asked_for(hour: datetime, product_id: str, coverage: list[Row]) -> bool:
    return any(c["product_id"] == product_id and c["final"] and c["since"] <= hour and hour + HOUR <= c["until"] for c in coverage)


def _evidence(window: list[Row]) -> Price:
    if not window:
        return {"candle_count": 0}
    volume = total(c["volume"] for c in window)
    lines = "".join(f"{int(c['start'].timestamp())},{plain(c['close'])},{plain(c['volume'])}\n" for c in window)
    return {
        "candle_count": len(window),
        "volume": volume if volume < LIMIT else None,
        "first_start": window[0]["start"],
        "last_end": window[-1]["start"] + HOUR,
        "evidence": hashlib.sha256(lines.encode()).hexdigest(),
    }


def plain(number: Decimal) -> str:
    """Decimal text in full, without exponent and trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _priced(price: Decimal, basis: str, currency: str) -> Price:
    return dict.fromkeys(PRICE_COLUMNS) | {"price": price, "price_basis": basis, "currency": currency}


def _unpriced(reason: str) -> Price:
    return dict.fromkeys(PRICE_COLUMNS) | {"reason": reason}


def daily_value(balance: Decimal | None, price: Price | None) -> Price:
    """What daily_values should say of a balance; `price` is None where nothing maps the code."""
    if price is None:
        return {"price": None, "price_basis": None, "currency": None, "value": None, "reason": "UNMAPPED_ASSET"}
    told = {name: price[name] for name in ("price", "price_basis", "currency", "reason")}
    if balance is None or price["price"] is None:
        return told | {"value": None}
    value = product(balance, price["price"])
    return told | {"value": value} if abs(value) < LIMIT else daily_value(None, _unpriced("OUT_OF_RANGE"))
