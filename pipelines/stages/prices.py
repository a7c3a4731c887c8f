"""candles + coverage + products + policies → daily_prices: a price, or null with the first reason that holds.

price = Σ(close · volume) / Σ(volume) over the window that `windows` adds up; other methods stand beside it where there is a
market. Balances and values do not belong here. Only the label NOT_YET_LISTED looks past t.
"""

from __future__ import annotations

import polars as pl

from pipelines.stages import exact, windows
from pipelines.tables import BOUND_STATUSES, DAILY_PRICES, LONG, METHOD, MONEY

QUOTE = "USD"
PAR_CURRENCIES = ("USD", "EUR", "GBP")

_KEY = ("calendar", "day", "as_of", "asset")
_OF_MARKET = ("candle_count", "volume", "first_start", "last_end", "evidence")
_BESIDE = {
    "LAST_CLOSE": pl.col("last_close"),
    "TWAP_24H": exact.quotient(pl.col("held"), pl.col("held_for").cast(MONEY)),
    "DAY_CLOSE": pl.col("day_close"),
}
"""What other methods say: the last candle closed before t, the closes weighted by the hours they held, the last close of the UTC day."""


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
    return _by_default(_judged(candles, coverage, products, assets, policies, days, first_known), assets)


def side_by_side(
    candles: pl.LazyFrame,
    coverage: pl.LazyFrame,
    products: pl.LazyFrame,
    assets: pl.LazyFrame,
    policies: pl.LazyFrame,
    days: pl.LazyFrame,
    first_known: pl.LazyFrame | None = None,
) -> pl.LazyFrame:
    """The same, and beside it a row of every other method for each asset that has a market."""
    judged = _judged(candles, coverage, products, assets, policies, days, first_known).collect().lazy()
    beside = (_by_method(judged, assets, method, says) for method, says in _BESIDE.items())
    return pl.concat([_by_default(judged, assets), *beside])


def _judged(
    candles: pl.LazyFrame,
    coverage: pl.LazyFrame,
    products: pl.LazyFrame,
    assets: pl.LazyFrame,
    policies: pl.LazyFrame,
    days: pl.LazyFrame,
    first_known: pl.LazyFrame | None,
) -> pl.LazyFrame:
    """Asset and day → its market's window, the policy in force, and what its hours say."""
    first_known = candles.group_by("product_id").agg(first_known=pl.col("start").min()) if first_known is None else first_known
    every = with_aliased(assets, policies)
    markets, instants = _markets(products, every), windows.instants(days)
    policy = pl.col("fixed_currency").is_not_null() | pl.col("same_as").is_not_null()
    return (
        _assets(every)
        .join(days, how="cross")
        .join(_policies_in_force(policies, days), on=_KEY, how="left")
        .with_columns(pl.col("excluded").fill_null(False))
        .join(markets, on="asset", how="left")
        .join(products.select(any_product=pl.len() > 0), how="cross")
        .with_columns(product_id=pl.when(~pl.col("par") & ~pl.col("excluded")).then("product_id"))
        .join(windows.trading(candles, markets, instants), on=["product_id", "as_of"], how="left")
        .join(windows.covered(coverage, markets, instants), on=["product_id", "as_of"], how="left")
        .join(first_known, on="product_id", how="left")
        .with_columns(empty=pl.col("candle_count").is_null(), by_policy=~pl.col("par") & policy)
        .with_columns(
            vwap=pl.when("covered").then(_positive(exact.quotient(pl.col("turnover"), pl.col("traded")))),
            candle_count=pl.when(pl.col("product_id").is_not_null()).then(pl.col("candle_count").fill_null(0)),
            volume="traded",
        )
    )


def _by_default(judged: pl.LazyFrame, assets: pl.LazyFrame) -> pl.LazyFrame:
    """The row that values rest on: the currency itself, a policy's price, the market's, or that of what it is an alias of."""
    own = (
        judged.with_columns(price_basis=_basis())
        .with_columns(
            price=_by_basis(pl.lit(1), pl.col("fixed_price"), pl.col("vwap")),
            currency=_by_basis(pl.col("asset"), pl.col("fixed_currency"), pl.lit(QUOTE)),
            reason=_reason(),
            method=pl.lit(METHOD),
            spread_bps=pl.when(_is_tested()).then(_spread(pl.col("vwap"), pl.col("fixed_price"))),
            bound_status=_bound_status(),
        )
        .with_columns(pl.when(~pl.col("by_policy")).then(pl.col(*_OF_MARKET)))
    )
    return _as_their_aliases(own, judged).join(assets, on="asset", how="semi").select(_columns())


def _by_method(judged: pl.LazyFrame, assets: pl.LazyFrame, method: str, says: pl.Expr) -> pl.LazyFrame:
    """Another method's row, of assets that have a market: whatever a policy says."""
    found = judged.filter(pl.col("product_id").is_not_null()).join(assets, on="asset", how="semi")
    price = pl.when("covered").then(_positive(exact.in_range(says)))
    return (
        found.with_columns(price=price, empty=pl.col("empty") | says.is_null(), fixed_currency=pl.lit(None, pl.String))
        .with_columns(price_basis=pl.when(pl.col("price").is_not_null()).then(pl.lit(method)), method=pl.lit(method))
        .with_columns(
            currency=pl.when(pl.col("price").is_not_null()).then(pl.lit(QUOTE)),
            reason=_reason(),
            spread_bps=_spread(pl.col("price"), pl.col("vwap")),
            bound_status=pl.lit(None, pl.String),
        )
        .select(_columns())
    )


