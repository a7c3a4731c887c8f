"""candles + coverage → what the 24 hours before each instant add up to, a product at a time. Whether that is a price is `prices`' word.

Law 2: a 1-hour candle counts for t iff `start >= t − 24 h` and `start + 1 h <= t`. Candles start on the full hour in UTC, so a
window is the list of its hour starts and candles join by equality.
"""

from __future__ import annotations

import hashlib

import polars as pl

from pipelines.stages import exact
from pipelines.tables import MONEY, TEXT

_HOUR = pl.duration(hours=1)


def instants(days: pl.LazyFrame) -> pl.LazyFrame:
    """Each as-of once, with the hours its window spans: 24 on the full hour, 23 off it."""
    full = pl.col("as_of") == pl.col("window_end")
    hours = pl.when(full).then(24).otherwise(23)
    return (
        days.select("as_of")
        .unique()
        .with_columns(window_end=pl.col("as_of").dt.truncate("1h"))
        .with_columns(window_start=pl.col("window_end") - pl.duration(hours=hours))
    )


def trading(candles: pl.LazyFrame, markets: pl.LazyFrame, instants: pl.LazyFrame) -> pl.LazyFrame:
    """Product and as-of → what the candles of its window add up to, by every method; no row where there are none."""
    hours = instants.select("as_of", "window_end", start=pl.datetime_ranges("window_start", "window_end", "1h", closed="left"))
    start, turnover = pl.col("start"), pl.col("turnover")
    return (
        candles.join(markets, on="product_id", how="semi")
        .select(
            "product_id", "start", "close", "volume",
            turnover=exact.product(pl.col("close"), pl.col("volume")),
            line=pl.concat_str(start.dt.epoch("s"), _plain("close"), _plain("volume"), separator=",") + "\n",
        )
        .join(hours.explode("start"), on="start")
        .group_by("product_id", "as_of")
        .agg(
            candle_count=pl.len(),
            traded=exact.total(pl.col("volume")),
            turnover=pl.when(turnover.null_count() == 0).then(exact.total(turnover)),
            first_start=start.min(),
            last_end=start.max() + _HOUR,
            evidence=pl.col("line").sort_by("start").str.join(""),
            last_close=pl.col("close").sort_by("start").last(),
            day_close=pl.col("close").sort_by("start").filter(start.sort() < pl.col("as_of").first().dt.truncate("1d")).last(),
            held_for=(pl.col("window_end").first() - start.min()).dt.total_hours(),
            held=_held(),
        )
        .with_columns(pl.col("evidence").map_batches(_sha256, return_dtype=TEXT, is_elementwise=True))
    )  # fmt: skip


def _held() -> pl.Expr:
    """Σ close × the hours until the next one: a price holds until somebody trades again."""
    starts = pl.col("start").sort()
    hours = (starts.shift(-1).fill_null(pl.col("window_end").first()) - starts).dt.total_hours()
    return (pl.col("close").sort_by("start") * hours.cast(MONEY)).sum()


def covered(coverage: pl.LazyFrame, markets: pl.LazyFrame, instants: pl.LazyFrame) -> pl.LazyFrame:
    """Product and as-of → whether every hour of the window was asked for and is final."""
    return (
        markets.select("product_id")
        .join(instants, how="cross")
        .sort("product_id", "window_start")
        .join_asof(
            _merged(coverage).sort("product_id", "since"),
            left_on="window_start",
            right_on="since",
            by="product_id",
            strategy="backward",
            check_sortedness=False,  # both sides are sorted here
        )
        .select("product_id", "as_of", "window_start", covered=(pl.col("until") >= pl.col("window_end")).fill_null(False))
    )


def _merged(coverage: pl.LazyFrame) -> pl.LazyFrame:
    """Final intervals, those that overlap or touch made one."""
    reach = pl.col("until").cum_max().over("product_id")
    apart = pl.col("since") > reach.shift(1).over("product_id")
    return (
        coverage.filter("final")
        .sort("product_id", "since", "until")
        .with_columns(island=apart.fill_null(False).cum_sum().over("product_id"))
        .group_by("product_id", "island")
        .agg(pl.col("since").min(), pl.col("until").max())
        .drop("island")
    )


def _plain(name: str) -> pl.Expr:
    """Decimal text without trailing zeros."""
    return pl.col(name).cast(TEXT).str.strip_chars_end("0").str.strip_chars_end(".")


def _sha256(texts: pl.Series) -> pl.Series:
    """Polars has no sha256: one call per window, never per candle."""
    return pl.Series(texts.name, [hashlib.sha256(text.encode()).hexdigest() for text in texts], dtype=TEXT)
