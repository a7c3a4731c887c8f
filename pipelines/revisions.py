"""The files of two bundles → what the later one changed. What is different is found by `stages.differences`, from both sides' words."""

from __future__ import annotations

import json
from collections.abc import Mapping

import polars as pl

from pipelines.exports.bundle import MANIFEST
from pipelines.exports.model import Difference, Heading
from pipelines.exports.tabular import read
from pipelines.stages import differences
from pipelines.tables import MONEY

Files = Mapping[str, bytes]
_EVIDENCE = ("accounts", "openings", "postings", "candles", "policies")
_NUMBERS = ("balance", "price", "value")


def difference(heading: Heading, old: Files, new: Files) -> Difference:
    """Of the superseded bundle and the one that is being made, as far as its evidence."""
    was, now = (_rows(files) for files in (old, new))
    because = differences.causes(*({name: read(files[f"evidence/{name}.csv"]) for name in _EVIDENCE} for files in (old, new)))
    found = differences.with_causes(differences.lines(was, now), because)
    before = {name: said for name, said in json.loads(old[MANIFEST]).items() if isinstance(said, str | int)}
    return Difference(heading, before, found, differences.totals(was, now, found), because)


def opening(number: str, issued: Files, rows: pl.DataFrame) -> str:
    """Whether a roll-forward opens with the balances that were issued of that instant."""
    both = (
        _rows(issued)
        .select(*differences.KEY, "balance")
        .join(rows.select(*differences.KEY, "book_opening"), on=differences.KEY, how="full")
    )
    apart = both.filter(pl.col("balance").fill_null(0) != pl.col("book_opening").fill_null(0)).height
    return f"agrees to No. {number}: {'yes' if not apart else f'no, {apart} accounts differ'}"


def _rows(files: Files) -> pl.DataFrame:
    return read(files["by_portfolio.csv"]).with_columns(pl.col(_NUMBERS).cast(MONEY))