def _columns() -> list[pl.Expr]:
    return [pl.col(name).cast(dtype) for name, dtype in DAILY_PRICES.schema.items()]


def _assets(assets: pl.LazyFrame) -> pl.LazyFrame:
    """Each asset once; `par` says whether it is a currency priced in itself: it is as soon as one account holds it as fiat."""
    fiat = (pl.col("asset_class") == "fiat").any() & pl.col("asset").first().is_in(PAR_CURRENCIES)
    return assets.filter(pl.col("asset").is_not_null()).group_by("asset").agg(par=fiat)


def with_aliased(assets: pl.LazyFrame, policies: pl.LazyFrame) -> pl.LazyFrame:
    """The assets, and those that policies price them as."""
    fiat = pl.when(pl.col("asset").is_in(PAR_CURRENCIES)).then(pl.lit("fiat")).otherwise(pl.lit("crypto"))
    targets = policies.join(assets, on="asset", how="semi").select(asset="same_as").drop_nulls().join(assets, on="asset", how="anti")
    return pl.concat([assets.select("asset", "asset_class"), targets.unique().with_columns(asset_class=fiat)])


def _markets(products: pl.LazyFrame, assets: pl.LazyFrame) -> pl.LazyFrame:
    """The USD pair of each asset that has one."""
    return (
        products.filter(pl.col("quote") == QUOTE)
        .select("product_id", "status", "trading_disabled", asset="base")
        .join(assets, on="asset", how="semi")
        .filter(pl.col("product_id") == pl.col("product_id").min().over("asset"))
    )


def _policies_in_force(policies: pl.LazyFrame, days: pl.LazyFrame) -> pl.LazyFrame:
    """Asset and day → excluded, the fixed price with its bound, or what it is an alias of; of two in force the one that began last."""
    since, until, as_of = pl.col("since"), pl.col("until"), pl.col("as_of")
    newest = pl.col("price", "currency", "bound", "same_as").filter(~pl.col("exclude")).last()
    return (
        policies.join(days, how="cross")
        .filter(since.is_null() | (since <= as_of), until.is_null() | (as_of < until))
        .sort("since", nulls_last=False)
        .group_by(_KEY, maintain_order=True)
        .agg(newest, excluded=pl.col("exclude").any())
        .select(*_KEY, "excluded", "same_as", pl.col("price", "currency", "bound").name.prefix("fixed_"))
        .with_columns(fixed_price=exact.in_range(pl.col("fixed_price")))
    )


def _as_their_aliases(own: pl.LazyFrame, judged: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of assets that a policy calls the same as another carry the other's price, and say so."""
    is_alias = pl.col("same_as").is_not_null() & ~pl.col("par") & ~pl.col("excluded")
    aliases = judged.filter(is_alias).select(*_KEY, "same_as")
    theirs = (
        aliases.join(own.drop("same_as"), left_on=["calendar", "day", "as_of", "same_as"], right_on=_KEY)
        .with_columns(price_basis=pl.when(pl.col("price").is_not_null()).then(pl.lit("ALIAS_POLICY")))
        .with_columns(spread_bps=pl.lit(None, LONG), bound_status=pl.lit(None, pl.String))
    )
    return pl.concat([own.filter(~is_alias), theirs], how="diagonal")


def _basis() -> pl.Expr:
    return (
        pl.when("par")
        .then(pl.lit("PAR"))
        .when("excluded")
        .then(None)
        .when(pl.col("fixed_currency").is_not_null())
        .then(pl.when(pl.col("fixed_price").is_not_null()).then(pl.lit("FIXED_POLICY")))
        .when(pl.col("vwap").is_not_null())
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


def _is_tested() -> pl.Expr:
    """A fixed price has a market price in its own currency to be held against."""
    return (pl.col("price_basis") == "FIXED_POLICY") & (pl.col("fixed_currency") == QUOTE) & pl.col("vwap").is_not_null()


def _bound_status() -> pl.Expr:
    """What the market says of a fixed price that has a bound."""
    within, breached, not_tested = (pl.lit(word) for word in BOUND_STATUSES)
    near = (pl.col("vwap") - pl.col("fixed_price")).abs() <= pl.col("fixed_bound")
    said = pl.when(~_is_tested()).then(not_tested).when(near).then(within).otherwise(breached)
    return pl.when(pl.col("price_basis") == "FIXED_POLICY", pl.col("fixed_bound").is_not_null()).then(said)


def _spread(price: pl.Expr, beside: pl.Expr) -> pl.Expr:
    """How far `price` lies from what it stands beside, in 1/10000 of that, half-even."""
    return exact.product(exact.quotient(price, beside) - 1, pl.lit(10_000, MONEY)).round(0).cast(LONG)


def _positive(x: pl.Expr) -> pl.Expr:
    return pl.when(x > 0).then(x)
