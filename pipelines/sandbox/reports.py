"""Coinbase Exchange's balance reports: ordered, made after a while, fetched as CSV from an address of their own, gone after a week.

The header of the CSV is published nowhere: the one here is in the style of the venue's other reports. Who is asking comes in from
outside; reports live by the wire clock, what they say by the dataset.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from pipelines.sandbox.names import uuid
from pipelines.sandbox.replay import Account, Replayed, World
from pipelines.sandbox.values import EXACT, HOUR, SECOND, fixed, loose_instant, plus, printed
from pipelines.sandbox.web import Answer, Asked, Seen, answer, route

HEADER = "portfolio,currency,balance,balance unit,price,price unit,value,value unit,as of"
PAR = ("USD", "EUR", "GBP")
PLACES = 16
LIFE = 7 * 86_400.0
FILES = "/report-files"
PERSON = {"name": "Pat Doe", "email": "pat@example.com", "legal_name": "Patricia Doe", "state": "NY", "two_factor_method": "sms"}


def refuse(status: int, message: str) -> Answer:
    return Answer(answer({"message": message}, status))


@dataclass
class _Report:
    """One order, and when it was given (wire clock, seconds)."""

    id: str
    profile: Replayed
    at: int
    form: str
    email: str
    ordered: float


class Reports:
    """Orders of all profiles. `whose` tells the profile of an authentic request, `profile_id` its id."""

    def __init__(
        self, world: World, whose: Callable[[Asked], Replayed], profile_id: Callable[[str], str], clock: Callable[[], float] = time.time
    ) -> None:
        self._world, self._whose, self._profile_id, self._clock = world, whose, profile_id, clock
        self._ordered: dict[str, _Report] = {}

    def routes(self, seen: Seen) -> list[Route]:
        return [
            route(seen, "/reports", self.order, "POST"),
            route(seen, "/reports", self.listed),
            route(seen, "/reports/{report_id}", self.one),
            route(seen, FILES + "/{name}", self.file),
        ]

    def order(self, asked: Asked) -> Response:
        """Nothing makes an order one: the same once more is a second report."""
        profile, body = self._whose(asked), _object(asked.body)
        wanted = body.get("profile_id") or self._profile_id(profile.name)
        if wanted != self._profile_id(profile.name):
            raise refuse(403, "Forbidden")
        if body.get("type") != "balance":
            raise refuse(400, "only balance reports are made here")
        report_id = uuid("report", profile.name, str(len(self._ordered)))
        form, email = str(body.get("format", "pdf")), str(body.get("email") or PERSON["email"])
        self._ordered[report_id] = _Report(report_id, profile, self._instant(body), form, email, self._clock())
        return answer({"id": report_id, "type": "balance", "status": "pending"})

    def _instant(self, body: dict[str, Any]) -> int:
        told = body.get("balance")
        if not isinstance(told, dict):
            raise refuse(400, "balance is required")
        try:
            at = loose_instant(told["datetime"]) if told.get("datetime") else self._world.now
        except (ValueError, OverflowError, TypeError):
            raise refuse(400, "invalid datetime") from None
        if at > self._world.now:
            raise refuse(400, "datetime must not be in the future")
        return at // SECOND * SECOND

    def listed(self, asked: Asked) -> Response:
        """Newest first; the profile's own, those that have expired too unless they are ignored."""
        mine = self._whose(asked)
        wanted = asked.query.get("type", "balance") == "balance"
        found = [r for r in reversed(self._ordered.values()) if r.profile is mine and wanted]
        ignore = asked.query.get("ignore_expired") == "true"
        return answer([self._told(r) for r in found if not (ignore and self._expired(r))][: int(asked.query.get("limit", "100"))])

    def one(self, asked: Asked) -> Response:
        mine = self._whose(asked)
        report = self._ordered.get(asked.path["report_id"])
        if report is None or report.profile is not mine or self._expired(report):
            raise refuse(404, "NotFound")
        return answer(self._told(report))

    def file(self, asked: Asked) -> Response:
        """For whoever knows the address; a key sent here would be a key given away."""
        report = self._ordered.get(asked.path["name"].removesuffix(".csv"))
        if any(name.upper().startswith("CB-ACCESS") for name in asked.headers):
            raise refuse(400, "credentials do not belong here")
        if report is None or self._expired(report) or self._status(report) != "ready" or asked.query.get("signature") != _seal(report):
            raise Answer(Response("<Error><Code>AccessDenied</Code></Error>", 403, media_type="application/xml"))
        return Response("\n".join([HEADER, *self._rows(report)]) + "\n", media_type="text/csv")

    def _expired(self, report: _Report) -> bool:
        return self._clock() > report.ordered + LIFE

    def _status(self, report: _Report) -> str:
        age, (creating, ready) = self._clock() - report.ordered, self._world.settings.report_seconds
        return "ready" if age >= ready else "creating" if age >= creating else "pending"

    def _told(self, report: _Report) -> dict[str, Any]:
        status, seconds = self._status(report), self._world.settings.report_seconds[1]
        ready = status == "ready"
        address = f"{self._world.base_url}{FILES}/{report.id}.csv?signature={_seal(report)}"
        return {
            "id": report.id,
            "type": "balance",
            "status": status,
            "created_at": _instant(report.ordered),
            "completed_at": _instant(report.ordered + seconds) if ready else None,
            "expires_at": _instant(report.ordered + LIFE),
            "user_id": uuid("user", report.profile.entity).replace("-", "")[:24],
            "file_url": address if ready else None,
            "file_count": "1" if ready else None,
            "params": {
                "format": report.form,
                "profile_id": self._profile_id(report.profile.name),
                "email": report.email,
                "datetime": printed(report.at, "seconds"),
                "group_by_profile": False,
                "user": PERSON,
            },
        }

    # what a report says

    def _rows(self, report: _Report) -> Iterator[str]:
        for code, account in report.profile.accounts.items():
            balance = _before(account, report.at, self._world.now)
            price = self._price(code, report.at)
            unit = code if code in PAR else "USD"
            valued = (fixed(price, PLACES), unit, fixed(_rounded(EXACT.multiply(balance, price)), PLACES), unit) if price else ("",) * 4
            yield ",".join([report.profile.name, code, fixed(balance, PLACES), code, *valued, printed(report.at, "milliseconds")])

    def _price(self, code: str, at: int) -> Decimal | None:
        """Par, or the volume-weighted close of the hours in the day before; with the hour that begins then, where the settings say so."""
        if code in PAR:
            return Decimal(1)
        if (hours := self._world.dataset.hours.get(f"{code}-USD")) is None:
            return None
        end, seconds = at / SECOND, 86_400
        last = end if self._world.settings.report_hours_inclusive else end - HOUR
        found = hours.shown(self._world.now / SECOND, False, -int(-(end - seconds) // 1), int(last))
        volume = turnover = Decimal(0)
        for hour in self._world.faults.candles(f"{code}-USD", found, self._world.now):
            volume, turnover = plus(volume, hour.volume), plus(turnover, EXACT.multiply(hour.close, hour.volume))
        return _rounded(EXACT.divide(turnover, volume)) if volume else None


def _before(account: Account, at: int, now: int) -> Decimal:
    """The balance that every row before `at` leaves."""
    rows = account.rows(now)
    earlier = [event for event in rows if event.at < at]
    return earlier[-1].balance if earlier else plus(rows[0].balance, -rows[0].amount) if rows else account.balance(now)[0]


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-PLACES), context=EXACT)


def _seal(report: _Report) -> str:
    return uuid("seal", report.id)


def _instant(seconds: float) -> str:
    return printed(int(seconds * SECOND))


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise refuse(400, "invalid JSON")
    return told
