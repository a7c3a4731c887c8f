"""rows as a venue showed them → postings; postings shown now against postings known → what is new, what is gone. No I/O, no clock.

Also: an account's opening from what is known of it. Balances at an instant are `snapshots`' work.
"""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from pipelines.stages import order
from pipelines.stages.order import OUTGOING
from pipelines.tables import INSTANT, MONEY, POSTINGS, TEXT

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AS_PRINTED = ("coinbase",)  # venues that sign their amounts for certain

FACT = [c for c in POSTINGS.schema if c not in ("recorded_at", "retired_at", "page_sha256")]
"""What makes two versions of a posting the same fact."""


def postings(rows: pl.LazyFrame, before: pl.LazyFrame, venue: str) -> pl.LazyFrame:
    """Rows of one walk, oldest first, with account_id → postings without recorded_at.

    `before`: account_id, balance_before, pending_before as known ahead of the walk's first row; absent where nothing is known.
    """
    signed = venue in AS_PRINTED
    found = order.ordered(rows.drop("position", strict=False).collect(), before.collect(), signed).lazy()
    moved = (pl.col("amount"), pl.lit(None, MONEY)) if signed else (_amount(), _pending_amount())
    return found.with_columns(moved[0].alias("amount"), moved[1].alias("pending_amount")).select(
        *FACT, pl.lit(None, INSTANT).alias("retired_at"), "page_sha256"
    )


_SIZE = pl.col("amount").abs()
_CHANGE = pl.col("balance_after") - pl.col("balance_before")
_PENDING_CHANGE = pl.col("pending_after") - pl.col("pending_before").fill_null(pl.lit(0, MONEY))
_RELEASED = (_CHANGE.abs() == _SIZE) & (_PENDING_CHANGE == -_CHANGE)

_UNSIZED = (pl.col("event_type") == "deposit") & (_SIZE == 0)
"""A pending deposit printed as what it moved of the balance: nothing. Only the pending balance says how large it is."""


def _only_pending() -> pl.Expr:
    """The row moved the pending balance, and the balance by nothing."""
    first = pl.col("balance_before").is_null() & (pl.col("balance_after") < _SIZE)
    broken = (pl.col("event_type") == "deposit") & (_CHANGE != _SIZE) & (_PENDING_CHANGE == _SIZE)
    return ((_PENDING_CHANGE.abs() == _SIZE) & (first | (_CHANGE == 0)) | broken).fill_null(False) & (_SIZE != 0)


def _amount() -> pl.Expr:
    """The sign that makes balance_before + amount = balance_after; the event's word decides where the chain cannot."""
    outgoing = pl.col("event_type").is_in(OUTGOING) | (pl.col("amount") < 0)
    return (
        pl.when(_only_pending())
        .then(pl.lit(0, MONEY))
        .when(_CHANGE == _SIZE)
        .then(_SIZE)
        .when(_CHANGE == -_SIZE)
        .then(-_SIZE)
        .when(outgoing)
        .then(-_SIZE)
        .otherwise(_SIZE)
    )


def _pending_amount() -> pl.Expr:
    """What the row moved of the pending balance, where the venue reports one: a deposit moves it or the balance, a release both."""
    moved = (
        pl.when(_only_pending() | _RELEASED | _UNSIZED)
        .then(_PENDING_CHANGE)
        .when(pl.col("event_type") == "deposit_release")
        .then(-_SIZE)
        .otherwise(pl.lit(0, MONEY))
    )
    return pl.when(pl.col("pending_after").is_not_null()).then(moved)


def fresh(shown: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Postings shown that are not known; both cover the same window."""
    return shown.join(known, on=FACT, how="anti", nulls_equal=True, maintain_order="left")


def gone(shown: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Postings known that are no longer shown; both cover the same window."""
    return known.join(shown, on=FACT, how="anti", nulls_equal=True, maintain_order="left")


def agrees(shown: pl.DataFrame, known: pl.DataFrame) -> bool:
    """The oldest instant of the window reads as it did: what lies before it may be trusted unread."""
    oldest = known["occurred_at"].min()
    return gone(shown, known).filter(pl.col("occurred_at") == oldest).is_empty()


def openings(first: pl.DataFrame, live: pl.DataFrame, asserted: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    """Opening versions that differ from the current ones.

    `first`: the first posting of each account that has one; `live`: account_id, amount of read accounts; `asserted`: account_id,
    amount, opened_at, document. A live balance that the first posting bears out stays in force.
    """
    told = [_asserted(asserted), _from_first(first), _from_live(live), _no_longer(current)]
    claims = pl.concat(told).unique("account_id", keep="first", maintain_order=True)
    same = (
        (pl.col("kind") == pl.col("kind_now"))
        & (pl.col("opened_at") == pl.col("opened_at_now"))
        & (pl.col("amount") == pl.col("amount_now"))
        & pl.col("document").eq_missing(pl.col("document_now"))
    )
    live_before = pl.col("kind_now").is_in(["DERIVED_LIVE", "INCEPTION"])
    borne_out = live_before & ((pl.col("amount") == pl.col("amount_now")) & (pl.col("kind") != "ASSERTED") | pl.col("from_live"))
    now = current.select("account_id", kind_now="kind", amount_now="amount", opened_at_now="opened_at", document_now="document")
    return (
        claims.join(now, on="account_id", how="left", maintain_order="left")
        .filter(~(same | borne_out).fill_null(False))
        .drop("kind_now", "amount_now", "opened_at_now", "document_now", "from_live")
    )


def _asserted(asserted: pl.DataFrame) -> pl.DataFrame:
    return _claim(asserted, "ASSERTED", pl.col("amount"), pl.col("opened_at"), pl.col("document"))


def _no_longer(current: pl.DataFrame) -> pl.DataFrame:
    """What was asserted, and is not any more, is unknown until something else tells."""
    said = current.filter(pl.col("kind") == "ASSERTED")
    return _claim(said, "UNKNOWN", pl.lit(None, MONEY), pl.lit(EPOCH, INSTANT), pl.lit(None, TEXT))


def _from_first(first: pl.DataFrame) -> pl.DataFrame:
    before = pl.col("balance_after") - pl.col("amount")
    return _since_ever_if_zero(_claim(first, "DERIVED_FIRST_POSTING", before, pl.col("occurred_at"), pl.lit(None, TEXT)))


def _from_live(live: pl.DataFrame) -> pl.DataFrame:
    claim = _claim(live, "DERIVED_LIVE", pl.col("amount"), pl.lit(EPOCH, INSTANT), pl.lit(None, TEXT))
    return _since_ever_if_zero(claim).with_columns(from_live=pl.lit(True))


def _since_ever_if_zero(claim: pl.DataFrame) -> pl.DataFrame:
    """Nothing was there before the first posting, and the venue was read from its beginning: zero since ever."""
    zero = pl.col("amount") == 0
    return claim.with_columns(
        kind=pl.when(zero).then(pl.lit("INCEPTION")).otherwise("kind"),
        opened_at=pl.when(zero).then(pl.lit(EPOCH, INSTANT)).otherwise("opened_at"),
    )


def _claim(frame: pl.DataFrame, kind: str, amount: pl.Expr, opened_at: pl.Expr, document: pl.Expr) -> pl.DataFrame:
    return frame.select(
        "account_id",
        kind=pl.lit(kind),
        amount=amount,
        pending_amount=pl.lit(None, MONEY),
        opened_at=opened_at.cast(INSTANT),
        document=document,
        from_live=pl.lit(False),
    )
