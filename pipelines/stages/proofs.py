"""What was known of accounts and markets at an instant → one line each of what is behind it. No I/O, no clock.

Nothing is judged here: the words on a balance are `completeness`'.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from pipelines.tables import INSTANT, LONG, MONEY

KEY = ("portfolio", "native_code")
ACCOUNTS = (
    "entity", "venue", *KEY, "opening", "document", "entries", "pages", "first_event_at", "last_event_at", "breaks", "missing",
    "read_through", "live_balance", "computed_balance", "tie_out", "balance", "balance_status", "movements_status", "status_reasons",
)  # fmt: skip
PRICES = ("asset", "price_basis", "price", "currency", "reason", "hours_needed", "hours_read", "hours_empty", "hours_not_read", "revised")
HOUR = timedelta(hours=1)


def accounts(
    rows: pl.LazyFrame, named: pl.LazyFrame, opened: pl.LazyFrame, entries: pl.LazyFrame, breaks: pl.LazyFrame, tied: pl.LazyFrame
) -> pl.LazyFrame:
    """Each row of a book by portfolio with its opening, entries, chain and the venue's own figure."""
    behind = (
        named.select("account_id", *KEY)
        .join(opened.select("account_id", "document", opening="kind"), on="account_id", how="left")
        .join(_entries(entries), on="account_id", how="left")
        .join(_breaks(breaks), on="account_id", how="left")
    )
    theirs = tied.filter(pl.col("kind") == "BALANCE").select(*KEY, live_balance="theirs", computed_balance="ours", tie_out="outcome")
    return (
        rows.join(behind, on=KEY, how="left", maintain_order="left")
        .join(theirs, on=KEY, how="left", maintain_order="left")
        .with_columns(
            pl.col("opening").fill_null("UNKNOWN"),
            pl.col("entries", "pages", "breaks").fill_null(0),
            pl.col("missing").fill_null(0),
            pl.col("tie_out").fill_null("NO_TIE_OUT"),
        )
        .select(ACCOUNTS)
    )


def _entries(entries: pl.LazyFrame) -> pl.LazyFrame:
    at = pl.col("occurred_at")
    return entries.group_by("account_id").agg(
        entries=pl.len().cast(LONG), pages=pl.col("page_sha256").n_unique().cast(LONG), first_event_at=at.min(), last_event_at=at.max()
    )


def _breaks(breaks: pl.LazyFrame) -> pl.LazyFrame:
    failed = breaks.filter(pl.col("kind") != "ORDER")
    return failed.group_by("account_id").agg(breaks=pl.len().cast(LONG), missing=pl.col("missing").sum().cast(MONEY))


def prices(
    priced: pl.LazyFrame, markets: pl.LazyFrame, candles: pl.LazyFrame, coverage: pl.LazyFrame, versions: pl.LazyFrame, as_of: datetime
) -> pl.LazyFrame:
    """Each asset's price with the hours it needed: those that were read, those of them in which nobody traded, those that were not."""
    first = as_of - 24 * HOUR
    hours = pl.LazyFrame({"hour": _hours(first, as_of)}, schema={"hour": INSTANT})
    needed = markets.join(hours, how="cross").select("asset", "product_id", "hour")
    final = coverage.filter(pl.col("final")).select("product_id", "since", "until")
    covers = (pl.col("hour") >= pl.col("since")) & (pl.col("hour") + HOUR <= pl.col("until"))
    read = needed.join(final, on="product_id").filter(covers).select("asset", "hour").unique()
    held = candles.select("asset", hour="start").unique()
    counts = (
        needed.join(read.with_columns(read=True), on=["asset", "hour"], how="left")
        .join(held.with_columns(held=True), on=["asset", "hour"], how="left")
        .with_columns(pl.col("read", "held").fill_null(False))
        .group_by("asset")
        .agg(
            hours_needed=pl.len().cast(LONG),
            hours_read=(pl.col("read") | pl.col("held")).sum().cast(LONG),
            hours_empty=(pl.col("read") & ~pl.col("held")).sum().cast(LONG),
            hours_not_read=(~pl.col("read") & ~pl.col("held")).sum().cast(LONG),
        )
    )
    revised = (
        versions.filter(pl.col("retired_at").is_not_null())
        .join(markets, on="product_id")
        .group_by("asset")
        .agg(revised=pl.len().cast(LONG))
    )
    told = priced.join(counts, on="asset", how="left").join(revised, on="asset", how="left")
    return told.with_columns(pl.col("revised").fill_null(0)).select(PRICES).sort("asset")


def _hours(first: datetime, end: datetime) -> list[datetime]:
    """Whole hours that lie in the window."""
    start = first.replace(minute=0, second=0, microsecond=0)
    start += HOUR if start < first else timedelta()
    return [start + n * HOUR for n in range(24) if start + (n + 1) * HOUR <= end]
