"""Live balances + what the chain says around the moment they were asked → does ours agree with the venue's? No I/O, no clock.

A live balance is read ahead of the history, so events in between are in the history: a live balance that is the chain's at any
point from shortly before it was asked on is explained by them. Nothing is adjusted. Whether a history runs over sub-accounts too is
not published: where it ties out with both together and not as well with the main account alone, it does.
"""

from __future__ import annotations

import polars as pl

from pipelines.tables import INSTANT, INT, MONEY, TEXT

TIE_OUT = pl.Schema({"account_id": INT, "kind": TEXT, "theirs": MONEY, "ours": MONEY, "outcome": TEXT})
STATES = pl.Schema({"account_id": INT, "occurred_at": INSTANT, "balance": MONEY, "pending": MONEY})
"""Where accounts stood: one row shortly before the live balance was asked for, at a null instant, and one for each posting since."""
_BEST_FIRST = pl.Enum(["AGREES", "EXPLAINED", "DIFFERS"])


def tie_outs(live: pl.DataFrame, states: pl.DataFrame) -> pl.DataFrame:
    """`live`: account_id, scope, amount, asked_at. Ours is the chain's where it is the venue's at any point, else the newest asked for."""
    main = _compared(live.filter(pl.col("scope") == "account"), states, "BALANCE", "balance")
    both = _compared(_both(live), states, "BALANCE", "balance").filter(pl.col("outcome") != "DIFFERS")
    pending = _compared(live.filter(pl.col("scope") == "pending"), states, "PENDING", "pending")
    return (
        pl.concat([main, both, pending])
        .sort("account_id", "kind", pl.col("outcome").cast(_BEST_FIRST), maintain_order=True)
        .unique(["account_id", "kind"], keep="first", maintain_order=True)
    )


def _both(live: pl.DataFrame) -> pl.DataFrame:
    """Main account and sub-accounts in one sum, where the sub-accounts hold anything."""
    beside = (pl.col("scope") == "sub_accounts") & (pl.col("amount") != 0)
    return (
        live.filter(pl.col("scope").is_in(["account", "sub_accounts"]))
        .group_by("account_id", maintain_order=True)
        .agg(pl.col("amount").sum(), pl.col("asked_at").first(), held=beside.any())
        .filter("held")
    )


def _compared(live: pl.DataFrame, states: pl.DataFrame, kind: str, column: str) -> pl.DataFrame:
    then = (pl.col("occurred_at") < pl.col("asked_at")).fill_null(True)
    return (
        live.join(states.select("account_id", "occurred_at", ours=column), on="account_id", how="inner")
        .filter(pl.col("ours").is_not_null())
        .sort("account_id", "occurred_at", nulls_last=False, maintain_order=True)
        .group_by("account_id", maintain_order=True)
        .agg(
            theirs=pl.col("amount").first(),
            ours=pl.col("ours").filter(then).last(),
            met=(pl.col("ours") == pl.col("amount")).any(),
        )
        .with_columns(kind=pl.lit(kind), outcome=_outcome())
        .select(TIE_OUT.names())
        .cast(TIE_OUT)
    )


def _outcome() -> pl.Expr:
    return (
        pl.when(pl.col("ours") == pl.col("theirs"))
        .then(pl.lit("AGREES"))
        .when("met")
        .then(pl.lit("EXPLAINED"))
        .otherwise(pl.lit("DIFFERS"))
    )
