"""Difference → PDF, or pages of a statement: what a revision changed, by how much, and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl

from pipelines.exports import blocks as b
from pipelines.exports.display import NONE, instant, name, number, price, units
from pipelines.exports.model import Difference
from pipelines.exports.naming import identity, scope

MOST = 400
"""Lines of each list on paper; the other forms hold all of them."""
SEPARATE = {
    "NEWLY_PRICED": "Newly priced",
    "NEWLY_UNPRICED": "Newly unpriced",
    "ADDED": "Rows added",
    "REMOVED": "Rows removed",
    "OTHER_CURRENCY": "Other currency",
    "STATUS": "Status changed",
}
EFFECTS = "Effects: (new balance − old balance) × old price, then new balance × (new price − old price)."
CHANGE_COLUMNS = (
    ("Portfolio", "l"), ("Code", "w"), ("Balance old", "r"), ("Balance new", "r"), ("Price old", "r"), ("Price new", "r"), ("Cur", "l"),
    ("Quantity effect", "r"), ("Price effect", "r"), ("Change", "r"), ("Cause", "w"),
)  # fmt: skip


def pdf(difference: Difference) -> bytes:
    """The difference on paper, alone."""
    heading = difference.heading
    running = f"Difference · {scope(heading)} · {heading.close}"
    return b.pdf("Difference", running, identity(heading), list(blocks(difference)), heading.as_of)


def blocks(difference: Difference) -> Iterator[b.Block]:
    heading, before = difference.heading, difference.before
    was = datetime.fromisoformat(str(before["known_at"]))
    same = before["policies_sha256"] == heading.policies_sha256
    yield b.title("Difference")
    yield b.text(f"No. {heading.mark.number} supersedes No. {heading.mark.supersedes}", "strong")
    yield b.text(
        f"Information up to: {instant(was)} (publication {before['publication']}) → {instant(heading.known_at)} "
        f"(publication {heading.publication}). Policies: {'unchanged' if same else 'changed'}."
    )
    if heading.mark.locked:
        yield b.text(f"Locked: {heading.mark.locked}")
    if heading.mark.later:
        yield b.text(f"Post-close items not applied: {heading.mark.later}.")
    yield from _changed(difference)
    yield from _totals(difference)
    yield from _separate(difference)
    yield from _causes(difference)


def _changed(difference: Difference) -> Iterator[b.Block]:
    changed = difference.lines.filter(pl.col("kind") == "CHANGED")
    yield b.heading(f"Changes ({changed.height})")
    if changed.is_empty():
        yield b.text("No balance and no price changed.")
        return
    yield b.table(CHANGE_COLUMNS, [_change(r) for r in changed.head(MOST).to_dicts()])
    yield b.text(EFFECTS, "muted")
    yield from _more(changed.height)


def _change(r: dict[str, Any]) -> b.Row:
    prices = (price(r[f"price_{side}"], 0) if r[f"price_{side}"] is not None else NONE for side in ("old", "new"))
    amounts = (_amount(r[name]) for name in ("quantity_effect", "price_effect", "change"))
    balances = (_balance(r["balance_old"]), _balance(r["balance_new"]))
    return b.row(name(r["portfolio"]), name(r["native_code"]), *balances, *prices, r["currency"] or NONE, *amounts, r["causes"] or NONE)


def _balance(x: Decimal | None) -> str:
    return "unknown" if x is None else number(x)


def _amount(x: Decimal | None) -> str:
    return NONE if not x else number(x)


def _totals(difference: Difference) -> Iterator[b.Block]:
    for t in difference.totals.to_dicts():
        what = f"{name(t['entity'])} total {t['currency']} {number(t['value_old'])} → {number(t['value_new'])}"
        yield b.text(f"{what}    change {number(t['change'])}    unexplained {number(t['unexplained'])}", "strong")


def _separate(difference: Difference) -> Iterator[b.Block]:
    yield b.heading("Separate from effects")
    for kind, words in SEPARATE.items():
        rows = difference.lines.filter(pl.col("kind") == kind)
        said = "; ".join(_alone(r) for r in rows.head(MOST).to_dicts())
        yield b.text(f"{words}: {said or 'none'}")


def _alone(r: dict[str, Any]) -> str:
    what = f"{r['currency']} {number(r['change'])}" if r["change"] else units(r["balance_new"])
    return f"{name(r['portfolio'])} {name(r['native_code'])} {what}" + (f" (cause {r['causes']})" if r["causes"] else "")


def _causes(difference: Difference) -> Iterator[b.Block]:
    yield b.heading(f"Causes ({difference.causes.height})")
    if difference.causes.is_empty():
        yield b.text("The evidence is the same.")
        return
    columns = [("", "r"), ("What", "l"), ("Of", "l"), ("At", "l"), ("Was", "w"), ("Is", "w"), ("Recorded", "l"), ("Page", "l")]
    yield b.table(columns, [_cause(r) for r in difference.causes.head(MOST).to_dicts()])
    yield from _more(difference.causes.height)


def _cause(r: dict[str, Any]) -> b.Row:
    what = r["kind"].replace("_", " ").lower()
    of = " ".join(name(part) for part in (r["portfolio"], r["native_code"] or r["asset"]) if part)
    when = (r["recorded_at"] or NONE, (r["page_sha256"] or NONE)[:8])
    return b.row(str(r["cause"]), what, of, r["at"] or NONE, name(r["was"]), name(r["now"]), *when)


def _more(count: int) -> Iterator[b.Block]:
    if count > MOST:
        yield b.text(f"The {count - MOST} others stand in the other forms.", "muted")
