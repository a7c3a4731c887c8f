"""Between the socket and the venues: what faults.toml says happens to a request or its reply. No venue's data, no rows of its own.

Whether a request is hit depends on how many of its path came before it, and on the seed: the same requests meet the same faults.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.sandbox import clocks
from pipelines.sandbox.faults import Faults, OnTheWay
from pipelines.sandbox.replay import World
from pipelines.sandbox.spoiling import SPOILED, refusal
from pipelines.sandbox.values import SECOND

DROPS = 20  # pieces of a reply that trickles


class Mischief:
    """An app around the app. `met` counts the faults that were met, by kind."""

    def __init__(self, app: ASGIApp, world: World, met: Counter[str]) -> None:
        self._app, self._world, self._met = app, world, met
        self._dice = [_Dice(world.faults, n) for n in range(len(world.faults.on_the_way))]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hits = {fault.kind: fault for fault in self._hits(str(scope["path"]))}
        self._met.update(hits.keys())
        if drift := hits.get("drift"):
            self._world.now += int(drift.seconds * SECOND)
        if latency := hits.get("latency"):
            await asyncio.sleep(latency.seconds)
        clocks.skew.set(hits["skew"].seconds if "skew" in hits else 0.0)
        if "reset" in hits:
            _hang_up(send)
            return
        early = next((refusal(fault, str(scope["path"])) for fault in hits.values() if fault.kind in _REFUSED), None)
        await _Replying(scope, receive, send, hits, self._world).reply(early or self._app)

    def _hits(self, path: str) -> Iterable[OnTheWay]:
        return [dice.fault for dice in self._dice if dice.fault.path in path and dice.roll()]


_REFUSED = ("storm", "failure", "expired_token", "expired_report")


class _Dice:
    """Whether the next request of a fault's path is hit."""

    def __init__(self, faults: Faults, number: int) -> None:
        self.fault = faults.on_the_way[number]
        self._seed, self._seen, self._hit = f"{faults.seed}:{number}", 0, 0

    def roll(self) -> bool:
        fault, number = self.fault, self._seen
        self._seen += 1
        spared = number < fault.after or (fault.times and self._hit >= fault.times)
        if spared or Random(f"{self._seed}:{number}").random() >= fault.chance:
            return False
        self._hit += 1
        return True


def _hang_up(send: Send) -> None:
    """End the connection as a router does that loses its table. uvicorn hands its own cycle as `send`, and that knows the transport."""
    owner: Any = getattr(send, "__self__", None)
    owner.transport.abort()


class _Replying:
    """One reply on its way out: collected whole, spoiled, sent."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, hits: Mapping[str, OnTheWay], world: World) -> None:
        self._scope, self._receive, self._send, self._hits, self._world = scope, receive, send, hits, world
        self._start: Message = {}
        self._body = b""

    async def reply(self, app: ASGIApp | Response) -> None:
        await app(self._scope, self._receive, self._collect)
        body = self._body
        for kind, fault in self._hits.items():
            if kind in SPOILED and self._start["status"] == 200:
                body = SPOILED[kind](body, fault)
        await self._send({**self._start, "headers": self._headers(len(body))})
        await self._pour(body)

    async def _collect(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        else:
            self._body += message.get("body", b"")

    def _headers(self, length: int) -> list[tuple[bytes, bytes]]:
        kept = [(name, value) for name, value in self._start["headers"] if name != b"content-length"]
        return [*kept, (b"content-length", str(length).encode()), clocks.date(str(self._scope["path"]), self._world)]

    async def _pour(self, body: bytes) -> None:
        if "truncated" in self._hits:
            await self._send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            _hang_up(self._send)
        elif drip := self._hits.get("drip"):
            for drop in _pieces(body):
                await self._send({"type": "http.response.body", "body": drop, "more_body": True})
                await asyncio.sleep(drip.seconds / DROPS)
            await self._send({"type": "http.response.body", "body": b""})
        else:
            await self._send({"type": "http.response.body", "body": body})


def _pieces(body: bytes) -> list[bytes]:
    size = len(body) // DROPS + 1
    return [body[n : n + size] for n in range(0, len(body), size)]
