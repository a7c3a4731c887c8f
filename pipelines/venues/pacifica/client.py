"""Pacifica over HTTP: account and balance history → pages. What they say is `wire`'s to read.

Nothing is signed: anyone may read an address; a key only raises the quota. Without `include_trades` the history has holes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.config import PacificaPortfolio
from pipelines.errors import RateLimited, Unreachable, Unreadable, VenueError
from pipelines.pages import Page
from pipelines.venues.http import Caller, Clock, Door, House, Leaving, Patience, utc_now
from pipelines.venues.limits import RollingWindow, shared
from pipelines.venues.replies import LATER, Question, Quote, Refusal, Reply, by_status, retry_after
from pipelines.venues.walk import Turn, back

VENUE = "pacifica"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PAGE_SIZE = 100
HEAVY = {True: 3, False: 12}  # credits a page of history costs, with and without a key
QUOTA = {True: 300, False: 100}


class _Key:
    def __init__(self, key: str) -> None:
        self._key = key

    async def ready(self, again: bool) -> None:
        pass

    def headers(self, _: Leaving, /) -> Mapping[str, str]:
        return {"PF-API-KEY": self._key} if self._key else {}


class PacificaClient(Caller):
    """One account or subaccount, by its address."""

    subjects_by_account = False

    def __init__(self, portfolio: PacificaPortfolio, patience: Patience | None = None, clock: Clock = utc_now) -> None:
        key = portfolio.reveal(portfolio.api_key) if portfolio.api_key else ""
        quota = portfolio.credits or QUOTA[bool(key)]
        counted = (VENUE, portfolio.base_url, hashlib.sha256(key.encode()).digest(), quota)  # without a key the address counts
        self._limiter = shared(counted, lambda: RollingWindow(quota))
        house = House(VENUE, portfolio.name, portfolio.base_url, portfolio.timeout, self._limiter, _judge)
        super().__init__(Door(house, (key,), patience, clock))
        self._auth, self._heavy = _Key(key), HEAVY[bool(key)]
        self._account, self._limit = portfolio.account, portfolio.page_size or PAGE_SIZE

    async def balances(self) -> list[Page]:
        page, reply = await self._get(Question("account", "/api/v1/account", {"account": self._account}))
        if not isinstance(reply.json.get("data"), dict | list):
            raise reply.unreadable()
        return [page, *await self._positions(reply.json["data"])]

    async def _positions(self, data: Any) -> list[Page]:
        """Open positions, which are no balance: asked for where the account does not say that there are none."""
        account = next((row for row in (data if isinstance(data, list) else [data]) if isinstance(row, dict)), {})
        if account.get("positions_count") == 0:
            return []
        try:
            page, reply = await self._get(Question("positions", "/api/v1/positions", {"account": self._account}))
        except Refusal as refusal:
            if refusal.status == 404:
                return []
            raise
        if not isinstance(reply.json.get("data"), list):
            raise reply.unreadable()
        return [page]

    def history(self, account: str | None, since: datetime | None) -> AsyncIterator[Page]:  # noqa: ARG002  # one walk covers the portfolio
        """The whole account's history; the older form without cursors is walked by offset."""
        always = {"account": self._account, "include_trades": "true", "limit": str(self._limit)}
        read = 0

        async def ask(cursor: str | None) -> Turn:
            nonlocal read
            where = {} if cursor is None else {"offset": cursor[1:]} if cursor.startswith("@") else {"cursor": cursor}
            page, reply = await self._get(Question("history", "/api/v1/account/balance/history", always | where, cost=self._heavy))
            body = reply.json
            if not isinstance(rows := body.get("data"), list):
                raise reply.unreadable()
            read += len(rows)
            return Turn(page, len(rows), tuple(_moment(row) for row in rows), _next(body, reply, len(rows), read))

        return back(ask, since)

    async def currencies(self) -> list[Page]:
        return []

    async def population(self) -> list[Page]:
        """Subaccounts are told only to who signs for the account, and no signing key is ever asked for."""
        return []

    @property
    def identity(self) -> str:
        return self._account

    @property
    def rights(self) -> str:
        """Reading an address needs none, and the key that raises the quota gives none."""
        return ""

    async def _get(self, question: Question) -> tuple[Page, Reply]:
        page, reply = await self._door.page(question, self._auth)
        if (used := _used(reply)) is not None:
            self._limiter.observe(used)
        return page, reply


def _next(body: dict[str, Any], reply: Reply, rows: int, read: int) -> str | None:
    """Where the history goes on. Either word of the venue's ends it; a promise of more without a way there is refused."""
    if "has_more" not in body and "next_cursor" not in body:
        return f"@{read}" if rows else None
    cursor = body.get("next_cursor")
    if body.get("has_more") is True and not cursor:
        raise Unreadable(f"{reply.asked} promised more rows and gave no cursor.", "Report it to us.")
    return str(cursor) if cursor and body.get("has_more", True) else None


def _moment(row: object) -> datetime | None:
    made = row.get("created_at") if isinstance(row, dict) else None
    try:
        return EPOCH + timedelta(milliseconds=int(str(made)))
    except (ValueError, OverflowError):
        return None


def _used(reply: Reply) -> float | None:
    """Credits spent in the window, as the venue counts them; its headers speak of tenths."""
    left = re.search(r";\s*r=(\d{1,9})", reply.headers.get("ratelimit", ""))
    quota = re.search(r";\s*q=(\d{1,9})", reply.headers.get("ratelimit-policy", ""))
    return (int(quota[1]) - int(left[1])) / 10 if left and quota else None


def _judge(reply: Reply, quote: Quote) -> VenueError | None:
    """`success: false` is a refusal whatever the status; so is a text under `error`."""
    body = reply.json
    said = quote(body.get("error")) if isinstance(body, dict) else ""
    if not 200 <= reply.status < 300:
        return by_status(reply, said)
    if not isinstance(body, dict) or not isinstance(body.get("success"), bool):
        return reply.unreadable()
    if body.get("success") is True and not body.get("error"):
        return None
    return _refused(reply, said, body.get("code"))


def _refused(reply: Reply, said: str, code: object) -> VenueError:
    because = f" ({said})" if said else ""
    if code == 429:
        return RateLimited(f"{reply.asked} was refused: too many requests{because}.", LATER, retry_after(reply))
    if isinstance(code, int) and 500 <= code < 600:
        return Unreachable(f"{reply.asked} failed at the venue{because}.", LATER)
    return Refusal(f"{reply.asked} did not succeed{because}.", "Check the account's address.", reply.status)
