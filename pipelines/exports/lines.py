"""The lines of a statement on paper: a table per portfolio, or per entity by asset, and what stands under each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from pipelines.exports import below
from pipelines.exports import blocks as b
from pipelines.exports.display import NONE, instant, money, name, number, price, units
from pipelines.exports.model import BASES, Statement

MARKS = {"COMPLETE": "C", "EXCEPTION": "E", "STALE": "S", "NOT_TESTED": "N"}
LEGEND = "Bal, Mov: what was proved of balance and movements. C complete, E exception, S stale, N not tested."
PACIFICA = "A Pacifica line is cash collateral; it excludes unrealised P&L and spot assets, and a negative one is a payable."
CLASSES = ("fiat", "stable", "crypto", "unknown")
LIVE = {
    "hold": "On hold (live, as reported then)",
    "pending": "Pending (live, as reported then)",
    "sub_accounts": "In sub-accounts (live, not in the book)",
    "booked": "In sub-accounts (live, part of the balances above: the history ties out with them)",
    "spot": "Spot assets (live, not in the book)",
}


def tables(statement: Statement) -> Iterator[b.Block]:
    if statement.by == "asset":
        yield from _by_asset(statement)
    else:
        yield from _by_portfolio(statement)
    yield from below.blocks(statement)


PORTFOLIO_COLUMNS = (
    ("Class", "l"), ("Asset", "w"), ("Code, network", "w"), ("Balance", "r"), ("Pending", "r"), ("Basis", "l"), ("Price", "r"),
    ("Cur", "l"), ("Indicative value", "r"), ("Candles", "r"), ("Last vs VWAP", "r"), ("Bal", "l"), ("Mov", "l"),
)  # fmt: skip


def _by_portfolio(statement: Statement) -> Iterator[b.Block]:
    bps = {r["asset"]: r["last_vs_price_bps"] for r in statement.prices.to_dicts()}
    lines = grouped(statement.accounts, "portfolio")
    totals = grouped(statement.totals.filter(pl.col("portfolio").is_not_null()), "portfolio")
    live = grouped(statement.live, "portfolio")
    yield b.heading("Balances by portfolio")
    yield b.text(LEGEND, "muted")
    for portfolio in statement.portfolios.to_dicts():
        mine = lines.get(portfolio["portfolio"], [])
        held = sorted((r for r in mine if r["balance"] != 0), key=lambda r: _order(statement, r))
        yield b.section(_header(portfolio))
        if held:
            yield b.table(PORTFOLIO_COLUMNS, _account_rows(statement, held, bps))
        yield from _under(mine, totals.get(portfolio["portfolio"], []), live.get(portfolio["portfolio"], []))
        if portfolio["venue"] == "pacifica":
            yield b.text(PACIFICA, "muted")


def grouped(frame: pl.DataFrame, key: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in frame.to_dicts():
        found.setdefault(row[key], []).append(row)
    return found


def _order(statement: Statement, row: dict[str, Any]) -> tuple[int, str, str]:
    return CLASSES.index(_class(statement, row)), row["asset"] or "\U0010ffff", row["native_code"]


def _class(statement: Statement, row: dict[str, Any]) -> str:
    return statement.classes.get(row["asset"] or "", "unknown")


def _header(portfolio: dict[str, Any]) -> str:
    bound = f"{name(portfolio['venue_id'])}" if portfolio["venue_id"] else "id not known"
    through = f"read through {instant(portfolio['read_through'])}" if portfolio["read_through"] else "never read"
    return f"{portfolio['portfolio']} · {portfolio['entity']} · {portfolio['venue']} · {bound} · {through}"


def _account_rows(statement: Statement, rows: Sequence[dict[str, Any]], bps: dict[str, int | None]) -> list[b.Row]:
    made, before = [], ""
    for r in rows:
        kind = _class(statement, r)
        code = name(r["native_code"]) + (f" {name(r['network'])}" if r["network"] else "")
        last = bps.get(r["asset"]) if r["price_basis"] == "VWAP_24H" else None
        vwap = (_quantity(r, kind), units(r["pending_balance"]) if r["pending_balance"] is not None else NONE)
        marks = (MARKS[r["balance_status"]], MARKS[r["movements_status"]])
        candles = (_count(r["candle_count"]), NONE if last is None else f"{last:+d} bps")
        first = kind.capitalize() if kind != before else ""
        made.append(b.row(first, name(r["asset"]), code, *vwap, *_valued(r), *candles, *marks))
        before = kind
    return made


def _quantity(row: dict[str, Any], kind: str) -> str:
    return number(row["balance"], 2 if kind == "fiat" else 0) if row["balance"] is not None else "unknown"


def _valued(row: dict[str, Any]) -> tuple[str, str, str, str]:
    """Basis, price, currency and value, or the reason there is none."""
    basis, currency = BASES.get(row["price_basis"] or "", NONE), row["currency"] or NONE
    shown = price(row["price"], 0 if row["price_basis"] == "PAR" else 2) if row["price"] is not None else NONE
    return basis, shown, currency, money(row) if row["value"] is not None else row["reason"] or "no balance"


def _count(n: int | None) -> str:
    return NONE if n is None else str(n)


def _under(rows: Sequence[dict[str, Any]], totals: Sequence[dict[str, Any]], live: Sequence[dict[str, Any]]) -> Iterator[b.Block]:
    """What stands under a portfolio's table."""
    if not rows:
        yield b.text("No account was in the book at that instant.")
    for total in (t for t in totals if t["price_basis"] is None):
        yield from _subtotal(total, [t for t in totals if t["currency"] == total["currency"] and t["price_basis"]])
    if lacking := [r for r in rows if r["value"] is None and r["balance"] != 0]:
        yield b.text("Unpriced: " + ", ".join(f"{name(r['native_code'])} {units(r['balance'])}" for r in lacking))
    if zero := [name(r["native_code"]) for r in rows if r["balance"] == 0]:
        yield b.text("Zero-balance accounts: " + ", ".join(zero), "muted")
    for scope_of, words in LIVE.items():
        if said := [f"{name(r['native_code'])} {units(r['amount'])} ({instant(r['asked_at'])})" for r in live if r["scope"] == scope_of]:
            yield b.text(f"{words}: " + ", ".join(said), "muted")
    if marked := [f"{name(r['native_code'])} {marks_of(r)}" for r in rows if r["status_reasons"]]:
        yield b.text("Marked: " + "; ".join(marked), "muted")
    if owed := [f"{name(r['native_code'])} {units(r['balance'])}" for r in rows if r["balance"] is not None and r["balance"] < 0]:
        yield b.text("Payable: " + ", ".join(owed), "muted")


