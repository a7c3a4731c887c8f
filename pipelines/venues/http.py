"""The one door to HTTP: question → signed request → reply, or an error that says whether asking again can help.

Limits, retries, deadlines and redaction live here once, for all venues, and nowhere else. A question is asked again only after
a lost connection, a truncated body, 408, 429 or 5xx, a bounded number of times within a bounded time. What a reply means is
`wire`'s work. Keys are put on a request last and named by nothing: no error, log or repr carries them.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple, Protocol, Self

import httpx
import stamina

from pipelines import progress
from pipelines.errors import RateLimited, Refused, Unreachable, Unreadable, VenueError
from pipelines.pages import Page
from pipelines.venues.limits import Limiter, wait
from pipelines.venues.replies import CHECK, LATER, Expired, Judge, Question, Reply, by_status, dated

_log = logging.getLogger(__name__)
stamina.instrumentation.set_on_retry_hooks([lambda d: _log.info("%s Asking again in %.1f s.", d.caused_by, d.wait_for)])  # not on stdout
MAX_BODY = 64 * 1024 * 1024
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Patience:
    """How long one question is worth asking: attempts, and seconds not counting the limiter's queue."""

    attempts: int = 6
    total: float = 180.0
    first: float = 0.25
    longest: float = 20.0
    jitter: float = 1.0


class Leaving(NamedTuple):
    """What is signed: the bytes as they go out, query included."""

    method: str
    raw_path: bytes
    body: bytes


class Auth(Protocol):
    async def ready(self, again: bool) -> None:
        """Obtain what signing needs; `again`: what was used has just been refused as too old."""

    def headers(self, leaving: Leaving, /) -> Mapping[str, str]:
        """Made when the request leaves, for exactly these bytes."""


class Anonymous:
    async def ready(self, again: bool) -> None:
        pass

    def headers(self, _: Leaving, /) -> Mapping[str, str]:
        return {}


ANONYMOUS = Anonymous()


@dataclass(frozen=True)
class House:
    """Whom the door leads to, and for whom."""

    venue: str
    portfolio: str  # empty for public data
    base_url: str
    timeout: float
    limiter: Limiter | None = None
    judge: Judge = lambda reply, _: by_status(reply)
    at_once: int = 100  # questions on the way together; of a bucket no more than its burst, or what a venue's pause holds up overflows it

    def asked(self, question: Question) -> str:
        whose = f" for portfolio {self.portfolio}" if self.portfolio else ""
        return f"{question.method} {question.path.partition('?')[0]}{whose} at {self.venue}"


