"""postings + openings + watermarks → daily_balances. Which facts are known, and when days end, are decided before.

balance(t) = opening + Σ amount of postings with opened_at <= occurred_at < t. It is computed as the balance the venue
reported after the last of them, less all that the chain failed to explain up to there (its *drift*): the same number to
the last digit. `kernel` finds the row that holds; here it becomes a row of the book.
"""

from __future__ import annotations

import polars as pl

from pipelines.stages import exact, kernel
from pipelines.tables import DAILY_BALANCES, INSTANT, TEXT

STATUS_REASONS = ("NEVER_READ", "READ_BEFORE_AS_OF", "OPENING_UNKNOWN", "CHAIN_BREAK", "NEGATIVE_BALANCE", "OUT_OF_RANGE")
"""Why an account is marked, in the order in which the words are written."""
MARGIN_VENUES = ("pacifica",)
"""Here a negative balance is a loan, not a fault."""
INSANE = 1e38
"""10^-18 units. A drift estimated beyond this wrapped, or soon will; none that leaves a balance in range comes near it."""

_DAY = ("calendar", "day", "as_of")


def daily_balances(
    postings: pl.LazyFrame, openings: pl.LazyFrame, accounts: pl.LazyFrame, watermarks: pl.LazyFrame, days: pl.LazyFrame
) -> pl.LazyFrame:
    """One row per account and day from the account's opening on; facts as known, one opening and watermark an account."""
    held = opened(openings, accounts, watermarks)
    rows, _ = close(held, from_openings(held), postings.select(kernel.CHAIN).collect(), days.select(_DAY).collect())
    return rows.lazy()


def opened(openings: pl.LazyFrame, accounts: pl.LazyFrame, watermarks: pl.LazyFrame) -> pl.DataFrame:
    """Accounts with what they began with; no opening on record is an unknown one, and has no first instant."""
    known = pl.when(pl.col("kind") != "UNKNOWN").then("amount")
    return (
        accounts.select("account_id", lends=pl.col("venue").is_in(MARGIN_VENUES))
        .join(openings.select("account_id", "kind", "amount", "pending_amount", "opened_at"), on="account_id", how="left")
        .join(watermarks.select("account_id", "read_through"), on="account_id", how="left")
        .with_columns(
            opening=exact.in_range(known),
            opening_known=known.is_not_null(),
            opens_the_chain=(pl.col("kind") == "DERIVED_FIRST_POSTING").fill_null(False),
        )
        .sort("account_id")
        .collect()
    )


def from_openings(held: pl.DataFrame) -> pl.DataFrame:
    """Where accounts stand before any posting."""
    return held.select(
        "account_id",
        "opened_at",
        reported="opening",
        pending="pending_amount",
        last_event_at=pl.lit(None, INSTANT),
        drift=pl.lit(0, pl.Int128),
        size=pl.lit(0.0),
    )


