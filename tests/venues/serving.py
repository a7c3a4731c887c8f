"""A venue of our own on a real socket: it answers what the test says, byte for byte, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pipelines.config import CoinbasePortfolio, CryptofusePortfolio, PacificaPortfolio, Prices
from pipelines.pages import Page
from pipelines.venues import Patience

T = TypeVar("T")
HURRIED = Patience(attempts=4, total=5.0, first=0.01, longest=0.02, jitter=0.01)
NOW = datetime(2025, 6, 1, tzinfo=UTC)
SECRET = "c2VjcmV0LW9mLXRoZS1kZXNr"


@dataclass(frozen=True)
class Asked:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))


@dataclass(frozen=True)
class Answer:
    body: object = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0  # bytes promised and not sent
    delay: float = 0.0

    def wire(self) -> bytes:
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        lines = [f"HTTP/1.1 {self.status} Said", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body[: len(body) - self.cut]


Script = Callable[[Asked], Answer]


class Venue:
    """`async with Venue(script) as venue`: `venue.base_url`, `venue.asked`."""

    def __init__(self, script: Script | Iterable[Answer]) -> None:
        answers = iter(()) if callable(script) else iter(script)
        self._script = script if callable(script) else lambda _: next(answers)
        self.asked: list[Asked] = []
        self._serving: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Venue:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write((await self._answer(reader)).wire())
            await writer.drain()
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        asked = Asked(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))
        self.asked.append(asked)
        answer = self._script(asked)
        await asyncio.sleep(answer.delay)
        return answer


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def desk(base_url: str, **more: object) -> CoinbasePortfolio:
    secrets = {"key": "desk-key", "secret": SECRET, "passphrase": "desk-phrase"}
    return CoinbasePortfolio.model_validate({"name": "desk", "venue": "coinbase", "base_url": base_url} | secrets | more)


def perps(base_url: str, **more: object) -> PacificaPortfolio:
    return PacificaPortfolio.model_validate({"name": "perps", "venue": "pacifica", "base_url": base_url, "account": "42trU9A5"} | more)


def shop(base_url: str, **more: object) -> CryptofusePortfolio:
    secrets = {"client_id": "shop-id", "client_secret": "shop-secret"}
    return CryptofusePortfolio.model_validate({"name": "shop", "venue": "cryptofuse", "base_url": base_url} | secrets | more)


def prices(base_url: str, **more: object) -> Prices:
    return Prices.model_validate({"base_url": base_url} | more)


def page(venue: str, endpoint: str, body: object, request: str = "GET /") -> Page:
    return Page(venue, "desk", endpoint, request, NOW, body if isinstance(body, bytes) else json.dumps(body).encode())


def ledger_page(rows: object, account: str = "a1") -> Page:
    return page("coinbase", "ledger", rows, f"GET /accounts/{account}/ledger?limit=1000")
