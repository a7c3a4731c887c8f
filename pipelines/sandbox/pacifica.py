"""Pacifica: accounts by address, balance history, markets; credits in a rolling minute. Nothing is signed, no row has an id."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

from starlette.responses import Response
from starlette.routing import Route

from pipelines.sandbox.ledger import COLLATERAL, Event
from pipelines.sandbox.limits import Clock, PerCaller, RollingWindow
from pipelines.sandbox.names import base58, from_base58, pacifica_account, pacifica_api_key
from pipelines.sandbox.replay import Replayed, World
from pipelines.sandbox.values import fixed, plus, short
from pipelines.sandbox.web import Answer, Asked, Handler, Seen, answer, route

BASE = "/api/v1"
PLACES = 6
WINDOW = 60.0
ROOM = 2**41  # of a row's order, within its cursor


class _Caller(NamedTuple):
    name: str
    keyed: bool


def refuse(status: int, error: str, headers: Mapping[str, str] | None = None) -> NoReturn:
    raise Answer(answer({"success": False, "data": None, "error": error, "code": status}, status, headers))


class Pacifica:
    """Accounts and subaccounts told apart by address."""

    def __init__(self, world: World, clock: Clock, scale: float = 1.0) -> None:
        self._world, self._scale = world, scale
        self._accounts = {pacifica_account(name): portfolio for name, portfolio in world.portfolios("pacifica", (COLLATERAL,)).items()}
        self._keys = {pacifica_api_key(portfolio.name) for portfolio in self._accounts.values()}
        settings = world.settings
        self._unkeyed = PerCaller(lambda: RollingWindow(settings.credits, WINDOW, clock))
        self._keyed = PerCaller(lambda: RollingWindow(settings.credits_with_key, WINDOW, clock))

    def routes(self, seen: Seen) -> list[Route]:
        settings = self._world.settings
        history = self._charged(self.history, settings.page_credits, settings.page_credits_with_key)
        paths = {"/account": self._charged(self.account), "/account/balance/history": history, "/info": self._charged(self.info)}
        paths["/positions"] = self._charged(self.positions)
        return [route(seen, BASE + template, handler) for template, handler in paths.items()]

    def unknown(self, _: Asked) -> Response:
        refuse(404, "Not found")

    # credits

    def _charged(self, handler: Handler, cost: int = 1, cost_with_key: int = 1) -> Handler:
        """`handler`, if its credits are left; the reply says what remains."""

        def charged(asked: Asked) -> Response:
            caller = self._caller(asked)
            window = (self._keyed if caller.keyed else self._unkeyed)[caller.name]
            if not window.take(cost_with_key if caller.keyed else cost):
                refuse(429, "Rate limit exceeded", self._said(window))
            try:
                response = handler(asked)
            except Answer as early:
                response = early.response
            response.headers.update(self._said(window))
            return response

        return charged

    def _caller(self, asked: Asked) -> _Caller:
        key = asked.headers.get("PF-API-KEY", "")
        if key in self._keys:
            return _Caller(key, keyed=True)
        if key and self._world.settings.unknown_key == "refused":
            refuse(401, "Invalid API key")
        return _Caller(asked.address, keyed=False)

    def _said(self, window: RollingWindow) -> dict[str, str]:
        """Tenths of credits, as the venue counts them."""
        left, quota = int(window.left() * 10), int(window.quota * 10)
        seconds = math.ceil(window.full_in() / self._scale)
        return {"ratelimit": f'"credits";r={left};t={seconds}', "ratelimit-policy": f'"credits";q={quota};w={WINDOW:.0f}'}

    # what is read

    def account(self, asked: Asked) -> Response:
        account = self._found(asked)
        if account is None:
            return _success([] if self._world.settings.account_as_list else None)
        data = self._account(account)
        return _success([data] if self._world.settings.account_as_list else data)

    def positions(self, asked: Asked) -> Response:
        held = self._world.settings.positions if self._found(asked) else ()
        return _success([_position(*position) for position in held], last_order_id=1)

    def _found(self, asked: Asked) -> Replayed | None:
        """None for an address that never was, where the settings say so."""
        address = asked.query.get("account", "")
        if not address:
            refuse(400, "Failed to deserialize query string: missing field `account`")
        if address not in self._accounts and self._world.settings.unknown_address == "not_found":
            refuse(404, "Account not found")
        return self._accounts.get(address)

    def _account(self, account: Replayed) -> dict[str, Any]:
        balance, pending = account.accounts[COLLATERAL].balance(self._world.now)
        rows = account.rows(self._world.now)
        nothing = dict.fromkeys(("pending_interest", "spot_collateral", "spot_market_value", "total_margin_used", "cross_mmr"), "0")
        settings = self._world.settings
        whole = dict.fromkeys(("available_to_spend", "available_to_withdraw"), short(balance))
        whole |= dict.fromkeys(("account_equity", "cross_account_equity"), short(plus(balance, Decimal(settings.unrealised))))
        counts = {"positions_count": len(settings.positions), "orders_count": 0, "stop_orders_count": 0}
        fees = {"fee_level": 0, "maker_fee": "0.00015", "taker_fee": "0.0004"}
        moved = {"updated_at": rows[-1].at // 1000 if rows else 0, "spot_balances": [_spot(*held) for held in settings.spot]}
        return {"balance": short(balance), "pending_balance": short(pending)} | fees | whole | nothing | counts | moved

    def history(self, asked: Asked) -> Response:
        settings = self._world.settings
        account = self._found(asked)
        limit = min(_whole(asked.query, "limit", settings.pacifica_default, 1), settings.pacifica_max)
        everything = _flag(asked.query, "include_trades")
        rows = account.rows(self._world.now) if account else []
        shown = [n for n, event in enumerate(rows) if everything or event.kind in settings.shown_without_trades]
        end = _end(rows, shown, asked.query)
        start = max(0, end - limit)
        data = [self._event(rows, n) for n in reversed(shown[start:end])]
        cursor = _cursor(rows[shown[start]]) if start else None
        return _success(data, next_cursor=cursor, has_more=cursor is not None)

    def _event(self, rows: Sequence[Event], number: int) -> dict[str, Any]:
        event = rows[number]
        return {
            "amount": fixed(self._amount(rows, number), PLACES),
            "balance": fixed(event.balance, PLACES),
            "pending_balance": fixed(event.pending or Decimal(0), PLACES),
            "event_type": event.kind,
            "created_at": event.at // 1000,
        }

    def _amount(self, rows: Sequence[Event], number: int) -> Decimal:
        amount = rows[number].amount
        if self._world.settings.pending_amounts and not amount:
            before = rows[number - 1].pending if number else None
            amount = (rows[number].pending or Decimal(0)) - (before or Decimal(0))
        return amount if self._world.settings.signed_amounts else abs(amount)

    def info(self, _: Asked) -> Response:
        """A perpetual for each market that the dataset's candles know in USD."""
        created = int(self._world.dataset.start_instant.timestamp() * 1000)
        bases = [p["base_currency"] for p in self._world.dataset.products if p["quote_currency"] == "USD" and p["status"] == "online"]
        return _success([_market(base, created) for base in bases])


