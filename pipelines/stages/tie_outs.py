"""Live balances + what the chain says around the moment they were asked → does ours agree with the venue's? No I/O, no clock.

A live balance is read ahead of the history, so events in between are in the history: a live balance that is the chain's at any
point from shortly before it was asked on is explained by them. Nothing is adjusted.
"""

from __future__ import annotations

import polars as pl

from pipelines.tables import INSTANT, INT, MONEY, TEXT

TIE_OUT = pl.Schema({"account_id": INT, "kind": TEXT, "theirs": MONEY, "ours": MONEY, "outcome": TEXT})
STATES = pl.Schema({"account_id": INT, "occurred_at": INSTANT, "balance": MONEY, "pending": MONEY})
"""Where accounts stood: one row shortly before the live balance was asked for, at a null instant, and one for each posting since."""
_SCOPES = {"account": ("BALANCE", "balance"), "pending": ("PENDING", "pending")}


def tie_outs(live: pl.DataFrame, states: pl.DataFrame) -> pl.DataFrame:
    """`live`: account_id, scope, amount, asked_at. Ours is the chain's where it is the venue's at any point, else the newest asked for."""
    parts = [_compared(live.filter(pl.col("scope") == scope), states, *names) for scope, names in _SCOPES.items()]
    return pl.concat(parts).sort("account_id", "kind")


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
