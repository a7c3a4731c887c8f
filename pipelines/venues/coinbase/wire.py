"""Coinbase Exchange's pages → rows. Bytes in, frames out; no HTTP.

A ledger row names no currency: its account, and through it the currency, stands in the page's request. Its id orders it, since a
match and its fee share an instant. Prices are JSON numbers, read from their text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import polars as pl

from pipelines.errors import Unreadable
from pipelines.pages import Page
from pipelines.tables import FLAG, INSTANT, MONEY, TEXT
from pipelines.venues.reading import (
    BALANCES,
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
    frame,
    listed,
    moment,
    named,
    read,
    struct,
    words,
)  # fmt: skip

Rows = list[msgspec.Raw]
HOUR = timedelta(hours=1)
POPULATION = {"venue_id": TEXT, "name": TEXT}
PRODUCTS = {"product_id": TEXT, "base": TEXT, "quote": TEXT, "status": TEXT, "trading_disabled": FLAG}
CANDLES = {"product_id": TEXT, "start": INSTANT} | dict.fromkeys(("low", "high", "open", "close", "volume"), MONEY)


class _Account(msgspec.Struct):
    id: msgspec.Raw
    currency: msgspec.Raw
    balance: msgspec.Raw
    profile_id: msgspec.Raw
    hold: msgspec.Raw = NOTHING
    pending_deposit: msgspec.Raw = NOTHING


def read_balances(pages: Sequence[Page]) -> tuple[str | None, Reading]:
    """profile_id, and every account: balance (holds included), what is held of it, what is pending beside it."""
    profiles: set[str] = set()
    once = Once()

    def parse(row: Row) -> list[Values]:
        account = struct(row.raw, _Account)
        code, account_id = named("currency", account.currency), named("id", account.id)
        scopes = {"account": account.balance, "hold": account.hold, "pending": account.pending_deposit}
        amounts = {scope: exact(scope, raw) for scope, raw in scopes.items() if scope == "account" or raw != NOTHING}
        once(code)
        profiles.add(named("profile_id", account.profile_id))
        return [{"native_code": code, "venue_account_id": account_id, "scope": s, "amount": a} for s, a in amounts.items()]

    reading = read(BALANCES, [row for page in pages for row in listed(page, decode(page, Rows))], parse)
    if len(profiles) > 1:
        raise Unreadable(
            f"accounts of coinbase for portfolio {pages[0].portfolio} name {len(profiles)} profiles.", "Use one key a profile."
        )
    return next(iter(profiles), None), reading


class _Profile(msgspec.Struct):
    id: msgspec.Raw
    name: msgspec.Raw
    active: msgspec.Raw = NOTHING


def read_population(pages: Sequence[Page]) -> Reading:
    """The owner's profiles, but for those that were deactivated."""

    def parse(row: Row) -> list[Values]:
        profile = struct(row.raw, _Profile)
        told = {"venue_id": named("id", profile.id), "name": words("name", profile.name)}
        return [] if bytes(profile.active) == b"false" else [told]

    return read(POPULATION, [row for page in pages for row in listed(page, decode(page, Rows))], parse)


class _Entry(msgspec.Struct):
    id: msgspec.Raw
    created_at: msgspec.Raw
    amount: msgspec.Raw
    balance: msgspec.Raw
    type: msgspec.Raw


def read_history(pages: Sequence[Page]) -> Reading:
    """Ledger entries by account and id; of an entry shown on two pages the later page's holds."""

    def parse(row: Row) -> list[Values]:
        entry = struct(row.raw, _Entry)
        values = {
            "venue_account_id": accounts[row.page.request],
            "occurred_at": moment("created_at", entry.created_at),
            "event_id": _whole(entry.id),
            "event_type": named("type", entry.type),
            "amount": exact("amount", entry.amount),
            "balance_after": exact("balance", entry.balance),
        }
        return [values]

    accounts = {page.request: _account(page) for page in pages}
    reading = read(HISTORY, [row for page in pages for row in listed(page, decode(page, Rows))], parse)
    rows = reading.rows.unique(["venue_account_id", "event_id"], keep="last", maintain_order=True)
    by_id = [pl.col("venue_account_id"), pl.col("event_id").str.len_bytes(), pl.col("event_id")]
    return Reading(rows.sort(by_id), reading.refused.reverse())


