"""Completeness report → PDF: what was looked at behind a statement, what speaks against it, and what nobody can prove (sections A to H)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from pipelines.exports import blocks as b
from pipelines.exports.display import NONE, instant, name, number, price, units
from pipelines.exports.model import BASES, Completeness
from pipelines.exports.naming import identity, recorded, scope

NET = "An unbroken chain proves net change, not that every gross movement is present: two rows that cancel can be missing together."
ELSEWHERE = "Venues that tell what else there is: Coinbase. CryptoFuse and Pacifica tell nobody who only reads."
REPORT = "None that this publication knows. Where a venue makes one, `closebook compare` orders it and sets it beside the book."
NOT_PROVEN = (
    "Ownership, encumbrance, venue solvency, gross movements where the venue gives no count, unrealised P&L, fair value. "
    "Rely on venue confirmations and SOC 1 reports."
)
EARLIER = "Results of the candidate before this publication: a candidate is checked after it is built."


def pdf(report: Completeness) -> bytes:
    """The report on paper."""
    heading = report.heading
    running = f"Completeness report · {scope(heading)} · {heading.close}"
    return b.pdf("Completeness report", running, identity(heading), list(_blocks(report)), heading.as_of)


def _blocks(report: Completeness) -> Iterator[b.Block]:
    heading = report.heading
    yield b.title("Completeness report")
    yield b.text(heading.mark.words, "strong")
    yield b.text(heading.close, "close")
    yield b.text(recorded(heading))
    yield from _population(report)
    yield from _accounts(report)
    yield from _exceptions(report)
    yield from _prices(report)
    yield from _reports(report)
    yield from _checks(report)
    yield b.heading("G. Not proven")
    yield b.text(NOT_PROVEN)
    yield b.heading("H. Sign-off")
    yield b.text(f"Statement: {heading.mark.words}")
    yield b.text(f"Locked: {heading.mark.locked or 'no'}")
    yield b.text(f"Prepared, issued, manifest sha256: {'on the envelope' if heading.mark.number else 'not issued'}")


def _population(report: Completeness) -> Iterator[b.Block]:
    yield b.heading(f"A. Population: {report.population.height} portfolios in scope")
    columns = [("Portfolio", "l"), ("Entity", "l"), ("Venue", "l"), ("Id at the venue", "w"), ("Accounts", "r"), ("Read through", "l")]
    rows = [
        b.row(r["portfolio"], r["entity"], r["venue"], name(r["venue_id"]), str(r["accounts"]), instant(r["read_through"]))
        for r in report.population.to_dicts()
    ]
    yield b.table(columns, rows)
    beside = report.live.filter(pl.col("scope").is_in(["sub_accounts", "spot", "booked"])).to_dicts()
    for r in beside:
        words = f"{r['portfolio']} {name(r['native_code'])} {units(r['amount'])}, {r['scope'].replace('_', ' ')}"
        yield b.text(f"Live beside the accounts: {words} ({instant(r['asked_at'])})", "muted")
    missing = "; ".join(f"{r['venue']} {name(r['name'])} ({name(r['venue_id'])})" for r in report.not_configured.to_dicts())
    yield b.text(f"At the venues and not configured: {missing or 'none'}")
    yield b.text(ELSEWHERE, "muted")


ACCOUNT_COLUMNS = (
    ("Portfolio", "l"), ("Code", "w"), ("Opening", "l"), ("Entries / pages", "r"), ("First event → last", "l"), ("Chain", "l"),
    ("Read through", "l"), ("Live / computed", "r"), ("Tie-out", "l"), ("Balance", "l"), ("Movements", "l"),
)  # fmt: skip


def _accounts(report: Completeness) -> Iterator[b.Block]:
    yield b.heading(f"B. Accounts ({report.accounts.height})")
    yield b.table(ACCOUNT_COLUMNS, [_account(r) for r in report.accounts.to_dicts()])
    yield b.text(NET, "muted")


def _account(r: dict[str, Any]) -> b.Row:
    opening = r["opening"] + (f" {name(r['document'])}" if r["document"] else "")
    events = f"{r['first_event_at']:%Y-%m-%d} → {r['last_event_at']:%Y-%m-%d}" if r["entries"] else "none"
    chain = f"{r['breaks']} brk, {number(r['missing'])}" if r["breaks"] else "ok" if r["entries"] > 1 else NONE
    live = f"{number(r['live_balance'])} / {number(r['computed_balance'])}" if r["live_balance"] is not None else NONE
    words = (r["tie_out"], r["balance_status"], r["movements_status"])
    return b.row(
        r["portfolio"],
        name(r["native_code"]),
        opening,
        f"{r['entries']} / {r['pages']}",
        events,
        chain,
        instant(r["read_through"]),
        live,
        *words,
    )


def _exceptions(report: Completeness) -> Iterator[b.Block]:
    yield b.heading(f"C. Exceptions ({report.exceptions.height})")
    if report.suspense:
        yield b.text(f"{report.suspense} rows were refused and lie in suspense.")
    if report.exceptions.is_empty():
        yield b.text("None.")
        return
    columns = [("Issue", "l"), ("Matter", "l"), ("Place", "w"), ("Amount", "r"), ("First seen", "l"), ("Owner", "l"), ("State", "w")]
    yield b.table(columns, [_exception(r) for r in report.exceptions.to_dicts()])


def _exception(r: dict[str, Any]) -> b.Row:
    place = " ".join(name(part) for part in (r["portfolio"], r["native_code"], r["says"]) if part)
    state = f"accepted by {name(r['accepted_by'])}: {name(r['accepted_because'])}" if r["accepted_by"] else r["state"].lower()
    seen = f"{r['first_seen']:%Y-%m-%d}" if r["first_seen"] else NONE
    return b.row(r["issue"], r["matter"], place, units(r["amount"]) if r["amount"] is not None else NONE, seen, name(r["owner"]), state)


PRICE_COLUMNS = (
    ("Asset", "l"), ("Basis", "l"), ("Price", "r"), ("Cur", "l"), ("Hours needed", "r"), ("Read", "r"), ("Empty", "r"), ("Not read", "r"),
    ("Revised", "r"), ("Reason", "l"),
)  # fmt: skip


def _prices(report: Completeness) -> Iterator[b.Block]:
    needed, read, empty, failed = (report.prices[f"hours_{word}"].sum() for word in ("needed", "read", "empty", "not_read"))
    yield b.heading("D. Prices")
    markets, revised = report.prices["hours_needed"].count(), report.prices["revised"].sum()
    yield b.text(f"Products {markets}; hours needed {needed}, read {read}, empty {empty}, not read {failed}; revised {revised}.")
    yield b.table(PRICE_COLUMNS, [_price(r) for r in report.prices.to_dicts()])


def _price(r: dict[str, Any]) -> b.Row:
    hours = (NONE if r[c] is None else str(r[c]) for c in ("hours_needed", "hours_read", "hours_empty", "hours_not_read", "revised"))
    shown = price(r["price"], 0) if r["price"] is not None else NONE
    return b.row(name(r["asset"]), BASES.get(r["price_basis"] or "", NONE), shown, r["currency"] or NONE, *hours, r["reason"] or NONE)


def _reports(report: Completeness) -> Iterator[b.Block]:
    yield b.heading(f"E. Venue's own report ({report.reports.height})")
    for r in report.reports.to_dicts():
        unexplained = r["prices"] - r["prices_exact"] - r["prices_explained"]
        quantities = f"quantities {r['quantities_exact']}/{r['quantities']} exact"
        prices = f"prices {r['prices_exact']}/{r['prices']} exact, {r['prices_explained']} explained, {unexplained} not"
        yield b.text(f"{r['portfolio']}: {quantities}; {prices}; {r['refused']} rows not read; page sha256 {r['report_sha256']}")
    if report.reports.is_empty():
        yield b.text(REPORT)


def _checks(report: Completeness) -> Iterator[b.Block]:
    yield b.heading(f"F. Checks ({report.checks.height})")
    if report.checks.is_empty():
        yield b.text("This publication carries no results.")
        return
    columns = [("Rule", "w"), ("Weight", "l"), ("Looked at", "r"), ("Violations", "r"), ("", "l")]
    rows = [
        b.row(r["rule"], r["weight"], str(r["looked_at"]), str(r["violations"]), "not tested" if not r["looked_at"] else "")
        for r in report.checks.to_dicts()
    ]
    yield b.table(columns, rows)
    yield b.text(f"Publication {report.checks['publication_id'][0]}.", "muted")
    if report.checks["publication_id"][0] != report.heading.publication:
        yield b.text(EARLIER, "muted")
