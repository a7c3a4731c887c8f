"""CryptoFuse over HTTP: live balances, balance history, currencies → pages. What they say is `wire`'s to read.

The history pages by offset over a list that grows at its head. Each page therefore begins with the last row of the one before, and
with as many more as `total` grew by since: where these are not the same rows, the list moved elsewhere and the walk begins again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from pipelines.config import CryptofusePortfolio
from pipelines.errors import Unreachable, Unreadable, VenueError
from pipelines.pages import OF_A_KEY, Page
from pipelines.venues.http import Caller, Clock, Door, House, Leaving, Patience, utc_now
from pipelines.venues.limits import Windows, shared
from pipelines.venues.replies import LATER, Expired, MissingRight, Question, Quote, Refusal, Reply, by_status
from pipelines.venues.walk import ENDLESS, MAX_PAGES, Descent, instant

VENUE = "cryptofuse"
TOKEN = "/o/token/"
PAGE_SIZE = 100  # the largest that sibling endpoints publish
RESTARTS = 5
LISTS = ("currencies", "results", "data")  # what the list of currencies may lie under: its envelope is not published
EARLY = 60.0  # seconds before its end that a token is renewed
LIFETIME = 600.0  # of a token that does not say


class _Bearer:
    """A token from client credentials: asked for when needed, renewed early. There is no refresh token."""

    def __init__(self, portfolio: CryptofusePortfolio) -> None:
        self._id, self._secret = portfolio.reveal(portfolio.client_id), portfolio.reveal(portfolio.client_secret)
        self._scope = portfolio.scope
        self._token, self._renew_at, self.granted = "", 0.0, ""
        self.door: Door | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self._id, self._secret)

    async def ready(self, again: bool) -> None:
        if again or not self._token or time.monotonic() >= self._renew_at:
            await self._obtain()

    async def _obtain(self) -> None:
        """A key that may not write is refused the full scope: reading is all we need."""
        try:
            await self._grant(self._scope)
        except Refusal as refusal:
            if refusal.code != "invalid_scope" or self._scope == "read":
                raise
            self._scope = "read"
            await self._grant(self._scope)

    async def _grant(self, scope: str) -> None:
        assert self.door is not None
        form = {"grant_type": "client_credentials", "client_id": self._id, "client_secret": self._secret, "scope": scope}
        reply = await self.door.ask(Question("token", TOKEN, method="POST", form=form))
        body = reply.json
        token = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(token, str) or not token:
            raise reply.unreadable()
        self.door.conceal(token)
        lifetime = _seconds(body.get("expires_in"))
        self.granted = str(body.get("scope") or "")
        self._token, self._renew_at = token, time.monotonic() + max(lifetime - EARLY, lifetime / 2)

    def headers(self, _: Leaving, /) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token}"}


def _seconds(said: object) -> float:
    try:
        return float(str(said))
    except ValueError:
        return LIFETIME


class CryptofuseClient(Caller):
    """One merchant's main account."""

    subjects_by_account = False

    def __init__(self, portfolio: CryptofusePortfolio, patience: Patience | None = None, clock: Clock = utc_now) -> None:
        self._auth = _Bearer(portfolio)
        limits = ((portfolio.rate_per_minute, 60.0), (portfolio.rate_per_hour, 3600.0), (portfolio.rate_per_day, 86400.0))
        counted = (VENUE, portfolio.base_url, hashlib.sha256(self._auth.secrets[0].encode()).digest(), limits)
        limiter = shared(counted, lambda: Windows(limits))
        house = House(VENUE, portfolio.name, portfolio.base_url, portfolio.timeout, limiter, _judge)
        super().__init__(Door(house, self._auth.secrets, patience, clock))
        self._auth.door = self._door
        self._limit = min(portfolio.page_size or PAGE_SIZE, PAGE_SIZE)
        self._overlap = int(self._limit > 1)

    async def balances(self) -> list[Page]:
        """Needs a key that reads and writes; one that was granted less may still read the history."""
        try:
            page, reply = await self._door.page(Question("balances", "/user/balances/"), self._auth)
        except Refusal as refusal:
            if refusal.status == 403 and "write" not in self._auth.granted.split():
                raise MissingRight(refusal.what, "Give it the scope read write to have its balances compared.", 403) from None
            raise
        if not isinstance(reply.json, dict):
            raise reply.unreadable()
        return [page]

    async def history(self, account: str | None, since: datetime | None) -> AsyncIterator[Page]:  # noqa: ARG002  # one walk covers the portfolio
        """The pages of one walk during which the list grew at its head only."""
        for _ in range(RESTARTS):
            if pages := await self._walk(since):
                for page in pages:
                    yield page
                return
        where = self._door.house.asked(Question("history", "/user/balances/history/"))
        raise Unreachable(f"{where} changed, or did not agree with itself, during each of {RESTARTS} walks.", LATER)

    async def _walk(self, since: datetime | None) -> list[Page]:
        """From offset 0; no pages at all if the list moved underneath other than by growing at its head."""
        pages: list[Page] = []
        before: list[Any] = []
        offset, total, descent = 0, -1, Descent(since)
        while len(pages) < MAX_PAGES:
            page, _, body = await self._page(offset)
            rows, grown = body["history"], body["total"] - total if pages else 0
            again = grown + (self._overlap if pages else 0)
            if grown < 0 or not _goes_on(before, rows, again) or offset + len(rows) > body["total"] or len(rows) > self._limit:
                return []
            pages.append(page)
            total, before = body["total"], rows
            ended = descent.passed(instant(row.get("timestamp")) if isinstance(row, dict) else None for row in rows[again:])
            if offset + len(rows) == total or ended:
                return pages
            if len(rows) == again:
                return []
            offset += len(rows) - self._overlap
        raise Unreadable(f"The history did not end within {MAX_PAGES} pages.", ENDLESS)

    async def _page(self, offset: int) -> tuple[Page, Reply, dict[str, Any]]:
        query = {"limit": str(self._limit), "offset": str(offset)}
        page, reply = await self._door.page(Question("history", "/user/balances/history/", query), self._auth)
        body = reply.json
        whole = isinstance(body, dict) and all(isinstance(body.get(key), int) for key in ("total", "offset"))
        if not whole or not isinstance(body.get("history"), list):
            raise reply.unreadable()
        return page, reply, body

    async def population(self) -> list[Page]:
        """The main account is all there is; sub-accounts are told as one sum."""
        return []

    @property
    def identity(self) -> str:
        """No reply says whose it is: a hash of the client id tells one client under two names, and nothing else."""
        return OF_A_KEY + hashlib.sha256(self._auth.secrets[0].encode()).hexdigest()[:32]

    @property
    def rights(self) -> str:
        """What the venue granted the key, in its own words; empty before it was asked."""
        return self._auth.granted

    async def currencies(self) -> list[Page]:
        """The venue's own map of its codes; nothing where the merchant's interface does not offer it."""
        try:
            page, reply = await self._door.page(Question("currencies", "/currencies/", {"full": "true"}), self._auth)
        except Refusal as refusal:
            if refusal.status in (403, 404):
                return []
            raise
        body = reply.json
        if not isinstance(body, list) and not (isinstance(body, dict) and any(isinstance(body.get(key), list) for key in LISTS)):
            raise reply.unreadable()
        return [page]


def _goes_on(before: list[Any], rows: list[Any], again: int) -> bool:
    """The page begins with the last `again` rows of the one before."""
    return 0 <= again <= len(rows) and (again == 0 or before[-again:] == rows[:again])


def _judge(reply: Reply, quote: Quote) -> VenueError | None:
    """Errors come as {"error": {"code", "message"}}, flat from the token endpoint and older versions."""
    if 200 <= reply.status < 300:
        return None
    body = reply.json
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else error
    said = quote((error.get("message") if isinstance(error, dict) else None) or code)
    if reply.status == 401 and TOKEN not in reply.request:
        return Expired(f"{reply.asked} was refused: the token is not accepted ({said}).", "Check the key's rights.", reply.status)
    return by_status(reply, said, quote(code))
