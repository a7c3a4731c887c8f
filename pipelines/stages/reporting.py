"""Rates + days → the rate of each day; with values in their own currencies → the same in one reporting currency, beside them.

No rate is made up: a day's rate is the newest that was known at its cut-off, it says of which date it is, and none that is older than
its table allows is used. Nothing is converted twice, and no total is made here.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import polars as pl

from pipelines.stages import exact
from pipelines.tables import DAILY_RATES, DAY, MONEY, RATES, TEXT

COLUMNS = ("reporting_currency", "reporting_value", "reporting_rate", "rate_date", "reporting_source", "reporting_reason")
PAR = "PAR"
_DAY = ("calendar", "day", "as_of")


def rates(quoted: pl.LazyFrame) -> pl.LazyFrame:
    """Rates as tables print them → units of the reporting currency for one of the other, half-even to 18 places."""
    one = pl.lit(Decimal(1), MONEY)
    rate = pl.when("inverse").then(exact.quotient(one, pl.col("quoted"))).otherwise("quoted")
    return quoted.with_columns(rate=rate).select(RATES.schema.names())


def daily_rates(rates: pl.LazyFrame, days: pl.LazyFrame, currencies: Sequence[str]) -> pl.LazyFrame:
    """One row per day and currency. `rates` are those known, into one reporting currency; where there are none, nothing is told."""
    into = rates.select("reporting_currency").unique()
    asked = days.select(_DAY).join(pl.LazyFrame({"currency": currencies}, schema={"currency": TEXT}), how="cross").join(into, how="cross")
    found = asked.sort("as_of").join_asof(
        rates.select("currency", "rate", "rate_date", "document", "last_day", "known_from").sort("known_from"),
        left_on="as_of",
        right_on="known_from",
        by="currency",
        check_sortedness=False,
    )
    par, too_old = pl.col("currency") == pl.col("reporting_currency"), (pl.col("day") > pl.col("last_day")).fill_null(False)
    usable = pl.col("rate").is_not_null() & ~too_old
    return found.select(
        *_DAY,
        "currency",
        "reporting_currency",
        rate=pl.when(par).then(pl.lit(Decimal(1), MONEY)).when(usable).then("rate"),
        rate_date=pl.when(~par).then("rate_date").cast(DAY),
        source=pl.when(par).then(pl.lit(PAR)).when(usable).then("document"),
        reason=pl.when(par | usable).then(pl.lit(None, TEXT)).when(too_old).then(pl.lit("RATE_TOO_OLD")).otherwise(pl.lit("NO_RATE")),
    ).select(DAILY_RATES.schema.names())


def beside(rows: pl.LazyFrame, rates: pl.LazyFrame) -> pl.LazyFrame:
    """Rows with `currency`, `value` and `reason` of one instant, and that instant's rates → the same rows and COLUMNS after them."""
    told = rates.select("currency", "reporting_currency", "rate_date", reporting_rate="rate", reporting_source="source", no_rate="reason")
    into = rates.select(into="reporting_currency").unique()
    value = exact.product(pl.col("value"), pl.col("reporting_rate"))
    return (
        rows.join(told, on="currency", how="left", maintain_order="left")
        .join(into, how="cross", maintain_order="left")
        .with_columns(reporting_currency="into", reporting_value=value)
        .with_columns(reporting_reason=pl.when(pl.col("reporting_value").is_null()).then(_why()))
        .select(*rows.collect_schema().names(), *COLUMNS)
    )


def in_reporting_currency(rows: pl.DataFrame) -> pl.DataFrame:
    """Per entity the sum of what has a value in the reporting currency, and how many rows that hold something have none."""
    left_out = pl.col("reporting_value").is_null() & (pl.col("balance") != 0).fill_null(True)
    value = exact.total(pl.col("reporting_value"))
    told = rows.lazy().group_by("entity", "reporting_currency")
    return told.agg(reporting_value=value, rows=pl.col("reporting_value").count(), left_out=left_out.sum()).sort("entity").collect()


def _why() -> pl.Expr:
    """The first reason that holds: the value's own, then the rate's."""
    unknown = pl.when(pl.col("value").is_null()).then(pl.lit("NO_VALUE")).otherwise(pl.lit("OUT_OF_RANGE"))
    return pl.coalesce("reason", pl.when(pl.col("value").is_not_null()).then("no_rate"), unknown)
