"""Arithmetic that is exact, half-even, and null where it does not fit."""

from decimal import Decimal

import polars as pl
import pytest

from pipelines.stages import exact
from pipelines.tables import MONEY
from tests.ledger_text import D

TINY = "0.000000000000000001"
ALMOST = "999999999999999999.999999999999999999"


def pair(a, b):
    return pl.LazyFrame({"a": [a and D(a)], "b": [b and D(b)]}, schema={"a": MONEY, "b": MONEY})


@pytest.mark.parametrize(
    ("a", "b", "product"),
    [
        ("2", "1.5", "3"),
        ("0.5", "0.000000000000000001", "0"),  # half of the last place: to even, here 0
        ("0.5", "0.000000000000000003", "0.000000000000000002"),  # 1.5 → 2
        ("0.5", "0.000000000000000005", "0.000000000000000002"),  # 2.5 → 2
        ("-0.5", "0.000000000000000003", "-0.000000000000000002"),
        ("-0.5", "0.000000000000000001", "0"),  # there is no −0
        (ALMOST, "1", ALMOST),
        (ALMOST, "-1", "-" + ALMOST),
        (ALMOST, "1.000000000000000001", None),
        ("1000000000", "1000000000", None),  # 1e18 is the first that does not fit
        ("500000000000000000", "300", None),  # this one raises when it is not guarded
        (None, "1", None),
    ],
)
def test_products(a, b, product):
    got = pair(a, b).select(exact.product(pl.col("a"), pl.col("b"))).collect().item()
    assert got == (None if product is None else D(product))
    assert str(got) != "-0.000000000000000000"


@pytest.mark.parametrize(
    ("a", "b", "quotient"),
    [
        ("1", "3", "0.333333333333333333"),
        ("2", "3", "0.666666666666666667"),
        (TINY, "2", "0"),
        ("0.000000000000000003", "2", "0.000000000000000002"),
        ("0.000000000000000005", "2", "0.000000000000000002"),
        ("1", "0", None),
        ("0", "0", None),
        (ALMOST, TINY, None),
        ("1", TINY, None),
        ("0.999999999999999999", TINY, "999999999999999999"),
    ],
)
def test_quotients(a, b, quotient):
    got = pair(a, b).select(exact.quotient(pl.col("a"), pl.col("b"))).collect().item()
    assert got == (None if quotient is None else D(quotient))


def test_a_sum_that_overflows_is_null_for_its_own_group_only():
    frame = pl.LazyFrame(
        {
            "group": ["sane"] * 2 + ["large"] * 2 + ["absurd"] * 400 + ["nothing"],
            "x": [D("1.5")] * 2 + [D("6e17")] * 2 + [D(ALMOST)] * 400 + [None],
        },
        schema={"group": pl.String, "x": MONEY},
    )
    got = dict(frame.group_by("group").agg(exact.total(pl.col("x"))).collect().rows())
    assert got == {"sane": D(3), "large": None, "absurd": None, "nothing": None}


def test_terms_out_of_range_may_cancel():
    frame = pl.LazyFrame({"x": [D(ALMOST), D(ALMOST), D("-" + ALMOST)]}, schema={"x": MONEY})
    assert frame.select(exact.total(pl.col("x"))).collect().item() == D(ALMOST)


def test_a_running_total_beyond_any_sane_sum_is_null_from_there_on():
    frame = pl.LazyFrame({"k": [1] * 200 + [2], "x": [Decimal("9e17")] * 201}, schema={"k": pl.Int32, "x": MONEY})
    got = frame.with_columns(s=exact.running_total(pl.col("x"), "k")).collect()
    assert got["s"][0] == D("9e17")
    assert got["s"][199] is None
    assert got["s"][200] == D("9e17")
