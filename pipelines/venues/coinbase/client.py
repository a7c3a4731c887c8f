"""Coinbase Exchange over HTTP: accounts, ledgers, products, candles, time → pages. What they say is `wire`'s to read.

Private questions are signed over the exact bytes of the path sent. A ledger asked without dates is cut to one day, so both dates
are always sent. How a report comes about is `reports`' work.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote as quoted

from pipelines.config import CoinbasePortfolio, Prices
from pipelines.errors import ConfigError, RateLimited, VenueError
from pipelines.pages import Page
from pipelines.venues.coinbase.reports import Reports, Waiting
from pipelines.venues.http import Caller, Clock, Door, House, Leaving, Patience, utc_now
from pipelines.venues.limits import TokenBucket, shared
from pipelines.venues.replies import LATER, Expired, Question, Quote, Refusal, Reply, by_status, retry_after
from pipelines.venues.walk import Turn, back, instant, rfc3339

VENUE = "coinbase"
EARLIEST = datetime(2012, 1, 1, tzinfo=UTC)  # before the venue's first trade
PAGE_SIZE = 1000
HOUR = timedelta(hours=1)
WINDOW = 300  # candles a question
NEARLY = 0.9  # a market that traded in so many of the hours asked for is expected to have traded in all of them


def signature(secret: bytes, timestamp: str, method: str, raw_path: bytes, body: bytes) -> str:
    """CB-ACCESS-SIGN over the text of the timestamp and the very bytes that are sent, query included."""
    prehash = timestamp.encode() + method.encode() + raw_path + body
    return base64.b64encode(hmac.digest(secret, prehash, hashlib.sha256)).decode()


class _Signer:
    """Signs with a timestamp of the moment of sending; learns the venue's clock when ours is refused."""

    def __init__(self, portfolio: CoinbasePortfolio) -> None:
        self.secrets = tuple(portfolio.reveal(s) for s in (portfolio.key, portfolio.secret, portfolio.passphrase))
        self._key, secret, self._passphrase = self.secrets
        self._secret = _decoded(secret, portfolio.name)
        self._ahead = 0.0
        self.door: Door | None = None

    async def ready(self, again: bool) -> None:
        """By the clock that checks signatures: the one behind the Date of the reply that has just refused ours."""
        if again and self.door is not None:
            venue_time = self.door.dated or _told(await self.door.ask(Question("time", "/time")))
            self._ahead = venue_time.timestamp() - time.time()

    def headers(self, leaving: Leaving, /) -> Mapping[str, str]:
        timestamp = f"{time.time() + self._ahead:.3f}"
        return {
            "CB-ACCESS-KEY": self._key,
            "CB-ACCESS-SIGN": signature(self._secret, timestamp, *leaving),
            "CB-ACCESS-TIMESTAMP": timestamp,
            "CB-ACCESS-PASSPHRASE": self._passphrase,
        }


def _decoded(secret: str, portfolio: str) -> bytes:
    try:
        return base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"The secret of portfolio {portfolio} is not base64.", "Copy it again, whole.") from None


def _told(reply: Reply) -> datetime:
    """The instant that /time tells."""
    said = reply.json
    moment = instant(said.get("iso")) if isinstance(said, dict) else None
    if moment is None:
        raise reply.unreadable()
    return moment


class CoinbaseClient(Caller):
    """One profile's accounts and ledgers."""

    subjects_by_account = True

    def __init__(self, portfolio: CoinbasePortfolio, patience: Patience | None = None, clock: Clock = utc_now) -> None:
        self._auth = _Signer(portfolio)
        counted = (VENUE, portfolio.base_url, hashlib.sha256(self._auth.secrets[0].encode()).digest(), portfolio.rate, portfolio.burst)
        limiter = shared(counted, lambda: TokenBucket(portfolio.rate, portfolio.burst))
        house = House(VENUE, portfolio.name, portfolio.base_url, portfolio.timeout, limiter, _judge, portfolio.burst)
        super().__init__(Door(house, self._auth.secrets, patience, clock))
        self._auth.door = self._door
        self._limit, self._patience = portfolio.page_size or PAGE_SIZE, patience

    async def balances(self) -> list[Page]:
        """Every account with its total and what of it is on hold. What the single holds are for moves no balance: it is not asked."""
        page, reply = await self._door.page(Question("accounts", "/accounts"), self._auth)
        _list(reply)
        return [page]

    def history(self, account: str | None, since: datetime | None) -> AsyncIterator[Page]:
        """One account's ledger; `since` is floored to the second and inclusive."""
        path = f"/accounts/{quoted(account or '', safe='')}/ledger"
        bounds = {
            "start_date": rfc3339(since or EARLIEST),
            "end_date": rfc3339(self._door.clock() + timedelta(days=1)),  # inclusive, and never short of what exists
            "limit": str(self._limit),
        }

        async def ask(cursor: str | None) -> Turn:
            query = bounds | ({"after": cursor} if cursor else {})
            page, reply = await self._door.page(Question("ledger", path, query), self._auth)
            rows = _list(reply)
            times = tuple(instant(row.get("created_at")) if isinstance(row, dict) else None for row in rows)
            return Turn(page, len(rows), times, None if _last(len(rows), self._limit) else reply.headers.get("cb-after") or None)

        return back(ask, since)

    async def currencies(self) -> list[Page]:
        return []

    async def population(self) -> list[Page]:
        """Every active profile of the key's owner, this one included; who the owner is has no place on a page."""
        page, reply = await self._door.page(Question("profiles", "/profiles", {"active": "true"}), self._auth)
        told = [{k: v for k, v in row.items() if k != "user_id"} if isinstance(row, dict) else row for row in _list(reply)]
        return [replace(page, body=json.dumps(told).encode())]

    async def report(self, at: datetime, profile_id: str = "", waiting: Waiting | None = None) -> list[Page]:
        """The venue's own balance report of an instant: what it tells of it, and the file."""
        return await Reports(self._door, self._auth, profile_id, waiting, self._patience).balance(at)

    @property
    def identity(self) -> str:
        """Every account names its profile."""
        return ""

    @property
    def rights(self) -> str:
        """The venue tells nobody what a key may do."""
        return ""


