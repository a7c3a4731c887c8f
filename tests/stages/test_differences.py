"""What a revision changed is told to the last digit: effects and what stands apart add up to the change of every total."""

from __future__ import annotations

import os
from collections import defaultdict
from decimal import ROUND_HALF_EVEN, Context, Decimal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stages import differences
from pipelines.tables import MONEY
from tests.ledger_text import D

WIDE = Context(prec=80, rounding=ROUND_HALF_EVEN)
MANY = int(os.environ.get("CLOSEBOOK_TORTURE", "40"))
ROW = {
    "entity": pl.String, "portfolio": pl.String, "native_code": pl.String, "asset": pl.String, "balance": MONEY, "price": MONEY,
    "currency": pl.String, "value": MONEY, "reason": pl.String, "balance_status": pl.String, "movements_status": pl.String,
    "status_reasons": pl.String,
}  # fmt: skip
WORDS = {"balance_status": "COMPLETE", "movements_status": "NOT_TESTED"}


def row(code: str, balance: str | None, price: str | None, currency: str = "USD", **words: object) -> dict[str, object]:
    held, each = (D(x) if x is not None else None for x in (balance, price))
    value = None if held is None or each is None else WIDE.quantize(WIDE.multiply(held, each), D("1e-18"))
    told = {"entity": "acme", "portfolio": "desk", "native_code": code, "asset": code, "balance": held, "price": each}
    return {**told, "currency": currency if each is not None else None, "value": value, **WORDS, **words}


def frame(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=ROW)


def test_quantity_comes_first_at_the_old_price_and_price_at_the_new_balance() -> None:
    old = frame(row("BTC", "12.5", "101250"), row("ETH", "5.123456", "3300"), row("SOL", "1", "200"))
    new = frame(row("BTC", "12.45", "101250"), row("ETH", "5.123456", "3300.4"), row("SOL", "1", "200"))
    found = differences.lines(old, new)
    told = {r["native_code"]: (r["quantity_effect"], r["price_effect"], r["change"]) for r in found.to_dicts()}
    assert told == {"BTC": (D("-5062.5"), D(0), D("-5062.5")), "ETH": (D(0), D("2.0493824"), D("2.0493824"))}
    [total] = differences.totals(old, new, found).to_dicts()
    assert (total["change"], total["unexplained"]) == (D("-5060.4506176"), D(0))


def test_what_has_a_value_on_one_side_only_stands_apart() -> None:
    old = frame(row("A", "1", "5"), row("B", "1", None), row("C", "1", "5"), row("E", "1", "5"), row("F", None, None))
    new = frame(row("A", "1", None), row("B", "1", "7"), row("D", "1", "5"), row("E", "1", "4", "EUR"), row("F", "3", None))
    found = differences.lines(old, new)
    told = found.select("native_code", "kind", "currency", "separate").rows()
    assert told == [
        ("A", "NEWLY_UNPRICED", "USD", D(-5)), ("B", "NEWLY_PRICED", "USD", D(7)), ("C", "REMOVED", "USD", D(-5)),
        ("D", "ADDED", "USD", D(5)), ("E", "OTHER_CURRENCY", "EUR", D(4)), ("E", "OTHER_CURRENCY", "USD", D(-5)),
        ("F", "CHANGED", None, None),
    ]  # fmt: skip
    assert set(differences.totals(old, new, found)["unexplained"]) == {D(0)}


def test_a_status_alone_is_a_line_without_an_amount() -> None:
    old, new = frame(row("BTC", "1", "2")), frame(row("BTC", "1", "2", balance_status="EXCEPTION", status_reasons="CHAIN_BREAK"))
    [line] = differences.lines(old, new).to_dicts()
    assert (line["kind"], line["change"]) == ("STATUS", D(0))
    assert differences.lines(old, old).is_empty()