def _subtotal(total: dict[str, Any], bases: Sequence[dict[str, Any]]) -> Iterator[b.Block]:
    split = ", ".join(f"{BASES[t['price_basis']]} {money(t)}" for t in bases)
    yield b.text(f"Priced subtotal {total['currency']} {money(total)} ({split}); exact {number(total['value'])}", "strong")
    if total["rounding_difference"]:
        yield b.text(f"Rounding difference {total['currency']} {money(total, 'rounding_difference')}", "muted")


ASSET_COLUMNS = (
    ("Class", "l"), ("Asset", "w"), ("Balance", "r"), ("Pending", "r"), ("Portfolios", "r"), ("Basis", "l"), ("Price", "r"),
    ("Cur", "l"), ("Indicative value", "r"), ("Candles", "r"), ("Bal", "l"), ("Mov", "l"), ("Marks", "w"),
)  # fmt: skip


def _by_asset(statement: Statement) -> Iterator[b.Block]:
    totals = grouped(statement.totals.filter(pl.col("portfolio").is_null()), "entity")
    held_as = grouped(statement.accounts.filter(pl.col("asset").is_not_null() & (pl.col("balance") != 0)), "asset")
    yield b.heading("Balances by asset")
    yield b.text(LEGEND, "muted")
    for entity, rows in grouped(statement.assets, "entity").items():
        held = sorted((r for r in rows if r["balance"] != 0), key=lambda r: (CLASSES.index(_class(statement, r)), r["asset"]))
        yield b.section(f"Entity {entity}")
        made, before = [], ""
        for r in held:
            kind = _class(statement, r)
            made += [_asset_row(r, kind, kind.capitalize() if kind != before else ""), *_networks(held_as.get(r["asset"], []), entity)]
            before = kind
        yield b.table(ASSET_COLUMNS, made)
        for total in (t for t in totals.get(entity, []) if t["price_basis"] is None):
            yield from _subtotal(total, [t for t in totals[entity] if t["currency"] == total["currency"] and t["price_basis"]])
        if zero := [name(r["asset"]) for r in rows if r["balance"] == 0]:
            yield b.text("At zero: " + ", ".join(zero), "muted")


def _asset_row(r: dict[str, Any], kind: str, first: str) -> b.Row:
    pending = NONE if r["pending_balance"] is None else units(r["pending_balance"])
    marks = (MARKS[r["balance_status"]], MARKS[r["movements_status"]], marks_of(r) if r["status_reasons"] else "")
    holders = (_quantity(r, kind), pending, str(r["portfolios"]))
    return b.row(first, name(r["asset"]), *holders, *_valued(r), _count(r["candle_count"]), *marks)


def _networks(accounts: Sequence[dict[str, Any]], entity: str) -> Iterator[b.Row]:
    """Where one asset is held under several codes: each of them, under its line."""
    mine = [a for a in accounts if a["entity"] == entity]
    if len({a["native_code"] for a in mine}) < 2:
        return
    for a in mine:
        where = f"{name(a['native_code'])} {name(a['network']) if a['network'] else ''}".strip()
        value = money(a) if a["value"] is not None else ""
        yield b.row("", f"  {where}", units(a["balance"]), "", a["portfolio"], "", "", "", value, "", "", "", "", style="sub")


def marks_of(row: dict[str, Any]) -> str:
    return (row["status_reasons"] or NONE).replace(";", ", ")
