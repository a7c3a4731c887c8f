"""One number, and what is behind it: opening and entries, market and candles, each formula with its result. Reads a publication only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

import polars as pl

from pipelines.book import Reader, at
from pipelines.errors import UsageError
from pipelines.evidence import Evidence
from pipelines.exports.display import instant, number

_WIDE = Context(prec=90)


def explain(
    source: Reader, as_of: datetime, portfolio: str, asset: str, known_at: datetime | None = None, entries: int = 20
) -> Iterator[str]:
    """Lines to print, for each account of the portfolio whose asset or native code this is; the newest so many entries, 0: all."""
    snapshot = at(source, as_of, known_at, portfolio)
    mine = snapshot.rows.filter((pl.col("asset") == asset) | (pl.col("native_code") == asset))
    if mine.is_empty():
        held = ", ".join(sorted(set(snapshot.rows["native_code"])))
        raise UsageError(f"{portfolio} has no account of {asset!r} at {instant(as_of)}.", f"It has {held or 'none'}.")
    evidence = Evidence(source, as_of, snapshot.known_at, portfolio)
    yield f"As of {instant(as_of)}, as known at {instant(snapshot.known_at)}, publication {snapshot.publication_id}."
    for row in mine.to_dicts():
        yield ""
        yield f"{portfolio} {row['native_code']} ({row['venue']}, asset {row['asset'] or 'unknown'})"
        yield from _balance(evidence, row, entries)
        yield from _price(evidence, row)
        yield from _value(row)


def _balance(evidence: Evidence, row: dict[str, Any], entries: int) -> Iterator[str]:
    mine = pl.col("native_code") == row["native_code"]
    opening = next(iter(evidence.openings.filter(mine).to_dicts()), None)
    if opening is None or opening["amount"] is None:
        yield "Balance: unknown, because the account's opening is."
        return
    document = f", document {opening['document']}" if opening["document"] else ""
    yield f"Opening {number(opening['amount'])} ({opening['kind']}, {instant(opening['opened_at'])}{document})"
    counted = evidence.postings.filter(mine, pl.col("occurred_at") >= opening["opened_at"])
    shown = counted.tail(entries) if entries else counted
    if earlier := counted.height - shown.height:
        yield f"  … {earlier} earlier entries, together {number(_sum(counted.head(earlier)['amount']))}"
    for p in shown.to_dicts():
        known = f"recorded {instant(p['recorded_at'])}, page {p['page_sha256'][:12]}"
        yield f"  {instant(p['occurred_at'])}  {p['event_type']:<20} {number(p['amount']):>28} → {number(p['balance_after']):<28} {known}"
    total = number(_sum(counted["amount"]))
    said = number(row["balance"]) if row["balance"] is not None else "out of range"
    yield f"Balance = opening {number(opening['amount'])} + {counted.height} entries {total} = {said}"
    if row["status_reasons"]:
        yield f"Marked {row['status_reasons'].replace(';', ', ')}"


def _price(evidence: Evidence, row: dict[str, Any]) -> Iterator[str]:
    if row["price"] is None:
        yield f"No price: {row['reason']}"
        return
    asset, basis = row["asset"], row["price_basis"]
    if basis == "ALIAS_POLICY":
        policy = _policy(evidence, row)
        yield f"{asset} is priced as {policy['same_as']} (policy {policy['name']}, approved by {policy['approver']})"
        asset, basis = policy["same_as"], evidence.basis_of(policy["same_as"])
    if basis != "VWAP_24H":
        why = "the currency itself" if basis == "PAR" else "fixed by policy"
        approved = f", approved by {_policy(evidence, row)['approver']}" if row["price_basis"] == "FIXED_POLICY" else ""
        yield f"Price = {row['currency']} {number(row['price'])} ({why}{approved})"
        return
    candles = evidence.candles.filter(pl.col("asset") == asset)
    for c in candles.to_dicts():
        yield f"  {c['product_id']} {instant(c['start'])}  close {number(c['close']):>20}  volume {number(c['volume']):>24}"
    turnover = sum((_rounded(_WIDE.multiply(c, v)) for c, v in candles.select("close", "volume").iter_rows()), Decimal(0))
    volume = _sum(candles["volume"])
    sums = f"Σ(close · volume) {number(turnover)} ÷ Σ volume {number(volume)}"
    yield f"Price = {sums} over {candles.height} candles = {row['currency']} {number(row['price'])}"


def _policy(evidence: Evidence, row: dict[str, Any]) -> dict[str, Any]:
    """The policy in force that prices the row."""
    since, until = pl.col("since"), pl.col("until")
    in_force = evidence.policies.filter(
        pl.col("asset") == row["asset"], ~pl.col("exclude"),
        since.is_null() | (since <= evidence.as_of), until.is_null() | (until > evidence.as_of),
    )  # fmt: skip
    return in_force.row(-1, named=True)


def _value(row: dict[str, Any]) -> Iterator[str]:
    if row["value"] is None:
        yield "No value, and none in any total."
        return
    yield f"Value = {number(row['balance'])} × {number(row['price'])} = {row['currency']} {number(row['value'])}"


def _sum(amounts: pl.Series) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = _WIDE.add(total, amount)
    return total


def _rounded(x: Decimal) -> Decimal:
    return x.quantize(Decimal("1e-18"), context=_WIDE)
