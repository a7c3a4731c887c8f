"""Statement rows → what is printed of them: values at their currency's minor unit, totals with the exact sum beside the printed one.

The only rounding for display is here: half-even. No total crosses entities or currencies; what has no value is in none.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipelines.stages import exact
from pipelines.tables import INT

MINOR_UNITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""ISO 4217, where it is not two."""
TOTALS = (
    "entity", "portfolio", "currency", "price_basis", "rows", "value", "printed", "printed_lines", "rounding_difference",
    "receivable", "payable", "minor_units",
)  # fmt: skip

_ALL = pl.lit(None, pl.String)


def printed(rows: pl.LazyFrame, **amounts: str) -> pl.LazyFrame:
    """Anything with a currency, and beside it amounts half-even at the currency's `minor_units`; `printed` of `value` unless named."""
    known = pl.col("currency").replace_strict(MINOR_UNITS, default=2, return_dtype=INT)
    rounded = {name: _rounded(pl.col(amount), pl.col("minor_units")) for name, amount in (amounts or {"printed": "value"}).items()}
    return rows.with_columns(minor_units=pl.when(pl.col("currency").is_not_null()).then(known)).with_columns(**rounded)


def _rounded(x: pl.Expr, units: pl.Expr) -> pl.Expr:
    return pl.when(units == 0).then(x.round(0)).when(units == 3).then(x.round(3)).otherwise(x.round(2))


def totals(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of either kind → totals per entity, and per portfolio where rows have one; per currency, and per price basis of it.

    No portfolio means all of them, no price basis every basis of the currency. The rounding difference is what the printed
    lines fall short of the printed total.
    """
    lines = printed(rows.filter(pl.col("value").is_not_null()))
    scopes = ["entity"], *([["entity", "portfolio"]] if "portfolio" in rows.collect_schema() else [])
    sums = [_sums(lines, [*scope, "currency", *basis]) for scope in scopes for basis in ([], ["price_basis"])]
    order = ("entity", "portfolio", "currency", "price_basis")
    return pl.concat(sums).sort(order, nulls_last=[False, True, False, True])


def _sums(lines: pl.LazyFrame, group: Sequence[str]) -> pl.LazyFrame:
    value = pl.col("value")
    sums = lines.group_by(group).agg(
        rows=pl.len(),
        value=exact.total(value),
        printed_lines=exact.total(pl.col("printed")),
        receivable=exact.total(value.filter(value > 0)).fill_null(0),
        payable=exact.total(value.filter(value < 0)).fill_null(0),
    )
    missing = {name: _ALL for name in ("portfolio", "price_basis") if name not in group}
    return printed(sums).with_columns(rounding_difference=pl.col("printed") - pl.col("printed_lines"), **missing).select(TOTALS)


def history(values: pl.LazyFrame, accounts: pl.LazyFrame) -> pl.LazyFrame:
    """daily_values → per day, entity and currency the value of what is priced; a day without any has no row."""
    sums = (
        values.filter(pl.col("value").is_not_null())
        .join(accounts.select("account_id", "entity"), on="account_id")
        .group_by("calendar", "day", "as_of", "entity", "currency")
        .agg(value=exact.total(pl.col("value")), rows=pl.len())
        .filter(pl.col("value").is_not_null())
    )
    return printed(sums).sort("entity", "currency", "as_of")
