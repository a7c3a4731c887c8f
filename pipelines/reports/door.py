"""What stands before the API: bodies are read within a limit, and nobody comes in unsigned. Files open by their link alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.errors import ClosebookError
from pipelines.reports.signing import Asked, Gate, Refusal

LOG = logging.getLogger("uvicorn.error")
LARGEST = 64 * 1024
PAGE = "/docs/page"  # what /docs is drawn with: ours, so that it needs no other host
OPEN = ("/docs", "/openapi.json")
BY_LINK = ("/files/", f"{PAGE}/")


class Door:
    """Puts `key` into the request's state, or answers itself."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN or scope["path"].startswith(BY_LINK):
            await self._app(scope, receive, send)
            return
        try:
            body = await _body(receive)
            scope.setdefault("state", {})["key"] = await run_in_threadpool(self._gate.admit, _asked(scope, body))
        except ClientDisconnect:
            return
        except (Refusal, ClosebookError) as no:
            await _said(no)(scope, receive, send)
            return
        await self._app(scope, _read_before(body, receive), send)


def _said(no: Refusal | ClosebookError) -> JSONResponse:
    """A key file or a disk that fails us is ours to mend; the caller hears no path of this machine."""
    if isinstance(no, Refusal):
        return JSONResponse({"message": no.message}, no.status)
    LOG.error("keys cannot be checked: %s", no)
    return JSONResponse({"message": "The API cannot check keys now; its log says why."}, 503)


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > LARGEST:
            raise Refusal(413, f"The body is larger than {LARGEST} bytes.")
        more = message.get("more_body", False)
    return body


def _asked(scope: Scope, body: bytes) -> Asked:
    query = scope["query_string"]
    target = scope.get("raw_path", scope["path"].encode()) + (b"?" + query if query else b"")
    headers: Mapping[str, str] = Headers(scope=scope)
    return Asked(scope["method"], target.decode("latin-1"), headers, body)


def _read_before(body: bytes, receive: Receive) -> Receive:
    """The body once more, for the application."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
