"""a venue's balance report + our book + candles → both side by side, each quantity and price labelled. No I/O, no clock.

Quantities are equal or they are not. A price is EXACT where it agrees with ours to the last place the venue prints, EXPLAINED_METHOD
where it is the same hours counted by another rule, or where a policy of ours prices what the venue does not, else UNEXPLAINED.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

import polars as pl

from pipelines.stages import exact
from pipelines.tables import INSTANT, LONG, MONEY, TEXT

EXACT, EXPLAINED, UNEXPLAINED = "EXACT", "EXPLAINED_METHOD", "UNEXPLAINED"
PLACES = 2  # a price that is printed with fewer is taken as printed with so many
COLUMNS = (
    "native_code", "asset", "balance", "our_balance", "difference", "balance_label",
    "price", "our_price", "our_basis", "price_24", "price_25", "currency", "price_label", "balance_status",
)  # fmt: skip
COUNTED = pl.Schema(
    {"portfolio": TEXT, "report_sha256": TEXT, "fetched_at": INSTANT}
    | dict.fromkeys(("quantities", "quantities_exact", "prices", "prices_exact", "prices_explained", "refused"), LONG)
)
_DAY, _HOUR = pl.duration(hours=24), pl.duration(hours=1)


def counted(found: Iterable[tuple[str, str, datetime, pl.DataFrame, int]]) -> pl.DataFrame:
    """Reports (portfolio, sha256, when, their compared rows, rows refused) → one row each: how many agree, and in which way."""
    return pl.DataFrame([_counts(*one) for one in found], schema=COUNTED)


def _counts(portfolio: str, sha256: str, fetched_at: datetime, rows: pl.DataFrame, refused: int) -> dict[str, object]:
    balances, prices = rows["balance_label"].drop_nulls(), rows["price_label"].drop_nulls()
    return {
        "portfolio": portfolio,
        "report_sha256": sha256,
        "fetched_at": fetched_at,
        "quantities": len(balances),
        "quantities_exact": int((balances == EXACT).sum()),
        "prices": len(prices),
        "prices_exact": int((prices == EXACT).sum()),
        "prices_explained": int((prices == EXPLAINED).sum()),
        "refused": refused,
    }


def compared(report: pl.LazyFrame, book: pl.LazyFrame, candles: pl.LazyFrame, as_of: datetime) -> pl.LazyFrame:
    """One row per code that either side names.

    `report`: native_code, balance, price, price_places, currency; `book`: rows by portfolio; `candles`: asset, start, close, volume.
    """
    ours = book.select(
        "native_code", "asset", "balance_status", our_balance="balance", our_price="price", our_basis="price_basis", our_currency="currency"
    ).with_columns(in_book=pl.lit(True))
    end = pl.lit(as_of, INSTANT)
    return (
        report.join(ours, on="native_code", how="full", coalesce=True)
        .join(_weighted(candles, end, pl.col("start") + _HOUR <= end, "price_24"), on="asset", how="left")
        .join(_weighted(candles, end, pl.col("start") <= end, "price_25"), on="asset", how="left")
        .with_columns(
            balance=pl.col("balance").fill_null(pl.lit(0, MONEY)),
            our_balance=pl.when("in_book").then("our_balance").otherwise(pl.lit(0, MONEY)),
        )
        .with_columns(difference=exact.in_range(pl.col("balance") - pl.col("our_balance")))
        .with_columns(balance_label=_balance_label(), price_label=_price_label())
        .select(COLUMNS)
        .sort("native_code")
    )


def _weighted(candles: pl.LazyFrame, end: pl.Expr, counts: pl.Expr, name: str) -> pl.LazyFrame:
    """Σ(close · volume) / Σ(volume) of the hours that count, by asset."""
    turnover, traded = exact.total(exact.product(pl.col("close"), pl.col("volume"))), exact.total(pl.col("volume"))
    return candles.filter(pl.col("start") >= end - _DAY, counts).group_by("asset").agg(exact.quotient(turnover, traded).alias(name))


def _balance_label() -> pl.Expr:
    return pl.when(pl.col("difference") == 0).then(pl.lit(EXACT)).otherwise(pl.lit(UNEXPLAINED))


def _price_label() -> pl.Expr:
    """Null where neither side holds anything: then nothing was valued."""
    theirs, ours = pl.col("price"), pl.col("our_price")
    held = (pl.col("balance") != 0) | (pl.col("our_balance") != 0).fill_null(True)
    same_currency = (pl.col("currency") == pl.col("our_currency")).fill_null(True)
    policy = theirs.is_null() & (pl.col("our_basis") == "FIXED_POLICY")
    return (
        pl.when(~held)
        .then(None)
        .when((theirs.is_null() & ours.is_null()) | (_agrees(ours) & same_currency))
        .then(pl.lit(EXACT))
        .when(policy | _agrees(pl.col("price_24")) | _agrees(pl.col("price_25")))
        .then(pl.lit(EXPLAINED))
        .otherwise(pl.lit(UNEXPLAINED))
    )


def _agrees(price: pl.Expr) -> pl.Expr:
    """To the last place that the venue prints, whichever way it rounds."""
    units = {n: Decimal(1).scaleb(-n) for n in range(PLACES, 19)}
    unit = pl.col("price_places").clip(lower_bound=PLACES).replace_strict(units, default=None, return_dtype=MONEY)
    return ((pl.col("price") - price).abs() * 2 <= unit).fill_null(False)
