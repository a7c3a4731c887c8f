"""breaks + tie-outs + openings → completeness, account × interval; and the words it gives to daily_balances. No I/O, no clock.

An interval speaks of every as-of after `since`, up to and with `until`; without `until` it has not ended. Balance: uncertain only
between the neighbours of a break, and after the last posting where the live balance does not bear it out; everything else is the
venue's own figure. Movements: complete only where ids without a gap, or the venue's own count, prove it; a break leaves them
unproved for good. What lies beyond the watermark is `snapshots`' word, STALE, and none of this one's.
"""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from pipelines.tables import DAILY_BALANCES, INSTANT, INT, TEXT

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INTERVAL = pl.Schema(
    {"account_id": INT, "since": INSTANT, "until": INSTANT, "balance_status": TEXT, "movements_status": TEXT, "reasons": TEXT}
)
ACCOUNT = pl.Schema(
    {
        "account_id": INT,
        "kind": TEXT,  # of the opening; null: none on record
        "opened_at": INSTANT,
        "entries": pl.Int64(),
        "last_at": INSTANT,
        "gapless": pl.Boolean(),  # ids number the entries from the first to the last, and leave none out
        "counted": TEXT,  # how the venue's own count compares with ours; null: it gives none
        "tied": TEXT,  # how the live balance compares with ours; null: it is not known
        "tied_pending": TEXT,
    }
)
"""What must be known of each account."""
WORDS = (
    "OPENING_UNKNOWN", "CHAIN_BREAK", "LIVE_DIFFERS", "NO_TIE_OUT", "OPENING_DERIVED", "NO_ENTRIES", "COUNT_DIFFERS", "PENDING_BREAK",
    "PENDING_DIFFERS",
)  # fmt: skip
"""Reasons, in the order in which they are written."""
_TICK = pl.duration(microseconds=1)


def intervals(accounts: pl.DataFrame, breaks: pl.DataFrame) -> pl.DataFrame:
    """INTERVAL rows of each account, from its opening on; neighbours that say the same are one."""
    told = _spans(accounts, breaks).join(accounts, on="account_id", how="left", maintain_order="left")
    for kind in ("BALANCE", "PENDING"):
        told = _within(told, breaks.filter(pl.col("kind") == kind), kind.lower())
    words = told.with_columns(tail=(pl.col("since") >= pl.coalesce("last_at", "opened_at")).fill_null(True)).select(
        "account_id", "since", *_statuses()
    )
    return _merged(words)


def _spans(accounts: pl.DataFrame, breaks: pl.DataFrame) -> pl.DataFrame:
    """account_id, since, until: cut where a break begins or ends, and after the last posting."""
    opened = accounts.select("account_id", since=pl.col("opened_at").fill_null(pl.lit(EPOCH, INSTANT)))
    cuts = [
        opened,
        accounts.select("account_id", since="last_at"),
        *(breaks.select("account_id", since=edge) for edge in ("since", "until")),
    ]
    inside = (
        pl.concat(cuts).drop_nulls().join(opened.rename({"since": "opened"}), on="account_id").filter(pl.col("since") >= pl.col("opened"))
    )
    return (
        inside.select("account_id", "since")
        .unique()
        .sort("account_id", "since")
        .with_columns(until=pl.col("since").shift(-1).over("account_id"))
    )


def _within(spans: pl.DataFrame, breaks: pl.DataFrame, name: str) -> pl.DataFrame:
    """With `in_<name>`: the span lies between a break's neighbours; `past_<name>`: it lies there or later."""
    edges = breaks.select("account_id", since="since", ends="until").sort("since")
    joined = spans.sort("since").join_asof(edges, on="since", by="account_id", strategy="backward", check_sortedness=False)
    return joined.with_columns(
        (pl.col("since") < pl.col("ends")).fill_null(False).alias(f"in_{name}"), pl.col("ends").is_not_null().alias(f"past_{name}")
    ).drop("ends")