def _success(data: object, **more: object) -> Response:
    return answer({"success": True, "data": data, **more, "error": None, "code": None})


def _spot(symbol: str, amount: str) -> dict[str, Any]:
    return {"symbol": symbol, "amount": amount, "available_to_withdraw": amount, "pending_balance": "0"}


def _position(symbol: str, side: str, amount: str) -> dict[str, Any]:
    held = {"symbol": symbol, "side": side, "amount": amount, "entry_price": "100", "margin": "0", "funding": "0"}
    return held | {"isolated": False, "liquidation_price": None, "created_at": 0, "updated_at": 0}


def _market(base: str, created: int) -> dict[str, Any]:
    steps = {"tick_size": "0.01", "min_tick": "0", "max_tick": "1000000", "lot_size": "0.00001", "min_order_size": "10"}
    rates = {"max_order_size": "5000000", "funding_rate": "0.0000125", "next_funding_rate": "0.0000125"}
    kind = {"max_leverage": 20, "isolated_only": False, "created_at": created, "instrument_type": "perpetual", "base_asset": base}
    return {"symbol": base} | steps | rates | kind


def _cursor(event: Event) -> str:
    """Opaque; names the row before which the next page ends, so rows arriving at the head move nothing."""
    return base58(event.at * ROOM + event.order)


def _end(rows: Sequence[Event], shown: Sequence[int], query: Mapping[str, str]) -> int:
    """How many of the shown rows are not yet told: by cursor, or by the older offset."""
    if not (cursor := query.get("cursor")):
        return max(0, len(shown) - _whole(query, "offset", 0, 0))
    try:
        place = divmod(from_base58(cursor), ROOM)
    except ValueError:
        refuse(400, "Invalid cursor")
    return sum((rows[n].at, rows[n].order) < place for n in shown)


def _whole(query: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= least):
        refuse(400, f"Failed to deserialize query string: {name}: invalid digit found in string")
    return int(text)


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "false").lower()
    if text not in ("true", "false"):
        refuse(400, f"Failed to deserialize query string: {name}: provided string was not `true` or `false`")
    return text == "true"
