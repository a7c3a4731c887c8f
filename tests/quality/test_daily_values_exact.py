"""value = balance × price by integer limbs, against Python's decimal on random digits."""

from __future__ import annotations

import random
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import polars as pl

from pipelines import tables as t
from pipelines.quality import check, rules
from tests.ledger_text import instant
from tests.quality.book import PUBLICATION, write

LAST = Decimal("0.000000000000000001")
EXACT = next(rule for rule in rules() if rule.name == "daily_values_exact")


def product(balance: Decimal, price: Decimal) -> Decimal:
    with localcontext(prec=80):
        return (balance * price).quantize(LAST, ROUND_HALF_EVEN)


def random_pairs(count: int) -> list[tuple[Decimal, Decimal]]:
    """Any size and sign, ties between two last digits among them, all with a product in range."""
    dice = random.Random(20250131)
    found = []
    with localcontext(prec=80):
        while len(found) < count:
            balance = Decimal(dice.choice((1, -1)) * dice.randrange(10 ** dice.randint(1, 36))).scaleb(-18)
            price = Decimal(dice.randrange(10 ** dice.randint(1, 36))).scaleb(-18)
            if dice.random() < 0.2:  # an odd number of halves
                price = Decimal(dice.randrange(1, 10**6, 2)) / 2
                balance = Decimal(dice.randrange(-(10**9), 10**9)).scaleb(-18)
            if abs(balance * price) < Decimal(10) ** 18:
                found.append((balance, price))
    return found


def values(cases: list[tuple[Decimal, Decimal, Decimal]]) -> pl.DataFrame:
    same = {
        "calendar": "utc",
        "day": instant("2025-01-01").date(),
        "as_of": instant("2025-01-02"),
        "price_basis": "VWAP_24H",
        "currency": "USD",
    }
    return t.DAILY_VALUES.frame(same | {"account_id": n, "balance": b, "price": p, "value": v} for n, (b, p, v) in enumerate(cases))


def test_every_right_value_passes_and_one_unit_in_the_last_place_does_not(tmp_path):
    pairs = random_pairs(4000)
    right = [(b, p, product(b, p)) for b, p in pairs]
    [finding] = check(write(tmp_path / "right.duckdb", {"daily_values": values(right)}), PUBLICATION, among=[EXACT])
    assert finding.passed, finding.rows
    assert finding.looked_at == len(pairs)
    with localcontext(prec=80):
        wrong = [(b, p, v + LAST * (-1) ** n) for n, (b, p, v) in enumerate(right)]
    [finding] = check(write(tmp_path / "wrong.duckdb", {"daily_values": values(wrong)}), PUBLICATION, among=[EXACT])
    assert finding.violations == len(pairs)
