"""Coinbase Exchange, the private side: who may ask, accounts, ledgers, profiles. Newest first, 16 decimals, cursors in headers.

Reports are `reports`' work.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NoReturn

from starlette.responses import Response
from starlette.routing import Route

from pipelines.sandbox.ledger import Event
from pipelines.sandbox.limits import Clock, PerCaller, TokenBucket
from pipelines.sandbox.names import CoinbaseKey, coinbase_key, number, same_uuid, uuid
from pipelines.sandbox.replay import Account, Replayed, World
from pipelines.sandbox.reports import Reports
from pipelines.sandbox.values import DAY, EXACT, fixed, loose_instant, micros, printed, short
from pipelines.sandbox.web import Answer, Asked, Seen, answer, route

ALWAYS = ("USD", "EUR", "GBP", "USDC")
PLACES = 16
SKEW = 30  # seconds a timestamp may be off
PAGE, MOST = 100, 1000
NOTHING = Decimal(0)
TRADES = ("match", "fee")


def refuse(status: int, message: str) -> NoReturn:
    raise Answer(answer({"message": message}, status))


class Coinbase:
    """Profiles told apart by their key."""

    def __init__(self, world: World, clock: Clock, wire_clock: Callable[[], float] = time.time) -> None:
        self._world, self._wire_clock = world, wire_clock
        self._profiles = world.portfolios("coinbase", ALWAYS)
        self._keys = {coinbase_key(name).key: (coinbase_key(name), profile) for name, profile in self._profiles.items()}
        self._pairs = {(p["base_currency"], p["quote_currency"]): p["id"] for p in world.dataset.products}
        self._limits = PerCaller(lambda: TokenBucket(15, 30, clock))
        self._reports = Reports(world, self.allowed, profile_id)

    def routes(self, seen: Seen) -> list[Route]:
        paths = {
            "/accounts": self.accounts,
            "/accounts/{account_id}": self.account,
            "/accounts/{account_id}/ledger": self.ledger,
            "/profiles": self.profiles,
            "/profiles/{profile_id}": self.profile,
        }
        return [*(route(seen, template, handler) for template, handler in paths.items()), *self._reports.routes(seen)]

    def unknown(self, asked: Asked) -> Response:
        """Who is asking matters first, even where nothing is."""
        self.allowed(asked)
        refuse(404, "NotFound")

    # who may ask

    def allowed(self, asked: Asked) -> Replayed:
        key, profile = self._authentic(asked)
        if not self._limits[key.key].take():
            refuse(429, "Private rate limit exceeded")
        return profile

    def _authentic(self, asked: Asked) -> tuple[CoinbaseKey, Replayed]:
        key, sign, timestamp, passphrase = (self._header(asked, name) for name in ("KEY", "SIGN", "TIMESTAMP", "PASSPHRASE"))
        denied = 400 if self._world.settings.legacy_400 else 401
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", timestamp):
            refuse(400, "invalid timestamp")
        if abs(self._wire_clock() - float(timestamp)) > SKEW:
            refuse(denied, "request timestamp expired")
        if key not in self._keys:
            refuse(denied, "Invalid API Key")
        known, profile = self._keys[key]
        if not hmac.compare_digest(passphrase.encode(), known.passphrase.encode()):
            refuse(denied, "Invalid Passphrase")
        expected = signature(known.secret, timestamp, asked.method, asked.target, asked.body)
        if not hmac.compare_digest(sign.encode(), expected.encode()):
            refuse(denied, "invalid signature")
        return known, profile

    @staticmethod
    def _header(asked: Asked, name: str) -> str:
        value = asked.headers.get(f"CB-ACCESS-{name}", "")
        if not value:
            refuse(401 if name == "KEY" else 400, f"CB-ACCESS-{name} header is required")
        return value

    # accounts and profiles

    def accounts(self, asked: Asked) -> Response:
        profile = self.allowed(asked)
        return answer([self._account(profile, account) for account in profile.accounts.values()])

    def account(self, asked: Asked) -> Response:
        return answer(self._account(*self._found(asked)))

    def _found(self, asked: Asked) -> tuple[Replayed, Account]:
        """The account of the path, if it is of the key's own profile."""
        profile = self.allowed(asked)
        for account in profile.accounts.values():
            if same_uuid(asked.path["account_id"], account_id(profile.name, account.code)):
                return profile, account
        refuse(404, "NotFound")

    def _account(self, profile: Replayed, account: Account) -> dict[str, Any]:
        balance, pending = account.balance(self._world.now)
        return {
            "id": account_id(profile.name, account.code),
            "currency": account.code,
            "balance": fixed(balance, PLACES),
            "hold": fixed(NOTHING, PLACES),
            "available": short(balance),
            "profile_id": profile_id(profile.name),
            "trading_enabled": True,
            "pending_deposit": fixed(pending, PLACES),
            "display_name": account.code,
        }

    def profiles(self, asked: Asked) -> Response:
        own = self.allowed(asked)
        active = asked.query.get("active", "true") != "false"  # none was ever deactivated
        return answer([self._profile(p) for p in self._siblings(own)] if active else [])

    def profile(self, asked: Asked) -> Response:
        own = self.allowed(asked)
        for profile in self._siblings(own):
            if same_uuid(asked.path["profile_id"], profile_id(profile.name)):
                return answer(self._profile(profile))
        refuse(404, "NotFound")

    def _siblings(self, own: Replayed) -> list[Replayed]:
        """The profiles of one user, who is an entity here."""
        return [profile for profile in self._profiles.values() if profile.entity == own.entity]

    def _profile(self, profile: Replayed) -> dict[str, Any]:
        return {
            "id": profile_id(profile.name),
            "user_id": uuid("user", profile.entity).replace("-", "")[:24],
            "name": profile.name,
            "active": True,
            "is_default": profile is self._siblings(profile)[0],
            "created_at": printed(micros(self._world.dataset.start_instant)),
            "has_margin": False,
        }

    # ledger

    def ledger(self, asked: Asked) -> Response:
        profile, account = self._found(asked)
        if (wanted := asked.query.get("profile_id")) and not same_uuid(wanted, profile_id(profile.name)):
            refuse(403, "Forbidden")
        limit = _limit(asked.query.get("limit"))
        rows = page(account.rows(self._world.now), self._dates(asked.query), asked.query, limit)
        cursors = {"CB-BEFORE": rows[0].event_id, "CB-AFTER": rows[-1].event_id} if rows else {}
        return answer([self._entry(profile, event) for event in rows], headers=cursors)

    def _dates(self, query: Mapping[str, str]) -> tuple[int | None, int | None]:
        """Both inclusive; without either, the day that ends now."""
        start, end = (_date(query, name) for name in ("start_date", "end_date"))
        return (self._world.now - DAY, None) if start is None and end is None else (start, end)

    def _entry(self, profile: Replayed, event: Event) -> dict[str, Any]:
        return {
            "id": event.event_id,
            "amount": fixed(event.amount, PLACES),
            "balance": fixed(event.balance, PLACES),
            "created_at": printed(event.at),
            "type": event.kind,
            "details": self._details(profile, event),
        }

    def _details(self, profile: Replayed, event: Event) -> dict[str, str]:
        if event.kind == "transfer":
            return self._transfer(profile, event)
        return self._trade(profile, event) if event.kind in TRADES else {}

    def _trade(self, profile: Replayed, event: Event) -> dict[str, str]:
        """One trade is everything that moved in the profile at its instant."""
        place = (profile.name, str(event.at))
        moved = {other.code for other in profile.at(event.at, self._world.now)}
        traded = [product for (base, quote), product in self._pairs.items() if event.code in (base, quote) and {base, quote} <= moved]
        product = traded[0] if traded else self._pairs.get((event.code, "USD"), f"{event.code}-USD")
        return {"order_id": uuid("order", *place), "product_id": product, "trade_id": str(number("trade", *place))}

    def _transfer(self, profile: Replayed, event: Event) -> dict[str, str]:
        """Between profiles of one user, both are named; else the transfer is."""
        for other in self._siblings(profile):
            if other is not profile and any(_mirrors(event, leg) for leg in other.at(event.at, self._world.now)):
                here, there = profile_id(profile.name), profile_id(other.name)
                origin, target = (here, there) if event.amount < 0 else (there, here)
                between = "/".join(sorted((here, there)))
                return {"from": origin, "to": target, "profile_transfer_id": uuid("transfer", between, event.code, str(event.at))}
        kind = "withdraw" if event.amount < 0 else "deposit"
        return {"transfer_id": uuid("transfer", profile.name, event.event_id), "transfer_type": kind}