class Door:
    """Asks one venue; open it with `async with`."""

    def __init__(self, house: House, secrets: Iterable[str] = (), patience: Patience | None = None, clock: Clock = utc_now) -> None:
        self.house, self.clock = house, clock
        self._patience = patience or Patience()
        self._secrets = {s for s in secrets if s}
        self._room = asyncio.Semaphore(house.at_once)
        self.dated: datetime | None = None  # the Date of the newest reply, whatever it said
        self._http = httpx.AsyncClient(
            base_url=house.base_url,
            timeout=httpx.Timeout(house.timeout, connect=min(5.0, house.timeout)),
            verify=_tls(),
            headers={"User-Agent": "closebook", "Accept": "application/json"},
            trust_env=False,  # the environment is read in config only
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    def conceal(self, *secrets: str) -> None:
        """Secrets learnt on the way: the venue's words are printed without them."""
        self._secrets.update(s for s in secrets if s)

    def quote(self, said: object) -> str:
        """The venue's words, fit to print: short, on one line, without secrets."""
        text = said if isinstance(said, str) else ""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return "".join(c if c.isprintable() else " " for c in text[:200])

    async def page(self, question: Question, auth: Auth = ANONYMOUS) -> tuple[Page, Reply]:
        reply = await self.ask(question, auth)
        house = self.house
        progress.page(house.portfolio)
        return Page(house.venue, house.portfolio, question.endpoint, reply.request, reply.fetched_at, reply.body), reply

    async def ask(self, question: Question, auth: Auth = ANONYMOUS) -> Reply:
        """The reply to `question`, asked once more with fresh credentials if they had grown too old."""
        await auth.ready(again=False)
        try:
            return await self._patiently(question, auth)
        except Expired:
            await auth.ready(again=True)
            return await self._patiently(question, auth)

    async def _patiently(self, question: Question, auth: Auth) -> Reply:
        budget = _Budget(self._patience, question.once)
        p = self._patience
        attempts = stamina.retry_context(
            on=budget, attempts=p.attempts, timeout=None, wait_initial=p.first, wait_max=p.longest, wait_jitter=p.jitter
        )
        async for attempt in attempts:
            with attempt:
                return await self._in_turn(question, auth, budget)
        raise AssertionError("stamina returns or raises")

    async def _in_turn(self, question: Question, auth: Auth, budget: _Budget) -> Reply:
        came = time.monotonic()
        async with self._room:
            await wait(self.house.limiter, question.cost)
            budget.queued += time.monotonic() - came
            try:
                return await self._attempt(question, auth)
            finally:
                if self.house.limiter:
                    self.house.limiter.answered()

    async def _attempt(self, question: Question, auth: Auth) -> Reply:
        asked = self.house.asked(question)
        try:
            async with asyncio.timeout(self.house.timeout):
                reply = await self._exchange(question, auth, asked)
        except (TimeoutError, httpx.RequestError, UnicodeEncodeError) as failure:
            trouble: VenueError | None = _trouble(failure, asked, self.house.timeout)
        else:
            self.dated = dated(reply) or self.dated
            trouble = self.house.judge(reply, self.quote)
        if trouble:  # raised out here, because the failure underneath may carry the request's headers
            raise trouble
        return reply

    async def _exchange(self, question: Question, auth: Auth, asked: str) -> Reply:
        request = self._http.build_request(
            question.method, question.path, params=question.query or None, data=question.form, content=question.content or None
        )
        if question.content:
            request.headers["Content-Type"] = "application/json"
        request.headers.update(auth.headers(Leaving(question.method, request.url.raw_path, request.content)))
        response = await self._http.send(request, stream=True)
        try:
            body = await _bounded(response, asked)
        finally:
            await response.aclose()
        sent = f"{question.method} {request.url.raw_path.decode('ascii')}"
        return Reply(asked, sent, response.status_code, self.clock(), dict(response.headers), body)


def _trouble(failure: Exception, asked: str, timeout: float) -> VenueError:
    match failure:
        case TimeoutError() | httpx.TimeoutException():
            return Unreachable(f"{asked} did not answer within {timeout:g} s.", LATER)
        case httpx.LocalProtocolError() | httpx.UnsupportedProtocol() | UnicodeEncodeError():
            return Refused(f"{asked} cannot be sent: a key or address has characters that HTTP does not carry.", CHECK)
        case httpx.DecodingError():
            return Unreadable(f"{asked} replied in a compression that cannot be undone.", CHECK)
        case httpx.ConnectError():
            return Unreachable(f"{asked} got no connection.", LATER)
        case _:
            return Unreachable(f"{asked} got no whole answer: the connection ended too early.", LATER)


class _Budget:
    """stamina's question after a failure: try again, and when? The limiter's queue does not count."""

    def __init__(self, patience: Patience, once: bool) -> None:
        self._once = once
        self._total, self._jitter, self._began = patience.total, patience.jitter, time.monotonic()
        self.queued = 0.0

    def __call__(self, error: Exception) -> bool | float:
        if not isinstance(error, VenueError) or not error.again or (self._once and isinstance(error, Unreachable)):
            return False
        left = self._total - (time.monotonic() - self._began - self.queued)
        pause = error.retry_after if isinstance(error, RateLimited) else None
        if pause is None:
            return left > 0
        return pause + random.uniform(0, self._jitter) if pause < left else False


async def _bounded(response: httpx.Response, asked: str) -> bytes:
    chunks, size = [], 0
    async for chunk in response.aiter_bytes():
        chunks.append(chunk)
        if (size := size + len(chunk)) > MAX_BODY:
            raise Unreadable(f"{asked} sent more than {MAX_BODY // 2**20} MiB.", CHECK)
    return b"".join(chunks)


@cache
def _tls() -> ssl.SSLContext:
    """Made once: it takes longer than a request."""
    return httpx.create_ssl_context(trust_env=False)


class Caller:
    """What every client is: somebody with a door."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def __aenter__(self) -> Self:
        await self._door.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._door.__aexit__()

    @property
    def dated(self) -> datetime | None:
        """How late it is at the venue, by its newest reply, be it a refusal; to the second."""
        return self._door.dated
