"""Behind each balance stands what was read of it; behind each price, which hours were."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from pipelines import tables as t
from pipelines.stages import proofs
from tests.ledger_text import D, instant, rows

AS_OF = instant("2025-01-02T00:30:00Z")


def test_hours_are_needed_read_empty_or_not_read() -> None:
    start = instant("2025-01-01T01:00:00Z")
    assert proofs._hours(AS_OF - timedelta(hours=24), AS_OF)[0] == start, "23 whole hours off the hour"
    markets = pl.LazyFrame({"asset": ["BTC"], "product_id": ["BTC-USD"]})
    priced = pl.LazyFrame({"asset": ["BTC", "XYZ"], "price": ["5", None], "reason": [None, "NO_USD_PAIR"]})
    priced = priced.with_columns(price_basis=pl.lit("VWAP_24H"), currency=pl.lit("USD"))
    candles = pl.LazyFrame({"asset": ["BTC"], "start": [start]}, schema={"asset": pl.String, "start": t.INSTANT})
    coverage = rows(t.CANDLE_COVERAGE, """
        product_id | since                | until                | final
        BTC-USD    | 2025-01-01T00:00:00Z | 2025-01-01T10:00:00Z | true
        BTC-USD    | 2025-01-01T10:00:00Z | 2025-01-01T12:00:00Z | false     # not final: not read
    """, asked_at=AS_OF, recorded_at=AS_OF)  # fmt: skip
    versions = pl.LazyFrame({"retired_at": [AS_OF, None]}, schema={"retired_at": t.INSTANT}).with_columns(product_id=pl.lit("BTC-USD"))
    found = proofs.prices(priced, markets, candles, coverage.lazy(), versions, AS_OF).collect()
    assert found.select("asset", "hours_needed", "hours_read", "hours_empty", "hours_not_read", "revised").rows() == [
        ("BTC", 23, 9, 8, 14, 1),
        ("XYZ", None, None, None, None, 0),
    ]


def test_an_account_without_entries_or_opening_says_so() -> None:
    statuses = ["balance_status", "movements_status", "status_reasons"]
    words = ["entity", "venue", "portfolio", "native_code", "read_through", "balance", *statuses]
    book = pl.LazyFrame({name: ["x"] for name in words})
    named = book.select("portfolio", "native_code", account_id=pl.lit(1, t.INT))
    empty = (table.empty().lazy() for table in (t.OPENINGS, t.POSTINGS, t.CHAIN_BREAKS, t.TIE_OUTS))
    [line] = proofs.accounts(book, named, *empty).collect().to_dicts()
    assert (line["opening"], line["entries"], line["breaks"], line["missing"], line["tie_out"]) == ("UNKNOWN", 0, 0, D(0), "NO_TIE_OUT")
