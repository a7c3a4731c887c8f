"""What is printed of values: half-even at the minor unit, totals with the exact sum beside them."""

import polars as pl
import pytest

from pipelines.stages import totals
from pipelines.tables import MONEY
from tests.ledger_text import D


def lines(*rows):
    schema = {"entity": pl.String, "portfolio": pl.String, "currency": pl.String, "price_basis": pl.String, "value": MONEY}
    return pl.LazyFrame([dict(zip(schema, row, strict=True)) for row in rows], schema=schema)


@pytest.mark.parametrize(
    ("value", "currency", "printed"),
    [
        ("0.125", "USD", "0.12"), ("0.135", "USD", "0.14"), ("-0.125", "USD", "-0.12"), ("0.125000000000000001", "USD", "0.13"),
        ("2.5", "JPY", "2"), ("3.5", "JPY", "4"), ("1.0005", "KWD", "1"), ("1.0015", "KWD", "1.002"), ("1.005", "XYZ", "1"),
    ],
)  # fmt: skip
def test_a_value_is_printed_half_even_at_its_minor_unit(value, currency, printed):
    row = totals.printed(lines(("acme", "desk", currency, "PAR", D(value)))).collect().row(0, named=True)
    assert row["printed"] == D(printed)
    assert row["value"] == D(value), "the exact one stays"


def test_what_has_no_value_is_not_printed():
    assert totals.printed(lines(("acme", "desk", None, None, None))).collect()["printed"].to_list() == [None]


def test_totals_stand_per_portfolio_and_entity_and_currency_and_basis_and_never_across():
    found = totals.totals(
        lines(
            ("acme", "desk", "USD", "PAR", D("10.005")),
            ("acme", "desk", "USD", "VWAP_24H", D("0.005")),
            ("acme", "shop", "USD", "VWAP_24H", D("-3")),
            ("acme", "shop", "EUR", "PAR", D("1")),
            ("zeta", "vault", "USD", "PAR", D("7")),
            ("zeta", "vault", None, None, None),
        )
    ).collect()
    key = ("entity", "portfolio", "currency", "price_basis", "rows", "value", "printed")
    assert found.select(key).rows() == [
        ("acme", "desk", "USD", "PAR", 1, D("10.005"), D("10")),
        ("acme", "desk", "USD", "VWAP_24H", 1, D("0.005"), D("0")),
        ("acme", "desk", "USD", None, 2, D("10.01"), D("10.01")),
        ("acme", "shop", "EUR", "PAR", 1, D("1"), D("1")),
        ("acme", "shop", "EUR", None, 1, D("1"), D("1")),
        ("acme", "shop", "USD", "VWAP_24H", 1, D("-3"), D("-3")),
        ("acme", "shop", "USD", None, 1, D("-3"), D("-3")),
        ("acme", None, "EUR", "PAR", 1, D("1"), D("1")),
        ("acme", None, "EUR", None, 1, D("1"), D("1")),
        ("acme", None, "USD", "PAR", 1, D("10.005"), D("10")),
        ("acme", None, "USD", "VWAP_24H", 2, D("-2.995"), D("-3")),
        ("acme", None, "USD", None, 3, D("7.01"), D("7.01")),
        ("zeta", "vault", "USD", "PAR", 1, D("7"), D("7")),
        ("zeta", "vault", "USD", None, 1, D("7"), D("7")),
        ("zeta", None, "USD", "PAR", 1, D("7"), D("7")),
        ("zeta", None, "USD", None, 1, D("7"), D("7")),
    ]
    whole = found.row(by_predicate=pl.col("portfolio").is_null() & (pl.col("entity") == "acme") & (pl.col("rows") == 3), named=True)
    assert (whole["printed_lines"], whole["rounding_difference"]) == (D("7"), D("0.01"))
    assert (whole["receivable"], whole["payable"]) == (D("10.01"), D("-3"))


def test_a_total_out_of_range_is_none_and_is_not_printed():
    huge = D(9) * 10**17
    row = totals.totals(lines(*[("acme", "desk", "USD", "PAR", huge)] * 2)).collect().row(0, named=True)
    assert (row["rows"], row["value"], row["printed"]) == (2, None, None)
