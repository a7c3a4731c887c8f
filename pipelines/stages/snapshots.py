"""postings + openings + watermarks → daily_balances. Which facts are known, and when days end, are decided before.

balance(t) = opening + Σ amount of postings with opened_at <= occurred_at < t. It is computed as the balance the venue
reported after the last of them, less all that the chain failed to explain up to there (its *drift*): the same number to
the last digit, and no running sum of amounts that could overflow.
"""

from __future__ import annotations

import polars as pl

from pipelines.stages import exact
from pipelines.tables import DAILY_BALANCES

STATUS_REASONS = ("NEVER_READ", "READ_BEFORE_AS_OF", "OPENING_UNKNOWN", "CHAIN_BREAK", "NEGATIVE_BALANCE", "OUT_OF_RANGE")
"""Why an account is marked, in the order in which the words are written."""
MARGIN_VENUES = ("pacifica",)
"""Here a negative balance is a loan, not a fault."""


def daily_balances(
    postings: pl.LazyFrame, openings: pl.LazyFrame, accounts: pl.LazyFrame, watermarks: pl.LazyFrame, days: pl.LazyFrame
) -> pl.LazyFrame:
    """One row per account and day from the account's opening on; facts as known, one opening and watermark an account."""
    opened = _opened(openings, accounts, watermarks)
    return (
        opened.join(days, how="cross")
        .filter(pl.col("opened_at").is_null() | (pl.col("opened_at") < pl.col("as_of")))
        .sort("account_id", "as_of")
        .join_asof(
            _chain(postings, opened),
            left_on="as_of",
            right_on="last_event_at",
            by="account_id",
            strategy="backward",
            allow_exact_matches=False,  # as-of is exclusive
            check_sortedness=False,  # both sides are sorted here, by account and instant
            coalesce=False,
        )
        .with_columns(balance=_balance(), reported_balance=_reported(), pending_balance=pl.coalesce("pending", "opening_pending"))
        .with_columns(status_reasons=in_words(_reasons()))
        .select(
            "calendar", "day", "account_id", "as_of", "balance", "reported_balance", "pending_balance", "last_event_at",
            read_through=pl.when(pl.col("read_through").is_not_null()).then(pl.min_horizontal("read_through", "as_of")),
            balance_status=pl.when(_read_to_the_end()).then(pl.lit("NOT_TESTED")).otherwise(pl.lit("STALE")),
            movements_status=pl.lit("NOT_TESTED"),
            status_reasons="status_reasons",
        )
        .select(DAILY_BALANCES.schema.names())
    )  # fmt: skip


def in_words(holds: dict[str, pl.Expr]) -> pl.Expr:
    """The words whose condition holds, joined by `;` in the order given; null where none does."""
    text = pl.concat_str([pl.when(condition).then(pl.lit(word)) for word, condition in holds.items()], separator=";", ignore_nulls=True)
    return pl.when(text != "").then(text)


def _opened(openings: pl.LazyFrame, accounts: pl.LazyFrame, watermarks: pl.LazyFrame) -> pl.LazyFrame:
    """Accounts with what they began with; no opening on record is an unknown one, and has no first instant."""
    known = pl.when(pl.col("kind") != "UNKNOWN").then("amount")
    return (
        accounts.select("account_id", "venue")
        .join(openings.select("account_id", "kind", "amount", "pending_amount", "opened_at"), on="account_id", how="left")
        .join(watermarks.select("account_id", "read_through"), on="account_id", how="left")
        .with_columns(opening=exact.in_range(known), opening_known=known.is_not_null())
        .rename({"pending_amount": "opening_pending"})
        .drop("kind", "amount")
    )


def _chain(postings: pl.LazyFrame, opened: pl.LazyFrame) -> pl.LazyFrame:
    """Postings in order, each with what the chain failed to explain from the opening up to it."""
    counts = pl.col("occurred_at") >= pl.col("opened_at")  # an asserted opening already contains what came before it
    standing = pl.when(counts).then("balance_after").otherwise("opening")
    before = pl.col("standing").shift(1).over("account_id").fill_null(pl.col("opening"))
    amount = pl.when(counts).then("amount").otherwise(0)
    return (
        postings.select("account_id", "occurred_at", "position", "amount", "balance_after", "pending_after")
        .join(opened.select("account_id", "opening", "opened_at"), on="account_id")
        .sort("account_id", "occurred_at", "position")
        .with_columns(standing=standing)
        .with_columns(gap=pl.col("standing") - before - amount)
        .select(
            "account_id",
            "standing",
            last_event_at="occurred_at",
            reported="balance_after",
            pending=pl.col("pending_after").forward_fill().over("account_id"),
            drift=exact.running_total(pl.col("gap"), "account_id"),
        )
    )


def _balance() -> pl.Expr:
    moved = pl.when(pl.col("last_event_at").is_null()).then("opening").otherwise(pl.col("standing") - pl.col("drift"))
    return exact.in_range(pl.when(pl.col("opening").is_not_null()).then(moved))


def _reported() -> pl.Expr:
    return pl.when(pl.col("last_event_at").is_null()).then("opening").otherwise("reported")


def _read_to_the_end() -> pl.Expr:
    return (pl.col("read_through") >= pl.col("as_of")).fill_null(False)


def _reasons() -> dict[str, pl.Expr]:
    balance = pl.col("balance")
    conditions = (
        pl.col("read_through").is_null(),
        pl.col("read_through") < pl.col("as_of"),
        ~pl.col("opening_known"),
        balance != pl.col("reported_balance"),
        (balance < 0) & ~pl.col("venue").is_in(MARGIN_VENUES),
        balance.is_null() & pl.col("opening_known"),
    )
    return dict(zip(STATUS_REASONS, conditions, strict=True))
