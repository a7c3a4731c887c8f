"""What stands below the balances, with a second total: what was on the way between own portfolios. It is in no portfolio's balance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipelines.exports import blocks as b
from pipelines.exports.display import NONE, instant, money, name, number, price
from pipelines.exports.model import BASES, Statement

WAY = "Sent by one of the entity's portfolios and not received by the instant; matched with what is known now, whenever it moved."
COLUMNS = (
    ("Entity", "l"), ("Asset", "w"), ("Units", "r"), ("Sent", "l"), ("Received", "l"), ("Basis", "l"), ("Price", "r"), ("Cur", "l"),
    ("Indicative value", "r"),
)  # fmt: skip


def blocks(statement: Statement) -> Iterator[b.Block]:
    if not statement.in_transit.is_empty():
        yield b.heading("In transit (own)")
        yield b.text(WAY, "muted")
        yield b.table(COLUMNS, [_line(r) for r in statement.in_transit.to_dicts()])
        for t in statement.second_totals.to_dicts():
            yield b.text(f"{name(t['entity'])}: {_second(t)}", "strong")
    if statement.by == "asset":
        yield b.text(f"Agrees with by-portfolio: {statement.controls['by asset agrees with by portfolio']}")


def _second(t: dict[str, Any]) -> str:
    sums = f"{money(t, 'printed_value')} + {money(t, 'printed_in_transit')}"
    return f"subtotal {t['currency']} with in transit {money(t, 'printed_with_in_transit')} ({sums}); exact {number(t['with_in_transit'])}"


def _line(r: dict[str, Any]) -> b.Row:
    sent = f"{name(r['sent_by'])} {instant(r['sent_at'])}"
    received = f"{name(r['received_by'])} {instant(r['received_at'])}" if r["received_by"] else "not seen"
    shown = price(r["price"], 0 if r["price_basis"] == "PAR" else 2) if r["price"] is not None else NONE
    value = money(r) if r["value"] is not None else r["reason"] or "no price"
    basis = BASES.get(r["price_basis"] or "", NONE)
    return b.row(r["entity"], name(r["asset"]), number(r["units"]), sent, received, basis, shown, r["currency"] or NONE, value)
