"""What stands below the balances, with a second total: what was on the way between own portfolios, and adjustments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipelines.exports import blocks as b
from pipelines.exports.display import NONE, instant, money, name, number, price
from pipelines.exports.model import BASES, Statement

WAY = "Sent by one of the entity's portfolios and not received by the instant; matched with what is known now, whenever it moved."
ADJUSTED = "What people say these accounts hold beside what their venues report: in no balance above, each with its evidence in the bundle."
PARTS = {"in_transit": "in transit", "adjusted": "adjustments"}
VALUED = (("Basis", "l"), ("Price", "r"), ("Cur", "l"), ("Indicative value", "r"))
COLUMNS = (("Entity", "l"), ("Asset", "w"), ("Units", "r"), ("Sent", "l"), ("Received", "l"), *VALUED)
ADJUSTED_COLUMNS = (("Entity", "l"), ("Portfolio", "l"), ("Code", "w"), ("Asset", "l"), ("Units", "r"), *VALUED)


def blocks(statement: Statement) -> Iterator[b.Block]:
    if not statement.in_transit.is_empty():
        yield b.heading("In transit (own)")
        yield b.text(WAY, "muted")
        yield b.table(COLUMNS, [_sent(r) for r in statement.in_transit.to_dicts()])
    if not statement.adjusted.is_empty():
        yield b.heading("Adjustments")
        yield b.text(ADJUSTED, "muted")
        yield b.table(ADJUSTED_COLUMNS, [_adjusted(r) for r in statement.adjusted.to_dicts()])
    for t in statement.second_totals.to_dicts():
        yield b.text(_second(t), "strong")
    if statement.by == "asset":
        yield b.text(f"Agrees with by-portfolio: {statement.controls['by asset agrees with by portfolio']}")


def _second(t: dict[str, Any]) -> str:
    parts = {words: money(t, f"printed_{part}") for part, words in PARTS.items() if t[part]}
    sums = " + ".join(f"{words} {amount}" for words, amount in parts.items())
    whole = f"{money(t, 'printed_second_total')}; exact {number(t['second_total'])}"
    return f"{name(t['entity'])}: subtotal {t['currency']} {money(t, 'printed_value')} + {sums} = {whole}"


def _sent(r: dict[str, Any]) -> b.Row:
    sent = f"{name(r['sent_by'])} {instant(r['sent_at'])}"
    received = f"{name(r['received_by'])} {instant(r['received_at'])}" if r["received_by"] else "not seen"
    return b.row(r["entity"], name(r["asset"]), number(r["units"]), sent, received, *_valued(r))


def _adjusted(r: dict[str, Any]) -> b.Row:
    return b.row(r["entity"], name(r["portfolio"]), name(r["native_code"]), name(r["asset"]), number(r["units"]), *_valued(r))


def _valued(r: dict[str, Any]) -> tuple[str, str, str, str]:
    shown = price(r["price"], 0 if r["price_basis"] == "PAR" else 2) if r["price"] is not None else NONE
    value = money(r) if r["value"] is not None else r["reason"] or "no price"
    return BASES.get(r["price_basis"] or "", NONE), shown, r["currency"] or NONE, value
