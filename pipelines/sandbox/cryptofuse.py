"""CryptoFuse: tokens, balances, history and currencies of merchants' main accounts. Unsigned amounts, whole seconds, offsets."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, NoReturn
from urllib.parse import parse_qsl, unquote_plus

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pipelines.sandbox.codes import CODES
from pipelines.sandbox.ledger import Event
from pipelines.sandbox.limits import Clock, PerCaller, RollingWindow
from pipelines.sandbox.merchant import SHAPES, currencies
from pipelines.sandbox.names import cryptofuse_client
from pipelines.sandbox.replay import Replayed, World
from pipelines.sandbox.values import fixed, printed
from pipelines.sandbox.web import Answer, Asked, Handler, Seen, answer, route

PLACES = 6
TOKEN = "/o/token/"


class _Token(NamedTuple):
    merchant: str
    scope: frozenset[str]
    expires: float


def refuse(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> NoReturn:
    raise Answer(answer({"error": {"code": code, "message": message, "details": {}}}, status, headers))


class Cryptofuse:
    """Merchants told apart by their client id."""

    def __init__(self, world: World, clock: Clock, scale: float = 1.0, wire_clock: Callable[[], float] = time.monotonic) -> None:
        self._world, self._wire_clock, self._scale = world, wire_clock, scale
        self._merchants = world.portfolios("cryptofuse")
        self._clients = {cryptofuse_client(name): name for name in self._merchants}
        self._tokens: dict[str, _Token] = {}
        limits = world.settings.cryptofuse_limits
        self._limits = PerCaller(lambda: [RollingWindow(quota, seconds, clock) for quota, seconds in limits])

    def routes(self, seen: Seen) -> list[Route]:
        paths = {
            "/user/balances/": self._reading(self.balances, {"read", "write"}),
            "/user/balances/history/": self._reading(self.history, {"read"}),
            "/currencies/": self._reading(self.currencies, {"read"}),
        }
        found = [route(seen, template, handler) for template, handler in paths.items()]
        found += [route(seen, path, self.token, "POST") for path in (TOKEN, TOKEN.rstrip("/"))]
        if self._world.settings.slash_redirect:  # Coinbase has a /currencies of its own
            found += [route(seen, path.rstrip("/"), _to_slash) for path in paths if path != "/currencies/"]
        return found

    def unknown(self, _: Asked) -> Response:
        refuse(404, "not_found", "Not found.")

    # tokens

    def token(self, asked: Asked) -> Response:
        """Client credentials, in the header or in the form. There is no refresh token."""
        form = dict(parse_qsl(asked.body.decode("latin-1"), keep_blank_values=True))
        merchant = self._clients.get(_credentials(asked, form))  # type: ignore[call-overload]  # a plain pair equals a named one
        if merchant is None:
            raise Answer(answer({"error": "invalid_client"}, 401, {"WWW-Authenticate": 'Basic realm="api"'}))
        self._count(merchant)
        if form.get("grant_type") != "client_credentials":
            raise Answer(answer({"error": "unsupported_grant_type"}, 400))
        allowed = self._world.settings.scopes
        scope = form.get("scope") or " ".join(allowed)
        if not set(scope.split()) <= set(allowed):
            raise Answer(answer({"error": "invalid_scope"}, 400))
        return self._granted(merchant, scope)

    def _granted(self, merchant: str, scope: str) -> Response:
        token, seconds, now = secrets.token_urlsafe(24), self._world.settings.token_seconds, self._wire_clock()
        self._tokens = {text: held for text, held in self._tokens.items() if held.expires > now}
        self._tokens[token] = _Token(merchant, frozenset(scope.split()), now + seconds)
        body = {"access_token": token, "expires_in": seconds, "token_type": "Bearer", "scope": scope}
        return answer(body, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

    def _reading(self, handler: Callable[[Asked, Replayed], Response], needed: Collection[str]) -> Handler:
        """`handler` for the merchant whose token it is."""

        def guarded(asked: Asked) -> Response:
            kind, _, text = asked.headers.get("Authorization", "").partition(" ")
            token = self._tokens.get(text.strip()) if kind.lower() == "bearer" else None
            if token is None or token.expires <= self._wire_clock():
                said = "Authentication credentials were not provided or are no longer valid."
                refuse(401, "authentication_failed", said, {"WWW-Authenticate": "Bearer"})
            self._count(token.merchant)
            if not token.scope.issuperset(needed):
                refuse(403, "permission_denied", f"This needs the scope {' '.join(sorted(needed))}.")
            return handler(asked, self._merchants[token.merchant])

        return guarded

    def _count(self, merchant: str) -> None:
        """One request of each window; of none where one is used up."""
        windows = self._limits[merchant]
        if wait := max((window.wait() for window in windows), default=0.0):
            seconds = max(1, -int(-wait // self._scale))
            refuse(429, "rate_limit_exceeded", "Too many requests.", {"Retry-After": str(seconds)})
        for window in windows:
            window.take()

    # what is read

    def balances(self, _: Asked, merchant: Replayed) -> Response:
        return answer(SHAPES[self._world.settings.balances_shape](merchant, self._world))

    def history(self, asked: Asked, merchant: Replayed) -> Response:
        """Newest first, over a list that grows at its head."""
        settings = self._world.settings
        limit = min(_whole(asked.query, "limit", settings.history_default, 1), settings.history_max)
        offset = _whole(asked.query, "offset", 0, 0)
        currency, kind = asked.query.get("currency", "").upper(), asked.query.get("type", "")
        rows = merchant.rows(self._world.now)
        found = [e for e in rows if currency in ("", e.code.upper()) and kind in ("", e.kind)] if currency or kind else rows
        newest_first = found[max(0, len(found) - offset - limit) : max(0, len(found) - offset)][::-1]
        return answer({"history": [_event(e) for e in newest_first], "total": len(found), "limit": limit, "offset": offset})

    def currencies(self, asked: Asked, _: Replayed) -> Response:
        seen = {code.upper() for merchant in self._merchants.values() for code in merchant.accounts}
        listed = currencies(sorted(seen & CODES.keys()), asked.query)
        return answer({"currencies": listed} if self._world.settings.currencies_in_envelope else listed)


def _to_slash(asked: Asked) -> Response:
    path, _, query = asked.target.partition("?")
    return RedirectResponse(f"{path}/?{query}" if query else f"{path}/", 301)


def _credentials(asked: Asked, form: Mapping[str, str]) -> tuple[str, str]:
    kind, _, text = asked.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        user, _, password = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return unquote_plus(user), unquote_plus(password)


def _whole(query: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= least):
        refuse(400, "invalid_request", f"{name} must be a whole number of at least {least}.")
    return int(text)


def _event(event: Event) -> dict[str, Any]:
    return {
        "timestamp": printed(event.at, "seconds"),
        "currency": event.code,
        "type": event.kind,
        "amount": fixed(abs(event.amount), PLACES),
        "balance_after": fixed(event.balance, PLACES),
    }