def _statuses() -> list[pl.Expr]:
    unknown = pl.col("kind").fill_null("UNKNOWN") == "UNKNOWN"
    nothing, tail = pl.col("entries") == 0, pl.col("tail")
    differs, untied = tail & (pl.col("tied") == "DIFFERS").fill_null(False), tail & pl.col("tied").is_null()
    count_differs = (pl.col("counted") == "DIFFERS").fill_null(False)
    proved = (pl.col("counted") == "AGREES").fill_null(False) | (pl.col("gapless") & ~tail)
    balance = (
        pl.when(unknown | pl.col("in_balance") | differs | (untied & ~nothing))
        .then(pl.lit("EXCEPTION"))
        .when(nothing)
        .then(pl.lit("NOT_TESTED"))
        .otherwise(pl.lit("COMPLETE"))
    )
    movements = (
        pl.when(pl.col("past_balance") | count_differs)
        .then(pl.lit("EXCEPTION"))
        .when(proved & ~nothing & ~differs)
        .then(pl.lit("COMPLETE"))
        .otherwise(pl.lit("NOT_TESTED"))
    )
    derived = untied & (pl.col("kind") == "DERIVED_FIRST_POSTING").fill_null(False)
    pending_differs = tail & (pl.col("tied_pending") == "DIFFERS").fill_null(False)
    holds = (
        unknown, pl.col("in_balance"), differs, untied & ~nothing, derived, nothing, count_differs, pl.col("in_pending"), pending_differs,
    )  # fmt: skip
    return [
        balance.alias("balance_status"),
        movements.alias("movements_status"),
        in_words(dict(zip(WORDS, holds, strict=True))).alias("reasons"),
    ]


def in_words(holds: dict[str, pl.Expr]) -> pl.Expr:
    """The words whose condition holds, joined by `;` in the order given; null where none does."""
    text = pl.concat_str([pl.when(condition).then(pl.lit(word)) for word, condition in holds.items()], separator=";", ignore_nulls=True)
    return pl.when(text != "").then(text)


def _merged(words: pl.DataFrame) -> pl.DataFrame:
    said = pl.struct("account_id", "balance_status", "movements_status", "reasons")
    return (
        words.sort("account_id", "since")
        .filter(said.ne_missing(said.shift(1)))
        .with_columns(until=pl.col("since").shift(-1).over("account_id"))
        .select(INTERVAL.names())
        .cast(INTERVAL)
    )


def marked(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Rows of daily_balances with the words of the interval their as-of lies in; a STALE row stays STALE.

    After a break the balance, opening plus postings, is not the one the venue reports: what is proved there is proved of the venue's
    figure, `reported_balance`, and the row itself claims nothing.
    """
    if known.is_empty() or rows.is_empty():
        return rows
    found = _looked_up(rows, known)
    fresh, number = pl.col("balance_status") != "STALE", pl.col("balance").is_not_null()
    other = (pl.col("balance") != pl.col("reported_balance")).fill_null(False) & (pl.col("said_balance") == "COMPLETE")
    said = pl.when(other).then(pl.lit("NOT_TESTED")).otherwise(pl.coalesce("said_balance", "balance_status"))
    balance = pl.when(number).then(said).otherwise(pl.lit("EXCEPTION"))
    return found.with_columns(
        balance_status=pl.when(fresh).then(balance).otherwise("balance_status"),
        movements_status=pl.when(fresh).then(pl.coalesce("said_movements", "movements_status")).otherwise(pl.lit("STALE")),
        status_reasons=_both_reasons(found),
    ).select(DAILY_BALANCES.schema.names())


def _looked_up(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    said = known.select("account_id", "since", said_balance="balance_status", said_movements="movements_status", said="reasons")
    if not said["account_id"].is_duplicated().any():
        return rows.join(said, on="account_id", how="left", maintain_order="left")
    at = rows.with_row_index("row").with_columns(since=pl.col("as_of") - _TICK).sort("since")
    return at.join_asof(said.sort("since"), on="since", by="account_id", strategy="backward", check_sortedness=False).sort("row")


def _both_reasons(found: pl.DataFrame) -> pl.Series:
    """The row's own words, then the interval's, each once."""
    own, here = found["status_reasons"], found["said"].is_not_null().arg_true()
    if here.is_empty():
        return own
    words = pl.concat_str("status_reasons", "said", separator=";", ignore_nulls=True)
    once = words.str.split(";").list.unique(maintain_order=True).list.join(";")
    both = found.select(pl.col("status_reasons", "said").gather(here)).select(once).to_series()
    return own.scatter(here, both)
