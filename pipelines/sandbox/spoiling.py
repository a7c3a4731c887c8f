"""A good reply → a bad one, and refusals in each venue's own words. Bytes to bytes; no socket, no clock."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from starlette.responses import Response

from pipelines.sandbox.faults import OnTheWay
from pipelines.sandbox.web import answer

ROWS = ("history", "data")  # what a list of rows may lie under
TYPE, CURRENCY = ("type", "event_type"), ("currency",)
_CANDLE = re.compile(rb"\[(\d[^\[\]]*)\]")


def refusal(fault: OnTheWay, path: str) -> Response:
    """429, 401, 404 or 5xx as the venue of this path words it."""
    status = {"storm": 429, "expired_token": 401, "expired_report": 404}.get(fault.kind, fault.status)
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return answer(_worded(path, status), status, headers)


def _worded(path: str, status: int) -> dict[str, Any]:
    words = {429: "Rate limit exceeded", 401: "Token expired", 404: "NotFound"}.get(status, "Internal server error")
    if path.startswith("/api/v1/"):
        return {"success": False, "data": None, "error": words, "code": status}
    if path.startswith(("/o/", "/user/")) or path == "/currencies/":
        code = {429: "rate_limit_exceeded", 401: "authentication_failed"}.get(status, "server_error")
        return {"error": {"code": code, "message": words, "details": {}}}
    public = path.startswith(("/products", "/time", "/currencies"))
    return {"message": f"{'Public' if public else 'Private'} rate limit exceeded" if status == 429 else words}


def _garbage(body: bytes, fault: OnTheWay) -> bytes:
    return Random(f"{fault.path}:{len(body)}").randbytes(max(64, len(body) // 2))


def _shape(body: bytes, _: OnTheWay) -> bytes:
    return b'{"renewed":' + body + b"}"


def _empty(body: bytes, _: OnTheWay) -> bytes:
    return _with_rows(body, lambda rows: rows.clear())


def _duplicate(body: bytes, _: OnTheWay) -> bytes:
    """Candles are numbers, which keep their digits only as text."""
    if _CANDLE.match(body, 1):
        return _CANDLE.sub(rb"[\1],[\1]", body, count=1)
    return _with_rows(body, lambda rows: rows.insert(1, rows[0]) if rows else None)


def _renamed(keys: tuple[str, ...]) -> Callable[[bytes, OnTheWay], bytes]:
    def spoil(body: bytes, fault: OnTheWay) -> bytes:
        return _with_rows(body, lambda rows: rows[0].update({key: fault.name for key in keys if key in rows[0]}) if rows else None)

    return spoil


def _with_rows(body: bytes, change: Callable[[list[Any]], None]) -> bytes:
    """The body with its list of rows changed; rows of ledgers hold text and whole numbers only, so nothing is lost on the way."""
    told = json.loads(body)
    rows = told if isinstance(told, list) else next((told[key] for key in ROWS if isinstance(told.get(key), list)), [])
    change(rows)
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()


SPOILED: Mapping[str, Callable[[bytes, OnTheWay], bytes]] = {
    "garbage": _garbage,
    "shape": _shape,
    "empty": _empty,
    "duplicate": _duplicate,
    "unknown_event": _renamed(TYPE),
    "unknown_currency": _renamed(CURRENCY),
}