def _last(rows: int, limit: int) -> bool:
    """A page shorter than asked is the last one, whatever its cursor says: beyond the end some clients met errors or a loop.

    Unless it has a round number of rows: then the venue may have cut our limit to one of its own (100 is a published default).
    """
    return rows == 0 or (rows < limit and rows % 100 != 0)


class PriceClient(Caller):
    """The public side, where prices come from."""

    def __init__(self, prices: Prices, patience: Patience | None = None, clock: Clock = utc_now) -> None:
        counted = (VENUE, prices.base_url, "public", prices.rate, prices.burst)
        limiter = shared(counted, lambda: TokenBucket(prices.rate, prices.burst))
        super().__init__(Door(House(VENUE, "", prices.base_url, prices.timeout, limiter, _judge, prices.burst), (), patience, clock))

    async def time(self) -> datetime:
        """The venue's clock."""
        return _told(await self._door.ask(Question("time", "/time")))

    async def products(self) -> Page:
        page, reply = await self._door.page(Question("products", "/products"))
        _list(reply)
        return page

    async def candles(self, product_id: str, since: datetime, until: datetime) -> AsyncIterator[Page]:
        """Pages of the hours with since <= start < until, in windows, oldest first. Both bounds of a question are inclusive."""
        start = _whole_hour_from(since)
        while start < until:
            end = min(start + (WINDOW - 1) * HOUR, _whole_hour_from(until) - HOUR)
            page, rows = await self._window(product_id, start, end)
            yield page
            if _doubtful(rows, (end - start) // HOUR + 1):
                page, _ = await self._window(product_id, start, end)
                yield page
            start = end + HOUR

    async def _window(self, product_id: str, start: datetime, end: datetime) -> tuple[Page, int]:
        query = {"granularity": "3600", "start": rfc3339(start), "end": rfc3339(end)}
        page, reply = await self._door.page(Question("candles", f"/products/{quoted(product_id, safe='')}/candles", query))
        return page, len(_list(reply))


def _doubtful(rows: int, hours: int) -> bool:
    """No trades, or one of the venue's empty answers; a hole in a liquid market, or one of its gaps. What the second answer adds counts."""
    return rows == 0 or NEARLY * hours <= rows < hours


def _whole_hour_from(moment: datetime) -> datetime:
    floor = moment.replace(minute=0, second=0, microsecond=0)
    return floor if floor == moment else floor + HOUR


def _list(reply: Reply) -> list[object]:
    rows = reply.json
    if not isinstance(rows, list):
        raise reply.unreadable()
    return rows


def _judge(reply: Reply, quote: Quote) -> VenueError | None:
    """The status of one and the same refusal has changed over the years: the venue's message decides first."""
    if 200 <= reply.status < 300:
        return None
    body = reply.json
    said = quote(body.get("message")) if isinstance(body, dict) else ""
    if "rate limit exceeded" in said.lower():
        return RateLimited(f"{reply.asked} was refused: too many requests.", LATER, retry_after(reply))
    if said.lower() == "request timestamp expired":
        return Expired(f"{reply.asked} was refused: its timestamp is too old.", "Set this machine's clock.", reply.status)
    if said.lower() in _CREDENTIALS:
        return Refusal(f"{reply.asked} was refused: {said}.", "Check key, secret and passphrase of the portfolio.", reply.status)
    return by_status(reply, said)


_CREDENTIALS = {"invalid signature", "invalid api key", "invalid passphrase", "invalid timestamp"}
