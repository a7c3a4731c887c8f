"""Pacifica's pages → rows, all in USDC. Bytes in, frames out; no HTTP.

Rows have no id, and instants are milliseconds that several rows may share: rows keep the order of the walk. Spot balances have a
history of their own, which is not read: they are held beside the book.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import msgspec

from pipelines.pages import Page
from pipelines.venues.reading import (
    BALANCES,
    BROKEN,
    HISTORY,
    NOTHING,
    BadRow,
    Once,
    Reading,
    Row,
    Values,
    after_epoch,
    decode,
    exact,
    listed,
    named,
    oldest_first,
    read,
    struct,
    unreadable,
)  # fmt: skip

CODE = "USDC"  # the collateral every perpetual balance is kept in
POSITIONS = "positions"
MILLISECOND = timedelta(milliseconds=1)


class _Envelope(msgspec.Struct):
    success: bool
    data: msgspec.Raw


class _Account(msgspec.Struct):
    balance: msgspec.Raw
    pending_balance: msgspec.Raw = NOTHING
    account_equity: msgspec.Raw = NOTHING
    spot_balances: list[msgspec.Raw] | None = None


class _Spot(msgspec.Struct):
    symbol: msgspec.Raw
    amount: msgspec.Raw


class _Position(msgspec.Struct):
    symbol: msgspec.Raw
    side: msgspec.Raw
    amount: msgspec.Raw


SIDES = {"bid": 1, "long": 1, "ask": -1, "short": -1}
_Amounts = list[tuple[str, str, Decimal]]  # code, scope, amount


def read_balances(pages: Sequence[Page]) -> tuple[str | None, Reading]:
    """The address that was asked for; its balance, what is pending; and beside it its equity, what lies in spot, and open positions."""
    rows = [Row(page, n, raw) for page in pages for n, raw in enumerate(_rows(page))]
    once = Once()

    def parse(row: Row) -> list[Values]:
        amounts = _position(row.raw) if row.page.endpoint == POSITIONS else _account(row.raw)
        for code, scope, _ in amounts:
            once(f"{scope} {code}")
        return [{"native_code": code, "scope": scope, "amount": amount} for code, scope, amount in amounts]

    return _address(pages), read(BALANCES, rows, parse)


def _account(raw: bytes) -> _Amounts:
    account = struct(raw, _Account)
    amounts = [(CODE, "account", exact("balance", account.balance))]
    if account.pending_balance != NOTHING:
        amounts.append((CODE, "pending", exact("pending_balance", account.pending_balance)))
    if account.account_equity != NOTHING:
        amounts.append((CODE, "equity", exact("account_equity", account.account_equity)))
    spots = [struct(bytes(raw), _Spot) for raw in account.spot_balances or []]
    return amounts + [(named("symbol", spot.symbol), "spot", exact("amount", spot.amount)) for spot in spots]


def _position(raw: bytes) -> _Amounts:
    """Signed: what was sold is negative."""
    position = struct(raw, _Position)
    side = named("side", position.side).lower()
    if side not in SIDES:
        raise BadRow(f"side {side!r:.40} is neither bid nor ask")
    return [(named("symbol", position.symbol), "position", SIDES[side] * abs(exact("amount", position.amount)))]


def _rows(page: Page) -> list[bytes]:
    return [bytes(raw) for raw in _events(page)] if page.endpoint == POSITIONS else _accounts(page)


def _accounts(page: Page) -> list[bytes]:
    """One account; an older form of the reply is a list of one."""
    data = bytes(_data(page))
    if data[:1] == b"{":
        return [data]
    if data[:1] == b"[" and len(rows := msgspec.json.decode(data, type=list[msgspec.Raw])) == 1:
        return [bytes(rows[0])]
    raise unreadable(page)


def _data(page: Page) -> msgspec.Raw:
    envelope = decode(page, _Envelope)
    if not envelope.success:
        raise unreadable(page)
    return envelope.data


def _address(pages: Sequence[Page]) -> str | None:
    asked = [parse_qs(urlsplit(page.request.partition(" ")[2]).query).get("account", []) for page in pages]
    return next((account[0] for account in asked if account), None)


class _Event(msgspec.Struct):
    amount: msgspec.Raw
    balance: msgspec.Raw
    pending_balance: msgspec.Raw
    event_type: msgspec.Raw
    created_at: msgspec.Raw


def read_history(pages: Sequence[Page]) -> Reading:
    """Events in the order of the walk, reversed. Where pages overlap because they drifted, the overlap is read once."""

    def parse(row: Row) -> list[Values]:
        event = struct(row.raw, _Event)
        values = {
            "native_code": CODE,
            "occurred_at": after_epoch("created_at", event.created_at, MILLISECOND),
            "event_type": named("event_type", event.event_type),
            "amount": exact("amount", event.amount),
            "balance_after": exact("balance", event.balance),
            "pending_after": exact("pending_balance", event.pending_balance),
        }
        return [values]

    rows: list[Row] = []
    for page in pages:
        more = listed(page, _events(page))
        rows += more[_overlap(rows, more) :]
    return oldest_first(read(HISTORY, [row for n, row in enumerate(rows) if n == 0 or not _stutters(rows[n - 1], row)], parse))


def _stutters(before: Row, row: Row) -> bool:
    """The same words twice in a row, though the first changed a balance: no two events can end at one balance that way."""
    if before.raw != row.raw:
        return False
    with suppress(BadRow, *BROKEN):
        return exact("amount", struct(row.raw, _Event).amount) != 0
    return False


def _events(page: Page) -> list[msgspec.Raw]:
    data = _data(page)
    if bytes(data)[:1] != b"[":
        raise unreadable(page)
    return msgspec.json.decode(data, type=list[msgspec.Raw])


def _overlap(before: Sequence[Row], after: Sequence[Row]) -> int:
    """How many rows at the head of a page repeat the tail of the walk so far.

    Each row carries the balance after it, so a repeated stretch of true events changes nothing on balance: reading it once is safe.
    """
    tail = [row.raw for row in before[-len(after) :]] if after else []
    head = [row.raw for row in after]
    return next((k for k in range(len(tail), 0, -1) if tail[-k:] == head[:k]), 0)