def signature(secret: str, timestamp: str, method: str, target: str, body: bytes) -> str:
    """CB-ACCESS-SIGN: the query is part of what is signed."""
    prehash = f"{timestamp}{method}{target}".encode("latin-1") + body
    return base64.b64encode(hmac.digest(base64.b64decode(secret), prehash, hashlib.sha256)).decode()


def account_id(portfolio: str, code: str) -> str:
    return uuid("account", portfolio, code)


def profile_id(portfolio: str) -> str:
    return uuid("profile", portfolio)


def page(rows: Sequence[Event], dates: tuple[int | None, int | None], query: Mapping[str, str], limit: int) -> list[Event]:
    """The newest `limit` rows between dates and cursors, newest first. `before` is newer than, `after` older than."""
    start, end = dates
    first = 0 if start is None else bisect_left(rows, start, key=lambda event: event.at)
    last = len(rows) if end is None else bisect_right(rows, end, key=lambda event: event.at)
    if "before" in query:
        first = max(first, _place(rows, "before", query["before"]))
    if "after" in query:
        last = min(last, _place(rows, "after", query["after"]))
    return list(rows[max(first, last - limit) : max(first, last)][::-1])


def _place(rows: Sequence[Event], name: str, cursor: str) -> int:
    """Where rows newer than `before` begin, or rows older than `after` end."""
    if not re.fullmatch(r"[0-9]{1,30}", cursor):
        refuse(400, f"{name} cursor value is not valid")
    newer = name == "before"
    known = next((n for n, event in enumerate(rows) if event.event_id == cursor), None)
    if known is not None:
        return known + 1 if newer else known
    return sum(int(event.event_id) < int(cursor) for event in rows)


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        refuse(400, "invalid limit")
    return min(int(text), MOST)


def _date(query: Mapping[str, str], name: str) -> int | None:
    if not (text := query.get(name)):
        return None
    try:
        at = loose_instant(text)
    except (ValueError, OverflowError):
        refuse(400, f"invalid {name}")
    if at <= 0:
        refuse(400, f"{name} must be after the epoch")
    return at


def _mirrors(event: Event, leg: Event) -> bool:
    return leg.code == event.code and leg.kind == event.kind and EXACT.add(leg.amount, event.amount) == 0
