"""Which instant it is for whom: the wire clock checks signatures, the data clock dates what is public. Every reply carries its Date."""

from __future__ import annotations

import time
from contextvars import ContextVar
from email.utils import formatdate

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.sandbox.replay import World
from pipelines.sandbox.values import SECOND

SIGNED = ("/accounts", "/profiles", "/reports")
skew: ContextVar[float] = ContextVar("skew", default=0.0)


def wire_clock() -> float:
    """The venue's clock as the request at hand meets it."""
    return time.time() + skew.get()


def date(path: str, world: World) -> tuple[bytes, bytes]:
    """The header of a reply: where a signature was checked, by the clock that checked it."""
    seconds = wire_clock() if path.startswith(SIGNED) else world.now / SECOND
    return b"date", formatdate(seconds, usegmt=True).encode()


class Dated:
    """An app whose replies carry their Date."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app, self._world = app, world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], date(str(scope["path"]), self._world)]}
            await send(message)

        await self._app(scope, receive, dated)