def from_days(held: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Where accounts stood at the end of a day: at most one row of daily_balances each; without one, at their opening."""
    drift = (pl.col("reported_balance").to_physical() - pl.col("balance").to_physical()).fill_null(0)
    stood = rows.select(
        "account_id",
        said=pl.lit(True),
        was_reported="reported_balance",
        was_pending="pending_balance",
        was_at="last_event_at",
        drift=drift,
        size=drift.cast(pl.Float64),
    )
    told = pl.col("said").is_not_null()
    return (
        from_openings(held)
        .drop("drift", "size")
        .join(stood, on="account_id", how="left", maintain_order="left")
        .with_columns(
            reported=pl.when(told).then("was_reported").otherwise("reported"),
            pending=pl.when(told).then("was_pending").otherwise("pending"),
            last_event_at="was_at",
            drift=pl.col("drift").fill_null(0),
            size=pl.col("size").fill_null(0.0),
        )
        .select(kernel.STANDING.names())
    )


def resumable(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of daily_balances that an account's history can go on from: a balance that was lost takes its drift with it."""
    return rows.filter(~pl.col("status_reasons").str.contains("OUT_OF_RANGE", literal=True).fill_null(False))


def close(held: pl.DataFrame, standing: pl.DataFrame, postings: pl.DataFrame, days: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows for `days`, in the table's order, and where accounts stand after all of `postings`, none of which `standing` contains.

    Accounts with a column `changed` have rows on days that end after that instant only.
    """
    ordered = days.select(_DAY).sort("calendar", "day")
    as_of, since = ordered["as_of"], held["changed"] if "changed" in held.columns else None
    reached = kernel.advance(standing, postings, as_of.unique().sort())
    day, account = kernel.cells(as_of, held["opened_at"], since)
    told = (
        ordered.select(pl.all().gather(pl.Series(day))),
        held.select(pl.col("account_id", "lends", "opening_known", "read_through").gather(pl.Series(account))),
        held.select(opened=pl.col("opening").is_not_null().gather(pl.Series(account))),
        reached.at(as_of, day, account),
    )
    return _rows(pl.concat(told, how="horizontal")), reached.now()


def _rows(told: pl.DataFrame) -> pl.DataFrame:
    """What is known of each account and day → rows of daily_balances."""
    return (
        told.lazy()
        .with_columns(balance=_balance(told))
        .with_columns(code=_code())
        .select(
            *_DAY, "account_id", "balance",
            reported_balance="reported",
            pending_balance="pending",
            last_event_at="last_event_at",
            read_through=pl.when(pl.col("read_through").is_not_null()).then(pl.min_horizontal("read_through", "as_of")),
            balance_status=pl.when(_read_to_the_end()).then(pl.lit("NOT_TESTED")).otherwise(pl.lit("STALE")),
            movements_status=pl.lit("NOT_TESTED"),
            status_reasons=pl.lit(_WORDS).gather("code"),
        )
        .select(DAILY_BALANCES.schema.names())
        .collect()
    )  # fmt: skip


def _balance(told: pl.DataFrame) -> pl.Series:
    """Reported less drift, where the opening is known and the number fits."""
    balance = told.select(pl.when("opened").then("reported")).to_series()
    if (balance.to_physical().abs() >= kernel.LIMIT_UNITS).any():
        balance = pl.select(exact.in_range(pl.lit(balance))).to_series()
    off = ((told["drift"] != 0) | (told["size"].abs() > INSANE)).arg_true()
    if off.is_empty():
        return balance
    units = pl.col("reported").to_physical() - pl.col("drift")
    moved = told.select(pl.col("opened", "reported", "drift", "size").gather(off)).select(
        pl.when("opened", pl.col("size").abs() <= INSANE).then(kernel.money(units))
    )
    return balance.scatter(off, moved.to_series())


def in_words(holds: dict[str, pl.Expr]) -> pl.Expr:
    """The words whose condition holds, joined by `;` in the order given; null where none does."""
    text = pl.concat_str([pl.when(condition).then(pl.lit(word)) for word, condition in holds.items()], separator=";", ignore_nulls=True)
    return pl.when(text != "").then(text)


def _read_to_the_end() -> pl.Expr:
    return (pl.col("read_through") >= pl.col("as_of")).fill_null(False)


def _code() -> pl.Expr:
    """Which of the words hold, a bit each."""
    balance = pl.col("balance")
    conditions = (
        pl.col("read_through").is_null(),
        pl.col("read_through") < pl.col("as_of"),
        ~pl.col("opening_known"),
        (balance != pl.col("reported")),
        (balance < 0) & ~pl.col("lends"),
        balance.is_null() & pl.col("opening_known"),
    )
    return pl.sum_horizontal(c.fill_null(False).cast(pl.UInt8) * 2**bit for bit, c in enumerate(conditions))


def _words(code: int) -> str | None:
    return ";".join(word for bit, word in enumerate(STATUS_REASONS) if code >> bit & 1) or None


_WORDS = pl.Series("words", [_words(code) for code in range(2 ** len(STATUS_REASONS))], dtype=TEXT)
