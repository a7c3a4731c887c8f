"""CryptoFuse's pages → rows. Bytes in, frames out; no HTTP.

Codes carry their network (`USDTERC20`) and are upper-cased on the way in; amounts are unsigned, as printed. The map of codes is
the venue's own, never made by cutting suffixes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from pipelines.pages import Page
from pipelines.tables import TEXT
from pipelines.venues.reading import (
    BALANCES,
    HISTORY,
    NOTHING,
    Once,
    Reading,
    Row,
    Values,
    decode,
    exact,
    listed,
    moment,
    named,
    oldest_first,
    read,
    struct,
    unreadable,
)  # fmt: skip

CURRENCIES = {"native_code": TEXT, "asset": TEXT, "network": TEXT}
_Map = dict[str, msgspec.Raw]


def read_balances(pages: Sequence[Page]) -> tuple[str | None, Reading]:
    """Each of the three published shapes; the venue does not say whose balances they are."""
    once = Once()
    shapes = {page.sha256: _shape(page) for page in pages}

    def parse(row: Row) -> list[Values]:
        values = list(shapes[row.page.sha256].parse(row.raw))
        for value in values:
            once(f"{value['scope']} {value['native_code']}")
        return values

    rows = [Row(page, position, raw) for page in pages for position, raw in enumerate(shapes[page.sha256].rows)]
    return None, read(BALANCES, rows, parse)


class _Shape(NamedTuple):
    rows: list[bytes]
    parse: Callable[[bytes], Iterator[Values]]


def _shape(page: Page) -> _Shape:
    """The venue's own rows for a list; for maps one small object per code and scope."""
    body = decode(page, _Map)
    try:
        if set(body) == {"balances"}:
            return _Shape([bytes(raw) for raw in msgspec.json.decode(body["balances"], type=list[msgspec.Raw])], _from_list)
        if "account" in body and set(body) <= {"account", "sub_accounts", "statistics"}:
            maps = [(scope, msgspec.json.decode(body[scope], type=_Map)) for scope in ("account", "sub_accounts") if scope in body]
            rows = [{"scope": scope, "currency": code, "amount": raw} for scope, amounts in maps for code, raw in amounts.items()]
            return _Shape([msgspec.json.encode(row) for row in rows], _from_map)
    except msgspec.ValidationError:
        pass
    raise unreadable(page)


class _Mapped(msgspec.Struct):
    scope: str
    currency: msgspec.Raw
    amount: msgspec.Raw


class _Amounts(msgspec.Struct):
    amount: msgspec.Raw
    pending_amount: msgspec.Raw = NOTHING


class _Listed(msgspec.Struct):
    currency: msgspec.Raw
    available_balance: msgspec.Raw
    pending_balance: msgspec.Raw = NOTHING


def _from_map(raw: bytes) -> Iterator[Values]:
    row = struct(raw, _Mapped)
    nested = bytes(row.amount)[:1] == b"{"
    amounts = struct(bytes(row.amount), _Amounts) if nested else _Amounts(row.amount)
    return _scopes(row.currency, row.scope, amounts)


def _from_list(raw: bytes) -> Iterator[Values]:
    row = struct(raw, _Listed)
    return _scopes(row.currency, "account", _Amounts(row.available_balance, row.pending_balance))


def _scopes(currency: msgspec.Raw, scope: str, amounts: _Amounts) -> Iterator[Values]:
    """The balance, and what is pending beside it where the shape tells."""
    code = _code(currency)
    yield {"native_code": code, "scope": scope, "amount": exact("amount", amounts.amount)}
    if amounts.pending_amount != NOTHING and scope == "account":
        yield {"native_code": code, "scope": "pending", "amount": exact("pending", amounts.pending_amount)}


def _code(raw: msgspec.Raw) -> str:
    return named("currency", raw).upper()


class _Envelope(msgspec.Struct):
    history: list[msgspec.Raw]
    total: int
    offset: int


class _Event(msgspec.Struct):
    timestamp: msgspec.Raw
    currency: msgspec.Raw
    type: msgspec.Raw
    amount: msgspec.Raw
    balance_after: msgspec.Raw


def read_history(pages: Sequence[Page]) -> Reading:
    """Events in the order of the walk, reversed; each read once."""

    def parse(row: Row) -> list[Values]:
        event = struct(row.raw, _Event)
        values = {
            "native_code": _code(event.currency),
            "occurred_at": moment("timestamp", event.timestamp),
            "event_type": named("type", event.type),
            "amount": exact("amount", event.amount),
            "balance_after": exact("balance_after", event.balance_after),
        }
        return [values]

    return oldest_first(read(HISTORY, _unrepeated(pages), parse))


def _unrepeated(pages: Sequence[Page]) -> Iterator[Row]:
    """Counted from the oldest, a row keeps its number when others arrive at the head: the same number and words are the same row."""
    seen: dict[int, bytes] = {}
    for page in pages:
        envelope = decode(page, _Envelope)
        for row in listed(page, envelope.history):
            number = envelope.total - envelope.offset - row.position
            if seen.setdefault(number, row.raw) != row.raw or seen[number] is row.raw:
                yield row


def count(pages: Sequence[Page]) -> int:
    """As counted when the walk began: what arrived since stands ahead of it and was not walked."""
    return decode(pages[0], _Envelope).total


class _Currency(msgspec.Struct):
    currency: msgspec.Raw
    token: msgspec.Raw
    blockchain: msgspec.Raw = NOTHING


def read_currencies(page: Page) -> Reading:
    """What each code stands for, in the venue's own words."""
    once = Once()

    def parse(row: Row) -> list[Values]:
        currency = struct(row.raw, _Currency)
        code = _code(currency.currency)
        asset = named("token", currency.token).upper()
        network = None if currency.blockchain == NOTHING else named("blockchain", currency.blockchain).lower()
        once(code)
        return [{"native_code": code, "asset": asset, "network": network}]

    return read(CURRENCIES, listed(page, _currencies(page)), parse)


def _currencies(page: Page) -> list[msgspec.Raw]:
    """A list, bare or under a usual name: the envelope is not published."""
    if page.body.lstrip()[:1] == b"[":
        return decode(page, list[msgspec.Raw])
    body = decode(page, _Map)
    under = [body[key] for key in ("currencies", "results", "data") if bytes(body.get(key, NOTHING))[:1] == b"["]
    if len(under) != 1:
        raise unreadable(page)
    return msgspec.json.decode(under[0], type=list[msgspec.Raw])
