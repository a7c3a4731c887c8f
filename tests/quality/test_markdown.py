"""Violating rows as a Markdown table: every digit kept, and no text of a venue becomes markup."""

from __future__ import annotations

import polars as pl
import pytest

from pipelines.quality import markdown
from tests.ledger_text import D, instant


def test_every_digit_is_kept_and_nothing_is_an_exponent():
    frame = pl.DataFrame(
        {"amount": [D("0.000000000000000001"), D("-12345678901234567890.100000000000000000"), D("-0"), D("100")]},
        schema={"amount": pl.Decimal(38, 18)},
    )
    assert markdown(frame).splitlines() == [
        "| amount |",
        "| --- |",
        "| 0.000000000000000001 |",
        "| -12345678901234567890.1 |",
        "| 0 |",
        "| 100 |",
    ]


def test_instants_are_utc_and_nothing_is_a_dash():
    frame = pl.DataFrame({"as_of": [instant("2025-01-31"), instant("2025-01-31T23:59:59.999999Z")], "reason": [None, ""]})
    assert markdown(frame).splitlines()[2:] == ["| 2025-01-31T00:00:00Z | – |", "| 2025-01-31T23:59:59.999999Z |  |"]


@pytest.mark.parametrize(
    "text",
    ["a | b", "two\nrows", "two\r\n\r\n# heading", "`code`", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))",
     "back\\|slash", "*bold*", "_leaning_", "~~gone~~", "&#124;", "https://example.org", "line\u2028separator"],
)  # fmt: skip
def test_no_text_can_leave_its_cell_or_become_markup(text):
    table = markdown(pl.DataFrame({"before": ["x"], "text": [text], "after": ["y"]}))
    assert len(table.splitlines()) == 3
    row = table.splitlines()[2]
    assert row.count("|") == 4
    cell = row.split("|")[2]
    assert not set("<>`*[]\\~\n\r\u2028") & set(cell)
    assert "://" not in cell
    assert "_l" not in cell


def test_plain_names_stay_readable():
    assert "VWAP_24H" in markdown(pl.DataFrame({"price_basis": ["VWAP_24H"]}))


def test_what_is_not_shown_is_said():
    assert markdown(pl.DataFrame({"n": range(25)}), limit=20).endswith("\n\n5 more rows are not shown.")
    assert "more" not in markdown(pl.DataFrame({"n": range(20)}), limit=20)


def test_no_rows_are_no_table():
    assert markdown(pl.DataFrame()) == ""