def _whole(raw: msgspec.Raw) -> str:
    """An integer of any length, without leading zeros: by length, then by text, it sorts as a number."""
    text = words("id", raw)
    if not re.fullmatch(r"[0-9]{1,100}", text):
        raise BadRow("id is not a whole number")
    return text.lstrip("0") or "0"


def _account(page: Page) -> str:
    found = re.search(r"/accounts/([^/?]+)/ledger", page.request)
    if not found:
        raise Unreadable("A ledger page of coinbase was not asked of an account.", "Report it to us.")
    return unquote(found[1])


class _Product(msgspec.Struct):
    id: msgspec.Raw
    base_currency: msgspec.Raw
    quote_currency: msgspec.Raw
    status: msgspec.Raw
    trading_disabled: bool


def read_products(page: Page) -> Reading:
    once = Once()

    def parse(row: Row) -> list[Values]:
        product = struct(row.raw, _Product)
        values = {
            "product_id": named("id", product.id),
            "base": named("base_currency", product.base_currency),
            "quote": named("quote_currency", product.quote_currency),
            "status": named("status", product.status),
            "trading_disabled": product.trading_disabled,
        }
        once(values["product_id"])
        return [values]

    return read(PRODUCTS, listed(page, decode(page, Rows)), parse, "base_currency")


def read_candles(pages: Sequence[Page]) -> Reading:
    """Hours asked for. The venue documents that it may add hours before `start`: those answer nobody's question and are left out.

    An hour shown on two pages is as the later page says; one shown twice on a page, differently, is refused the second time.
    """
    windows = {page.request: _window(page) for page in pages}
    rows: dict[tuple[str, datetime], Values] = {}

    def parse(row: Row) -> list[Values]:
        product, first, last = windows[row.page.request]
        candle = _candle(row.raw)
        start = candle["start"]
        assert isinstance(start, datetime)
        values = {"product_id": product, **candle}
        known = rows.get((product, start))
        if known and known["page"] is row.page and {**values, "page": row.page} != known:
            raise BadRow("this hour is shown twice on the page, with different numbers")
        if first <= start <= last:
            rows[product, start] = {**values, "page": row.page}
        return []

    refused = read(CANDLES, [row for page in pages for row in listed(page, decode(page, Rows))], parse).refused
    return Reading(frame(CANDLES, [rows[key] for key in sorted(rows)]), refused)


def _candle(raw: bytes) -> Values:
    cells = struct(raw, Rows)
    if len(cells) != 6:
        raise BadRow(f"a candle has 6 numbers, not {len(cells)}")
    start = after_epoch("time", cells[0], timedelta(seconds=1))
    if start.replace(minute=0, second=0) != start:
        raise BadRow("time is not the start of an hour")
    numbers = {name: exact(name, cell) for name, cell in zip(("low", "high", "open", "close", "volume"), cells[1:], strict=True)}
    if negative := [name for name, number in numbers.items() if number < 0]:
        raise BadRow(f"{negative[0]} is negative")
    return {"start": start, **numbers}


def _window(page: Page) -> tuple[str, datetime, datetime]:
    """Product and inclusive bounds, as they were asked."""
    url = urlsplit(page.request.partition(" ")[2])
    found = re.search(r"/products/([^/]+)/candles$", url.path)
    bounds = parse_qs(url.query)
    try:
        start, end = (datetime.fromisoformat(bounds[name][0]) for name in ("start", "end"))
        if found and start.tzinfo and end.tzinfo:
            return unquote(found[1]), start, end
    except (KeyError, ValueError):
        pass
    raise Unreadable("A page of candles of coinbase was not asked with product, start and end.", "Report it to us.") from None
