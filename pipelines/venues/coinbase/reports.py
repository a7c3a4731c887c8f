"""Balance reports of Coinbase Exchange: one found or ordered, waited for, fetched → pages. What it says is `report_wire`'s to read.

An order has no name of its own to recognise it by: given twice it makes two reports. So the list is asked first, and again whenever
an order may or may not have been heard. The file lies elsewhere, under an address that is a secret; no key of ours goes there.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from pipelines.config import is_loopback
from pipelines.errors import Unreachable
from pipelines.pages import Page
from pipelines.venues.http import Auth, Door, House, Patience
from pipelines.venues.replies import LATER, Question, Refusal, Reply
from pipelines.venues.walk import instant, rfc3339

ORDERS = 3  # reports tried before giving up, the found ones included
GONE = (403, 404, 410)
KEPT = ("id", "type", "status", "created_at", "completed_at", "expires_at", "file_count")
KEPT_PARAMS = ("datetime", "format", "profile_id")


@dataclass(frozen=True)
class Waiting:
    """How a report that is being made is waited for, in seconds: longer and longer, and not for ever."""

    first: float = 1.0
    longest: float = 15.0
    total: float = 600.0


class _Gone(Exception):
    """The report, or its file, is no longer there."""


class Reports:
    """Reports of one profile, for whom a door and a key are given. `profile_id`: its own id, where it is known."""

    def __init__(
        self, door: Door, auth: Auth, profile_id: str = "", waiting: Waiting | None = None, patience: Patience | None = None
    ) -> None:
        self._door, self._auth, self._profile_id = door, auth, profile_id
        self._waiting, self._patience = waiting or Waiting(), patience
        self._gone: set[str] = set()

    async def balance(self, at: datetime) -> list[Page]:
        """What the venue tells of the report, without the person it tells of, and the file itself."""
        for _ in range(ORDERS):
            report_id = await self._found(at) or await self._ordered(at)
            try:
                return await self._fetched(report_id)
            except _Gone:
                self._gone.add(report_id)
        raise Unreachable(f"Each of {ORDERS} balance reports was gone before it was fetched.", LATER)

    async def _found(self, at: datetime) -> str:
        """The newest report of this instant that has not failed or expired; empty where there is none."""
        query = {"type": "balance", "limit": "100", "ignore_expired": "true"} | self._own()
        reply = await self._door.ask(Question("reports", "/reports", query), self._auth)
        if not isinstance(reply.json, list):
            raise reply.unreadable()
        mine = [row for row in reply.json if isinstance(row, dict) and self._fits(row, at)]
        return max(((str(row.get("created_at")), str(row["id"])) for row in mine), default=("", ""))[1]

    def _fits(self, row: dict[str, Any], at: datetime) -> bool:
        told = row.get("params")
        params = told if isinstance(told, dict) else {}
        expires = instant(row.get("expires_at"))
        return (
            row.get("id") not in (None, *self._gone)
            and row.get("status") in ("pending", "creating", "ready")
            and instant(params.get("datetime")) == at
            and params.get("format") == "csv"
            and params.get("profile_id") in (None, "", self._profile_id or params.get("profile_id"))
            and (expires is None or self._door.dated is None or expires > self._door.dated)
        )

    def _own(self) -> dict[str, str]:
        return {"profile_id": self._profile_id} if self._profile_id else {}

    async def _ordered(self, at: datetime) -> str:
        """Order one. Where the answer is lost, the list says whether the order was heard."""
        body = {"type": "balance", "format": "csv", "balance": {"datetime": rfc3339(at)}} | self._own()
        order = Question("report order", "/reports", method="POST", content=msgspec.json.encode(body), once=True)
        for attempt in range(ORDERS):
            try:
                reply = await self._door.ask(order, self._auth)
            except Unreachable:
                if report_id := await self._found(at):
                    return report_id
                if attempt == ORDERS - 1:
                    raise
            else:
                return _id(reply)
        raise AssertionError("the last attempt returns or raises")

    async def _fetched(self, report_id: str) -> list[Page]:
        page, told = await self._ready(report_id)
        if str(told.get("file_count") or "1") != "1":
            raise Refusal(f"The report {report_id} lies in {told['file_count']} files, and nobody says where.", "Report it to us.")
        return [page, await self._file(str(told.get("file_url") or ""))]

    async def _ready(self, report_id: str) -> tuple[Page, dict[str, Any]]:
        """Asked until it is made. It counts as traffic like any other: the pauses grow."""
        pause, deadline = self._waiting.first, time.monotonic() + self._waiting.total
        while True:
            reply = await self._state(report_id)
            status = reply.json.get("status")
            if status == "ready":
                return self._page(reply), reply.json
            if status == "failed":
                raise Refusal(f"{reply.asked} failed at the venue.", "Order it again later.")
            if status not in ("pending", "creating"):
                raise reply.unreadable()
            if time.monotonic() + pause > deadline:
                raise Unreachable(f"{reply.asked} was still {status} after {self._waiting.total:g} s.", "Run again: it is found then.")
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(2 * pause, self._waiting.longest)

    async def _state(self, report_id: str) -> Reply:
        try:
            reply = await self._door.ask(Question("report", f"/reports/{report_id}"), self._auth)
        except Refusal as refusal:
            if refusal.status in GONE:
                raise _Gone from None
            raise
        if not isinstance(reply.json, dict):
            raise reply.unreadable()
        return reply

    def _page(self, reply: Reply) -> Page:
        """The venue's words but for the person, the address of the file, and what nobody asked for."""
        told = reply.json
        params = told.get("params") if isinstance(told.get("params"), dict) else {}
        kept = {key: told[key] for key in KEPT if key in told} | {"params": {key: params[key] for key in KEPT_PARAMS if key in params}}
        house = self._door.house
        return Page(house.venue, house.portfolio, "report", reply.request, reply.fetched_at, msgspec.json.encode(kept))

    async def _file(self, address: str) -> Page:
        """A plain question to wherever it lies. The address opens the file to anybody, so it is written down nowhere."""
        url = urlsplit(address if "://" in address else f"https://{address}")
        if not url.netloc or (url.scheme != "https" and not is_loopback(address)):
            raise Refusal("The report's file does not lie under an https address.", "Report it to us.")
        own = self._door.house
        house = House(own.venue, own.portfolio, f"{url.scheme}://{url.netloc}", own.timeout)
        async with Door(house, (url.query,), self._patience, self._door.clock) as door:
            try:
                reply = await door.ask(Question("report file", f"{url.path}?{url.query}" if url.query else url.path))
            except Refusal as refusal:
                if refusal.status in GONE:
                    raise _Gone from None
                raise
        return Page(own.venue, own.portfolio, "report file", f"GET {url.path}", reply.fetched_at, reply.body)


def _id(reply: Reply) -> str:
    told = reply.json.get("id") if isinstance(reply.json, dict) else None
    if not isinstance(told, str) or not told.replace("-", "").isalnum():
        raise reply.unreadable()
    return told
