"""Roll-forward → PDF: units per account, the value bridge, own transfers, and which event type stands in which column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from pipelines.exports import blocks as b
from pipelines.exports.display import NONE, instant, money, name, number, price, title, units
from pipelines.exports.lines import grouped
from pipelines.exports.model import INDICATIVE, NO_GAINS, RollForward
from pipelines.exports.naming import identity, recorded, scope

OTHER = "other: "
ABREAST = 6
"""Accounts side by side."""
NAMES = {
    "trading_net": "Trading: fees, realised P&L, net",
    "rewards": "Rewards, rebates, payouts",
    "book_opening": "Opening in the book",
    "book_closing": "Closing in the book",
    "closing": "Closing per venue",
    "opening": "Opening per venue",
    "prior_period": "Prior-period items",
    "unexplained": "Unexplained (chain gaps)",
    "closing_adjusted": "Closing, adjusted",
}
ENDS = ("opening", "closing", "closing_adjusted", "book_closing")
PER_VENUE = (
    "Opening and closing are what the venue reported. Unexplained is what its own chain of balances does not account for; it is never "
    "spread over the other columns. The book holds the opening plus every entry: the venue's figure less all that was ever unexplained."
)
BESIDE = (
    "Prior-period items are what came to be known of days before the opening after these were locked; they stand here with their own "
    "dates. Adjustments are what people say is held beside what the venue reports: no other column has them, nor the value bridge."
)


def pdf(movements: RollForward) -> bytes:
    """The roll-forward on paper."""
    heading = movements.heading
    blocks = [*_cover(movements), *_units(movements), *_prior(movements), *_adjustments(movements), *_own(movements)]
    blocks += [*_bridge(movements), *_annex(movements)]
    running = f"Roll-forward · {scope(heading)} · {instant(movements.since)} <= entry < {instant(heading.as_of)}"
    return b.pdf("Roll-forward", running, identity(heading), blocks, heading.as_of)


def _cover(movements: RollForward) -> Iterator[b.Block]:
    heading = movements.heading
    yield b.title("Roll-forward")
    yield b.text(f"{instant(movements.since)} <= entry < {instant(heading.as_of)}", "close")
    yield b.text(heading.mark.words, "strong")
    yield b.text(f"From: {movements.opened}" + (f". Opening {heading.mark.opening}" if heading.mark.opening else ""))
    yield b.text(f"To: {heading.close}")
    yield b.text(recorded(heading))
    yield b.text(f"Scope: {scope(heading)}. Accounts: {movements.rows.height}. Entries: {movements.rows['entries'].sum()}.")
    for note in (PER_VENUE, BESIDE):
        yield b.text(note, "muted")


def _units(movements: RollForward) -> Iterator[b.Block]:
    yield b.heading("Units")
    for portfolio, rows in grouped(movements.rows, "portfolio").items():
        yield b.section(f"{portfolio} · {rows[0]['entity']} · {rows[0]['venue']}")
        for first in range(0, len(rows), ABREAST):
            yield _abreast(movements, rows[first : first + ABREAST])


def _abreast(movements: RollForward, accounts: Sequence[dict[str, Any]]) -> b.Block:
    """A few accounts beside each other, as a controller foots them."""
    theirs = [c for c in movements.columns if not c.startswith(OTHER) or any(a[c] for a in accounts)]
    columns = (
        "opening",
        "opened_in_period",
        *theirs,
        "prior_period",
        "unexplained",
        "closing",
        "adjustments",
        "closing_adjusted",
        "book_closing",
    )
    sides = [("Column", "l"), *((name(a["native_code"]), "r") for a in accounts)]
    rows = [b.row(_words(c), *(_units_of(a, c) for a in accounts), style="total" if c in ENDS else "plain") for c in columns]
    return b.table(sides, rows, whole=True)


def _words(column: str) -> str:
    return name(NAMES.get(column) or (column if column.startswith(OTHER) else title(column)))


def _units_of(account: dict[str, Any], column: str) -> str:
    amount: Decimal | None = account[column]
    if amount is None and column in ("opening", "opened_in_period"):
        return NONE if account["book_closing"] is not None else "unknown"
    return number(amount) if amount is not None and "clos" in column else units(amount)


def _prior(movements: RollForward) -> Iterator[b.Block]:
    if movements.prior.is_empty():
        return
    yield b.heading("Prior-period items")
    columns = [("Portfolio", "l"), ("Code", "w"), ("Entry of", "l"), ("Event type", "l"), ("Amount", "r"), ("Recorded", "l"), ("", "l")]
    yield b.table(
        columns,
        [
            b.row(
                r["portfolio"], name(r["native_code"]), instant(r["occurred_at"]), name(r["event_type"]), units(r["amount"]),
                instant(r["recorded_at"]), "no longer shown" if r["withdrawn"] else "late",
            )
            for r in movements.prior.to_dicts()
        ],
    )  # fmt: skip


def _adjustments(movements: RollForward) -> Iterator[b.Block]:
    if movements.adjustments.is_empty():
        return
    yield b.heading("Adjustments")
    columns = [
        ("Portfolio", "l"),
        ("Code", "w"),
        ("From", "l"),
        ("Amount", "r"),
        ("Author", "l"),
        ("Approver", "l"),
        ("Reason, document", "w"),
    ]
    yield b.table(
        columns,
        [
            b.row(
                r["portfolio"], name(r["native_code"]), instant(r["occurred_at"]), units(r["amount"]), name(r["author"]),
                name(r["approver"]), name(f"{r['reason']}; {r['document']}"),
            )
            for r in movements.adjustments.to_dicts()
        ],
    )  # fmt: skip


def _own(movements: RollForward) -> Iterator[b.Block]:
    if movements.own_transfers.is_empty():
        return
    yield b.heading("Own transfers, by entity")
    columns = [("Entity", "l"), ("Asset", "l"), ("Out", "r"), ("In", "r"), ("In transit, or not marked as own by the other venue", "r")]
    rows = movements.own_transfers.to_dicts()
    yield b.table(columns, [b.row(r["entity"], name(r["asset"]), units(r["out"]), units(r["into"]), units(r["left"])) for r in rows])


BRIDGE_COLUMNS = (
    ("Portfolio", "l"), ("Code", "w"), ("Cur", "l"), ("Opening value", "r"), ("Opening units", "r"), ("Price change", "r"),
    ("Price effect", "r"), ("Net movement", "r"), ("Closing price", "r"), ("Movement value", "r"), ("Closing value", "r"),
)  # fmt: skip


def _bridge(movements: RollForward) -> Iterator[b.Block]:
    yield b.heading("Value bridge (not gain or loss)")
    yield b.text("opening value + opening units × (closing price − opening price) + net movement × closing price = closing value", "muted")
    held = [r for r in movements.bridge.to_dicts() if r["opening_units"] or r["movement_units"] or r["opening_units"] is None]
    if priced := [r for r in held if r["reason"] is None]:
        yield b.table(BRIDGE_COLUMNS, [*(_bridge_row(r) for r in priced), *(_bridge_total(r) for r in movements.bridge_totals.to_dicts())])
    if lacking := [f"{r['portfolio']} {name(r['native_code'])} {r['reason']}" for r in held if r["reason"]]:
        yield b.text("Not bridged: " + "; ".join(lacking))
    yield b.text("Each amount is rounded half-even to the minor unit by itself; the exact ones stand in the other forms.", "muted")
    yield b.text(f"{INDICATIVE} {NO_GAINS}", "muted")


def _bridge_row(r: dict[str, Any]) -> b.Row:
    change = None if r["opening_price"] is None else r["closing_price"] - r["opening_price"]
    opening, effect, moved, closing = _values(r)
    prices = (price(change, 0), effect, units(r["movement_units"]), price(r["closing_price"], 0))
    return b.row(r["portfolio"], name(r["native_code"]), r["currency"], opening, units(r["opening_units"]), *prices, moved, closing)


def _bridge_total(r: dict[str, Any]) -> b.Row:
    opening, effect, moved, closing = _values(r)
    return b.row(f"Total of {name(r['entity'])}", "", r["currency"], opening, "", "", effect, "", "", moved, closing, style="total")


def _values(row: dict[str, Any]) -> list[str]:
    return [money(row, f"printed_{part}") for part in ("opening_value", "price_effect", "movement_value", "closing_value")]


def _annex(movements: RollForward) -> Iterator[b.Block]:
    yield b.heading("Annex: event type → column")
    columns = [("Venue", "l"), ("Event type", "l"), ("Increases stand in", "l"), ("Decreases stand in", "l"), ("Entries", "r")]
    rows = movements.annex.to_dicts()
    yield b.table(
        columns,
        [b.row(r["venue"], name(r["event_type"]), _words(r["increases"]), _words(r["decreases"]), str(r["entries"])) for r in rows],
    )
