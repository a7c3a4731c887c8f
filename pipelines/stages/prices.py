"""candles + coverage + products + policies → daily_prices: a price, or null with the first reason that holds.

Law 2: a 1-hour candle counts for t iff `start >= t − 24 h` and `start + 1 h <= t`; price = Σ(close · volume) / Σ(volume).
Candles start on the full hour in UTC, so a window is the list of its hour starts and candles join by equality.
Balances and values do not belong here. Only the label NOT_YET_LISTED looks past t.
"""

from __future__ import annotations

import hashlib

import polars as pl

from pipelines.stages import exact
from pipelines.tables import DAILY_PRICES, TEXT

METHOD = "VWAP_24H"
QUOTE = "USD"
PAR_CURRENCIES = ("USD", "EUR", "GBP")

_KEY = ("calendar", "day", "as_of", "asset")
_HOUR = pl.duration(hours=1)


def daily_prices(
    candles: pl.LazyFrame,
    coverage: pl.LazyFrame,
    products: pl.LazyFrame,
    assets: pl.LazyFrame,
    policies: pl.LazyFrame,
    days: pl.LazyFrame,
    first_known: pl.LazyFrame | None = None,
) -> pl.LazyFrame:
    """One row per asset and day. `assets` has asset and asset_class; facts are as known, one version a product.

    Where `candles` holds the windows of `days` only, `first_known` says when each product's first one begins.
    """
    first_known = candles.group_by("product_id").agg(first_known=pl.col("start").min()) if first_known is None else first_known
    markets = _markets(products, assets)
    instants = _instants(days)
    return (
        _assets(assets)
        .join(days, how="cross")
        .join(_policies_in_force(policies, days), on=_KEY, how="left")
        .join(markets, on="asset", how="left")
        .join(products.select(any_product=pl.len() > 0), how="cross")
        .with_columns(product_id=pl.when(~pl.col("par") & pl.col("excluded").is_null()).then("product_id"))
        .join(_trading(candles, markets, instants), on=["product_id", "as_of"], how="left")
        .join(_covered(coverage, markets, instants), on=["product_id", "as_of"], how="left")
        .join(first_known, on="product_id", how="left")
        .with_columns(vwap=_positive(exact.quotient(pl.col("turnover"), pl.col("traded"))), empty=pl.col("candle_count").is_null())
        .with_columns(price_basis=_basis())
        .with_columns(
            price=_by_basis(pl.lit(1), pl.col("fixed_price"), pl.col("vwap")),
            currency=_by_basis(pl.col("asset"), pl.col("fixed_currency"), pl.lit(QUOTE)),
            reason=_reason(),
            method=pl.lit(METHOD),
            candle_count=pl.when(pl.col("product_id").is_not_null()).then(pl.col("candle_count").fill_null(0)),
            volume="traded",
        )
        .select(pl.col(name).cast(dtype) for name, dtype in DAILY_PRICES.schema.items())
    )


def _assets(assets: pl.LazyFrame) -> pl.LazyFrame:
    """Each asset once; `par` says whether it is a currency priced in itself."""
    fiat = (pl.col("asset_class") == "fiat").any() & pl.col("asset").first().is_in(PAR_CURRENCIES)
    return assets.filter(pl.col("asset").is_not_null()).group_by("asset").agg(par=fiat)


def _markets(products: pl.LazyFrame, assets: pl.LazyFrame) -> pl.LazyFrame:
    """The USD pair of each asset that has one."""
    return (
        products.filter(pl.col("quote") == QUOTE)
        .select("product_id", "status", "trading_disabled", asset="base")
        .join(assets, on="asset", how="semi")
        .filter(pl.col("product_id") == pl.col("product_id").min().over("asset"))
    )


def _policies_in_force(policies: pl.LazyFrame, days: pl.LazyFrame) -> pl.LazyFrame:
    """Asset and day → excluded, or the fixed price; of two prices in force the one that began last."""
    since, until, as_of = pl.col("since"), pl.col("until"), pl.col("as_of")
    newest = pl.col("price", "currency").filter(~pl.col("exclude")).last()
    return (
        policies.join(days, how="cross")
        .filter(since.is_null() | (since <= as_of), until.is_null() | (as_of < until))
        .sort("since", nulls_last=False)
        .group_by(_KEY, maintain_order=True)
        .agg(newest.name.prefix("fixed_"), excluded=pl.col("exclude").any())
        .with_columns(fixed_price=exact.in_range(pl.col("fixed_price")))
    )


