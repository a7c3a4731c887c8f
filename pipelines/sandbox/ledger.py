"""ledger.csv or ledger.parquet → events by portfolio and native code, in true order. Judges each row; knows no clock and no wire."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from pipelines.errors import UsageError
from pipelines.sandbox.files import one_of, rows, wrong
from pipelines.sandbox.values import decimal, instant

COLUMNS = ("venue", "portfolio", "native_code", "occurred_at", "event_type", "amount", "balance_after", "pending_after", "event_id")
GRAIN = {"coinbase": (1, "microseconds"), "pacifica": (1_000, "whole milliseconds"), "cryptofuse": (1_000_000, "whole seconds")}
COLLATERAL = "USDC"  # the one code a Pacifica balance is kept in


class Event(NamedTuple):
    """One row of the dataset. `at` in microseconds; `order` breaks ties as the file does."""

    at: int
    order: int
    code: str
    kind: str
    amount: Decimal
    balance: Decimal
    pending: Decimal | None
    event_id: str


Events = dict[str, dict[str, list[Event]]]


class Malformed(ValueError):
    """What is wrong with a row."""


def read(folder: Path, venue_of: Mapping[str, str]) -> Events:
    """portfolio → native code → events, oldest first. `venue_of`: the declared portfolios."""
    path = one_of(folder, "ledger", "csv", "parquet")
    events: Events = {name: {} for name in venue_of}
    for order, (place, cells) in enumerate(rows(path, COLUMNS)):
        try:
            portfolio, event = _event(cells, order, venue_of)
            account = events[portfolio].setdefault(event.code, [])
            if account:
                _require_after(account[-1], event)
        except Malformed as what:
            raise wrong(path, place, str(what)) from None
        account.append(event)
    return events


def _event(cells: Sequence[str], order: int, venue_of: Mapping[str, str]) -> tuple[str, Event]:
    venue, portfolio, code, occurred_at, kind, amount, balance, pending, event_id = cells
    _require_declared(venue, portfolio, venue_of)
    event = Event(
        at=occurred(occurred_at, venue),
        order=order,
        code=named("native_code", code),
        kind=named("event_type", kind),
        amount=number("amount", amount),
        balance=number("balance_after", balance),
        pending=number("pending_after", pending) if pending else None,
        event_id=event_id,
    )
    require_native(venue, event.code)
    if venue == "coinbase" and not re.fullmatch(r"[0-9]{1,30}", event_id):
        raise Malformed(f"event_id {event_id!r} is not a whole number, as every entry of Coinbase has")
    return portfolio, event


def _require_declared(venue: str, portfolio: str, venue_of: Mapping[str, str]) -> None:
    if venue not in GRAIN:
        raise Malformed(f"venue {venue!r} is none of {', '.join(GRAIN)}")
    if portfolio not in venue_of:
        raise Malformed(f"portfolio {portfolio!r} is not declared in dataset.toml")
    if venue_of[portfolio] != venue:
        raise Malformed(f"portfolio {portfolio!r} is declared at {venue_of[portfolio]}, not at {venue}")


def _require_after(last: Event, event: Event) -> None:
    if event.at < last.at:
        raise Malformed(f"occurred_at lies before the row above of {event.code}, and rows of one account are in true order")
    if last.event_id and event.event_id and event.event_id.isdigit() and int(event.event_id) <= int(last.event_id):
        raise Malformed(f"event_id {event.event_id} does not come after {last.event_id}, the one above of {event.code}")


def occurred(text: str, venue: str) -> int:
    """An instant as fine as the venue prints it, and no finer."""
    try:
        at = instant(text)
    except (ValueError, OverflowError):
        raise Malformed(f"occurred_at {text!r} is not an instant such as 2025-01-31T09:30:00.000000Z") from None
    grain, words = GRAIN[venue]
    if at % grain:
        raise Malformed(f"occurred_at {text!r} is finer than {venue} prints, which is {words}")
    return at


def number(name: str, text: str) -> Decimal:
    try:
        return decimal(text)
    except ValueError:
        raise Malformed(f"{name} {text!r} is not decimal text such as -12.5") from None


def named(name: str, text: str) -> str:
    if not text.strip():
        raise Malformed(f"{name} is empty")
    return text


def require_native(venue: str, code: str) -> None:
    if venue == "pacifica" and code != COLLATERAL:
        raise Malformed(f"native_code {code!r} has no balance history at Pacifica, which keeps its balance in {COLLATERAL}")


def require_portfolio(name: str, known: Mapping[str, object], path: Path) -> None:
    if name not in known:
        raise UsageError(f"{path} names the portfolio {name!r}, which the dataset does not have.", f"It has {', '.join(known)}.")
