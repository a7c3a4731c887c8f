"""Questions in, answers out: what all three venues share of HTTP. Counts what was asked. No venue's form, no data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Seen = Counter[tuple[str, str, int]]
"""(method, path template, status) → how often."""


class Asked(NamedTuple):
    """One request as it came over the wire."""

    method: str
    target: str  # path and query, byte for byte
    headers: Mapping[str, str]
    query: Mapping[str, str]
    path: Mapping[str, str]
    body: bytes
    address: str


Handler = Callable[[Asked], Response]


class Answer(Exception):
    """An answer given before the end: mostly a refusal."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return printed(json.dumps(body, separators=(",", ":"), ensure_ascii=False), status, headers)


def printed(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(text, status, dict(headers or {}), "application/json")


def route(seen: Seen, template: str, handler: Handler, method: str = "GET") -> Route:
    return Route(template, counted(seen, template, handler), methods=[method])


def counted(seen: Seen, template: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """`handler` as an endpoint; `template` names it in what was seen."""

    async def endpoint(request: Request, *_: object) -> Response:
        try:
            response = handler(_asked(request, await request.body()))
        except Answer as early:
            response = early.response
        seen[request.method, template, response.status_code] += 1
        return response

    return endpoint


def _asked(request: Request, body: bytes) -> Asked:
    path = request.scope["raw_path"].decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    return Asked(
        method=request.method,
        target=f"{path}?{query}" if query else path,
        headers=request.headers,
        query=dict(parse_qsl(query, keep_blank_values=True)),
        path=request.path_params,
        body=body,
        address=request.client.host if request.client else "",
    )