UNITS = st.none() | st.decimals(D("-1e9"), D("1e9"), places=18)
PRICES = st.none() | st.decimals(D("1e-18"), D("1e8"), places=18)
SIDE = st.dictionaries(st.sampled_from("ABCDEF"), st.tuples(UNITS, PRICES, st.sampled_from(["USD", "EUR"])), max_size=6)


@settings(max_examples=MANY, deadline=None)
@given(SIDE, SIDE)
def test_lines_add_up_to_the_change_of_every_total(old, new) -> None:
    sides = [
        frame(*(row(code, *(None if x is None else str(x) for x in (b, p)), c) for code, (b, p, c) in side.items())) for side in (old, new)
    ]
    found = differences.lines(*sides)
    change: dict[str, Decimal] = defaultdict(Decimal)
    for sign, side in zip((-1, 1), sides, strict=True):
        for currency, value in side.drop_nulls("value").select("currency", "value").iter_rows():
            change[currency] = WIDE.add(change[currency], sign * value)
    told: dict[str, Decimal] = defaultdict(Decimal)
    for r in found.drop_nulls("change").to_dicts():
        parts = [r[name] or D(0) for name in ("quantity_effect", "price_effect", "separate")]
        assert WIDE.add(WIDE.add(parts[0], parts[1]), parts[2]) == r["change"]
        told[r["currency"]] = WIDE.add(told[r["currency"]], r["change"])
    assert {c: x for c, x in told.items() if x} == {c: x for c, x in change.items() if x}
    totals = differences.totals(*sides, found)
    assert all(x == 0 for x in totals["unexplained"])
    assert {c: x for c, x in totals.select("currency", "change").iter_rows() if x} == {c: x for c, x in change.items() if x}


def evidence(**tables: list[dict[str, str | None]]) -> dict[str, pl.DataFrame]:
    schemas = {
        "postings": (*differences.ENTRY, "recorded_at", "page_sha256", "balance_after"),
        "openings": ("portfolio", "native_code", "kind", "amount", "opened_at", "document", "recorded_at"),
        "accounts": ("portfolio", "native_code", "asset", "network", "asset_class"),
        "candles": ("asset", "product_id", "start", "close", "volume", "recorded_at"),
        "policies": ("asset", "name", "exclude", "price", "currency", "same_as", "since", "until"),
    }
    return {name: pl.DataFrame(tables.get(name, []), schema=dict.fromkeys(columns, pl.String)) for name, columns in schemas.items()}


def test_causes_are_what_the_evidence_of_one_side_lacks_or_says_otherwise() -> None:
    entry = {"portfolio": "desk", "native_code": "BTC", "event_type": "match", "event_id": "1", "occurred_at": "2025-01-30", "amount": "1"}
    candle = {"asset": "BTC", "product_id": "BTC-USD", "start": "2025-01-31T14:00:00Z", "close": "5", "volume": "1"}
    old = evidence(postings=[entry, entry | {"event_id": "9"}], candles=[candle])
    restated = entry | {"balance_after": "7"}
    late = entry | {"event_id": "2", "amount": "-0.05", "recorded_at": "2025-02-19"}
    new = evidence(
        postings=[restated, late], candles=[candle | {"close": "6"}], openings=[{"portfolio": "desk", "native_code": "ETH", "amount": "3"}]
    )
    because = differences.causes(old, new)
    assert because.select("cause", "kind", "native_code", "was", "now").rows() == [
        (1, "CANDLE", None, "BTC-USD 5 1", "BTC-USD 6 1"),
        (2, "LATE_ENTRY", "BTC", None, "match -0.05, entry 2"),
        (3, "OPENING", "ETH", None, "– 3 – –"),
        (4, "WITHDRAWN_ENTRY", "BTC", "match 1, entry 9", None),
    ]
    found = differences.lines(frame(row("BTC", "1", "5"), row("SOL", "1", "5")), frame(row("BTC", "2", "6"), row("SOL", "2", "5")))
    assert differences.with_causes(found, because).select("native_code", "causes").rows() == [("BTC", "1, 2, 4"), ("SOL", "")]