def _instants(days: pl.LazyFrame) -> pl.LazyFrame:
    """Each as-of once, with the hours its window spans: 24 on the full hour, 23 off it."""
    full = pl.col("as_of") == pl.col("window_end")
    hours = pl.when(full).then(24).otherwise(23)
    return (
        days.select("as_of")
        .unique()
        .with_columns(window_end=pl.col("as_of").dt.truncate("1h"))
        .with_columns(window_start=pl.col("window_end") - pl.duration(hours=hours))
    )


def _trading(candles: pl.LazyFrame, markets: pl.LazyFrame, instants: pl.LazyFrame) -> pl.LazyFrame:
    """Product and as-of → what the candles of its window add up to; no row where there are none."""
    hours = instants.select("as_of", start=pl.datetime_ranges("window_start", "window_end", "1h", closed="left")).explode("start")
    start, turnover = pl.col("start"), pl.col("turnover")
    return (
        candles.join(markets, on="product_id", how="semi")
        .select(
            "product_id", "start", "volume",
            turnover=exact.product(pl.col("close"), pl.col("volume")),
            line=pl.concat_str(start.dt.epoch("s"), _plain("close"), _plain("volume"), separator=",") + "\n",
        )
        .join(hours, on="start")
        .group_by("product_id", "as_of")
        .agg(
            candle_count=pl.len(),
            traded=exact.total(pl.col("volume")),
            turnover=pl.when(turnover.null_count() == 0).then(exact.total(turnover)),
            first_start=start.min(),
            last_end=start.max() + _HOUR,
            evidence=pl.col("line").sort_by("start").str.join(""),
        )
        .with_columns(pl.col("evidence").map_batches(_sha256, return_dtype=TEXT, is_elementwise=True))
    )  # fmt: skip


def _covered(coverage: pl.LazyFrame, markets: pl.LazyFrame, instants: pl.LazyFrame) -> pl.LazyFrame:
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


def _basis() -> pl.Expr:
    return (
        pl.when("par")
        .then(pl.lit("PAR"))
        .when("excluded")
        .then(None)
        .when(pl.col("fixed_price").is_not_null())
        .then(pl.lit("FIXED_POLICY"))
        .when(pl.col("covered") & pl.col("vwap").is_not_null())
        .then(pl.lit("VWAP_24H"))
    )


def _by_basis(par: pl.Expr, fixed: pl.Expr, vwap: pl.Expr) -> pl.Expr:
    basis = pl.col("price_basis")
    return pl.when(basis == "PAR").then(par).when(basis == "FIXED_POLICY").then(fixed).when(basis == "VWAP_24H").then(vwap)


def _reason() -> pl.Expr:
    """The first reason that holds, where there is no price."""
    empty, covered, status = pl.col("empty"), pl.col("covered"), pl.col("status")
    holds = (
        ("EXCLUDED_BY_POLICY", pl.col("excluded")),
        ("OUT_OF_RANGE", pl.col("fixed_currency").is_not_null()),  # a policy whose price cannot be written
        ("NOT_FETCHED", ~pl.col("any_product")),
        ("NO_USD_PAIR", pl.col("product_id").is_null()),
        ("NOT_YET_LISTED", covered & empty & (pl.col("first_known") >= pl.col("window_start"))),
        ("DELISTED", empty & (status == "delisted")),
        ("TRADING_SUSPENDED", empty & (pl.col("trading_disabled") | (status != "online"))),
        ("NOT_FETCHED", ~covered),
        ("NO_CANDLES", empty),
        ("ZERO_VOLUME", pl.col("traded") <= 0),
    )
    first = pl.coalesce(*(pl.when(condition).then(pl.lit(word)) for word, condition in holds), pl.lit("OUT_OF_RANGE"))
    return pl.when(pl.col("price_basis").is_null()).then(first)


def _positive(x: pl.Expr) -> pl.Expr:
    return pl.when(x > 0).then(x)


def _plain(name: str) -> pl.Expr:
    """Decimal text without trailing zeros."""
    return pl.col(name).cast(TEXT).str.strip_chars_end("0").str.strip_chars_end(".")


def _sha256(texts: pl.Series) -> pl.Series:
    """Polars has no sha256: one call per window, never per candle."""
    return pl.Series(texts.name, [hashlib.sha256(text.encode()).hexdigest() for text in texts], dtype=TEXT)
