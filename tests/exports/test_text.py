"""Text forms lose nothing: every digit, every null, every instant; CSV reads back as it was written."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipelines.exports import text
from pipelines.tables import INSTANT, MONEY

ROWS = pl.DataFrame(
    {
        "as_of": [datetime(2025, 1, 31, tzinfo=UTC), datetime(2025, 1, 31, 0, 0, 0, 120000, tzinfo=UTC), None],
        "name": ['a,"b"', "x\ny", None],
        "balance": [Decimal("1.500"), Decimal("-100"), None],
        "count": [24, None, 0],
    },
    schema_overrides={"as_of": INSTANT, "balance": MONEY},
)


def test_csv_is_rfc_4180_with_lf_plain_decimals_and_empty_nulls() -> None:
    assert text.csv(ROWS) == 'as_of,name,balance,count\n2025-01-31T00:00:00Z,"a,""b""",1.5,24\n2025-01-31T00:00:00.12Z,"x\ny",-100,\n,,,0\n'


def test_json_keeps_numbers_of_money_as_text_and_counts_as_numbers() -> None:
    body = json.loads(text.to_json({"as_of": ROWS["as_of"][0]}, rows=ROWS))
    assert body["as_of"] == "2025-01-31T00:00:00Z"
    assert body["rows"][0] == {"as_of": "2025-01-31T00:00:00Z", "name": 'a,"b"', "balance": "1.5", "count": 24}
    assert body["rows"][2]["balance"] is None


@given(st.lists(st.decimals(-(10**18) + 1, 10**18 - 1, places=18, allow_nan=False), min_size=1, max_size=20))
def test_every_decimal_reads_back_without_exponent_or_trailing_zeros(amounts: list[Decimal]) -> None:
    written = text.csv(pl.DataFrame({"x": amounts}, schema={"x": MONEY}))
    read = [row["x"] for row in csv.DictReader(io.StringIO(written))]
    assert [Decimal(cell) for cell in read] == amounts
    assert not any("e" in cell.lower() or ("." in cell and cell.endswith("0")) or cell == "-0" for cell in read)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001 # hypothesis wants naive bounds
def test_every_instant_reads_back(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    assert datetime.fromisoformat(text.instant(aware)) == aware
    assert text.plain(pl.DataFrame({"t": [aware]}, schema={"t": INSTANT}))["t"].to_list() == [text.instant(aware)]
