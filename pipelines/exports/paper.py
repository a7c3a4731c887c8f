"""Statement → PDF: cover, tables per portfolio or by asset, charts, and one page on how the numbers are made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from pipelines.exports import blocks as b
from pipelines.exports import changes, drawing
from pipelines.exports.display import money, name, number, units
from pipelines.exports.lines import MARKS, marks_of, tables
from pipelines.exports.method import EXPLAINER
from pipelines.exports.model import BASES, INDICATIVE, NO_GAINS, Statement
from pipelines.exports.naming import identity, recorded, scope

BARS = 12


def pdf(statement: Statement) -> bytes:
    """The statement on paper."""
    heading = statement.heading
    revised = [b.page(), *changes.blocks(statement.difference)] if statement.difference else []
    blocks = [*_cover(statement), *revised, b.page(), *tables(statement), *_charts(statement), b.page(), *_explainer()]
    return b.pdf("Balance statement", f"Balance statement · {scope(heading)} · {heading.close}", identity(heading), blocks, heading.as_of)


def _cover(statement: Statement) -> Iterator[b.Block]:
    heading = statement.heading
    yield b.title("Balance statement")
    yield b.text(heading.mark.words, "strong")
    yield b.text(heading.close, "close")
    yield b.text(recorded(heading))
    if heading.mark.later:
        yield b.text(f"Post-close items not applied: {heading.mark.later}.")
    yield b.text(f"{_found(statement)} Method: 24-hour volume-weighted average; printed values rounded half-even.")
    yield b.heading("Priced totals")
    yield from _entity_totals(statement)
    yield from _unpriced(statement)
    yield b.heading("Control totals")
    yield b.facts([(key, str(said)) for key, said in statement.controls.items()])
    for sentence in (INDICATIVE, NO_GAINS):
        yield b.text(sentence, "muted")


def _found(statement: Statement) -> str:
    c = statement.controls
    balances = ", ".join(f"{c[f'balance {word}']} {word.lower().replace('_', ' ')}" for word in MARKS if c.get(f"balance {word}"))
    return f"Scope: {scope(statement.heading)}, {c['portfolios']}. Balance: {balances or 'no accounts'}. Unpriced: {c['unpriced']}."


def _entity_totals(statement: Statement) -> Iterator[b.Block]:
    rows = statement.totals.filter(pl.col("portfolio").is_null()).to_dicts()
    if not rows:
        yield b.text("Nothing that is held has a price.")
        return
    columns = [("Entity", "l"), ("Currency", "l"), ("Basis", "l"), ("Lines", "r"), ("Indicative value", "r"), ("Exact", "r")]
    yield b.table(columns, [line for row in rows for line in _total_lines(row)])
    for row in rows:
        if row["payable"] and row["price_basis"] is None:
            split = f"receivable {number(row['receivable'])}, payable {number(row['payable'])}"
            yield b.text(f"{name(row['entity'])} {row['currency']}: {split}", "muted")


def _total_lines(row: dict[str, Any]) -> Iterator[b.Row]:
    everything = row["price_basis"] is None
    what = "Priced subtotal" if everything else BASES[row["price_basis"]]
    figures = (str(row["rows"]), money(row), number(row["value"]))
    yield b.row(name(row["entity"]), row["currency"], what, *figures, style="total" if everything else "plain")
    if everything and row["rounding_difference"]:
        yield b.row("", row["currency"], "Rounding difference", "", money(row, "rounding_difference"), "", style="sub")


def _unpriced(statement: Statement) -> Iterator[b.Block]:
    left_out = statement.unpriced
    yield b.heading(f"Unpriced ({left_out.height})")
    if left_out.is_empty():
        yield b.text("Nothing is left out of the totals.")
        return
    columns = [("Portfolio", "l"), ("Code", "l"), ("Asset", "l"), ("Balance", "r"), ("Reason", "l"), ("Marks", "w")]
    yield b.table(
        columns,
        [
            b.row(r["portfolio"], name(r["native_code"]), name(r["asset"]), units(r["balance"]), r["reason"] or "no balance", marks_of(r))
            for r in left_out.to_dicts()
        ],
    )
    if wanted := sorted(set(left_out.filter(pl.col("reason") == "NO_USD_PAIR")["asset"])):
        shown = ", ".join(name(asset) for asset in wanted)
        yield b.text(f"A [[policy]] in the configuration that names asset, price, currency and approver would price: {shown}.", "muted")


def _charts(statement: Statement) -> Iterator[b.Block]:
    if drawn := drawings(statement):
        yield b.page()
        yield b.heading("Allocation and the last 90 closed days")
        yield b.drawings(drawn)


def drawings(statement: Statement) -> list[dict[str, str]]:
    """What is held and how its value moved, as titled vector graphics."""
    return [*_allocation(statement), *_history(statement)]


def _allocation(statement: Statement) -> Iterator[dict[str, str]]:
    valued = statement.assets.filter(pl.col("value").is_not_null() & (pl.col("value") != 0))
    for (entity, currency), rows in valued.group_by("entity", "currency", maintain_order=True):
        largest = rows.sort(pl.col("value").abs(), descending=True).head(BARS).to_dicts()
        more = rows.height - len(largest)
        svg = drawing.bars([(name(r["asset"])[:16], r["value"], money(r)) for r in largest])
        note = f"The {more} smaller ones stand in the table." if more else ""
        yield dict(b.drawing(f"Indicative value by asset, {entity}, {currency}", svg, note))


def _history(statement: Statement) -> Iterator[dict[str, str]]:
    days = sorted(statement.history["day"])
    note = "Priced accounts only, each day as known for this page, issued otherwise or not; the axis does not begin at zero."
    for (entity, currency), rows in statement.history.group_by("entity", "currency", maintain_order=True):
        lowest, highest = (rows.sort("value").row(end, named=True) for end in (0, -1))
        points = list(zip(rows["day"], rows["value"], strict=True))
        svg = drawing.line(points, days[0], days[-1], money(lowest), money(highest))
        yield dict(b.drawing(f"Indicative value at each close, {entity}, {currency}", svg, note))


def _explainer() -> Iterator[b.Block]:
    yield b.title("How these numbers are made")
    for topic, sentence in EXPLAINER:
        yield b.section(topic)
        yield b.text(sentence)
