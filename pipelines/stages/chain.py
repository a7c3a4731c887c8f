"""Where accounts stood + postings → where their chains break, and where they stand after. No I/O, no clock.

balance_before + amount = balance_after, and pending_before + pending_amount = pending_after: a posting proves its neighbour.
A break says between which two and how much is missing; nothing is healed here. An unbroken chain proves net change only.
Slices of time and buckets of accounts give the same breaks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipelines.stages.following import Index, Ints, Longs, in_order
from pipelines.tables import INSTANT, INT, MONEY, TEXT

LINKS = ("account_id", "occurred_at", "position", "amount", "balance_after", "pending_amount", "pending_after")
"""The columns of postings that are read."""
STANDING = pl.Schema({"account_id": INT, "occurred_at": INSTANT, "position": INT, "balance_after": MONEY, "pending_after": MONEY})
"""One row per account: its last posting so far, or its opening, at position −1; balances are null where nothing is known of them."""
BREAK = pl.Schema(
    {
        "account_id": INT,
        "kind": TEXT,
        "since": INSTANT,
        "since_position": INT,
        "until": INSTANT,
        "until_position": INT,
        "stood": MONEY,
        "moved": MONEY,
        "reported": MONEY,
        "missing": MONEY,
    }
)
"""A break: after the posting at `since` the balance `stood`, the one at `until` `moved` it, yet the venue `reported` another."""
DOUBT = pl.Schema({"account_id": INT, "occurred_at": INSTANT})
_KINDS = {"BALANCE": ("balance_after", "amount"), "PENDING": ("pending_after", "pending_amount")}


@dataclass(frozen=True)
class Proof:
    """What postings prove: their `breaks`; where accounts stand after them; `doubts`: instants that come back to a balance they
    left, and so may be ordered otherwise."""

    breaks: pl.DataFrame
    standing: pl.DataFrame
    doubts: pl.DataFrame


def prove(standing: pl.DataFrame, postings: pl.DataFrame) -> Proof:
    """`postings`: the LINKS of everything since `standing` stood, in any order; no instant of theirs lies partly elsewhere."""
    chain, account, before = in_order(standing["account_id"], _since_opened(standing, postings.select(LINKS)))
    held = pl.concat([standing.select(*STANDING), chain.select(*STANDING)]).rechunk()
    breaks = pl.concat([_breaks(kind, held, chain, before) for kind in _KINDS])
    return Proof(breaks.sort("account_id", "until", "until_position", "kind"), _now(held, account, before), _doubts(held, before))


def _since_opened(standing: pl.DataFrame, postings: pl.DataFrame) -> pl.DataFrame:
    """An opening contains what lies before it."""
    opened = standing.filter(pl.col("position") < 0, pl.col("occurred_at") > pl.lit(postings["occurred_at"].min(), INSTANT))
    if opened.is_empty():
        return postings
    late = postings.join(opened.select("account_id", opened_at="occurred_at"), on="account_id", how="left", maintain_order="left")
    return late.filter((pl.col("occurred_at") >= pl.col("opened_at")).fill_null(True)).select(LINKS)


def _breaks(kind: str, held: pl.DataFrame, chain: pl.DataFrame, before: Index) -> pl.DataFrame:
    after, moved = _KINDS[kind]
    said = chain[after].is_not_null().arg_true()
    if said.is_empty():
        return pl.DataFrame(schema=BREAK)
    whole = len(said) == chain.height
    amounts, there = (chain[moved], pl.Series(before)) if whole else (chain[moved].gather(said), pl.Series(before[said.to_numpy()]))
    units = held[after].to_physical()
    here = units.slice(held.height - chain.height) if whole else units.gather(said + (held.height - chain.height))
    broken = ((here - units.gather(there)) != amounts.to_physical()).arg_true()
    return _described(kind, held, chain, there.gather(broken), said.gather(broken))


def _described(kind: str, held: pl.DataFrame, chain: pl.DataFrame, there: pl.Series, here: pl.Series) -> pl.DataFrame:
    after, moved = _KINDS[kind]
    neighbour = held.select(pl.col("occurred_at", "position", after).gather(there)).rename(
        {"occurred_at": "since", "position": "since_position", after: "stood"}
    )
    posting = chain.select(pl.col("account_id", "occurred_at", "position", moved, after).gather(here)).rename(
        {"occurred_at": "until", "position": "until_position", moved: "moved", after: "reported"}
    )
    missing = pl.col("reported") - pl.col("stood") - pl.col("moved")
    return posting.hstack(neighbour).with_columns(kind=pl.lit(kind), missing=missing).select(BREAK.names())


def _now(held: pl.DataFrame, account: Ints, before: Index) -> pl.DataFrame:
    """Of each account the row that nothing follows."""
    followed = np.zeros(held.height, dtype=bool)
    followed[before] = True
    owner = np.concatenate([np.arange(held.height - len(account), dtype=np.int64), account.astype(np.int64)])
    last = np.flatnonzero(~followed)
    return held[last[np.argsort(owner[last], kind="stable")]]


def _doubts(held: pl.DataFrame, before: Index) -> pl.DataFrame:
    at: Longs = held["occurred_at"].to_physical().to_numpy()
    accounts = held.height - len(before)
    tied = np.flatnonzero(at[before] == at[accounts:])
    tied = tied[before[tied] >= accounts]
    if not len(tied):
        return pl.DataFrame(schema=DOUBT)
    heads = np.setdiff1d(before[tied], tied + accounts)
    nodes: pl.DataFrame = held[np.concatenate([tied + accounts, heads])]
    starts: pl.DataFrame = held[before[heads - accounts]].with_columns(occurred_at=pl.Series(at[heads]).cast(INSTANT))
    return (
        pl.concat([nodes, starts])
        .lazy()
        .filter(pl.struct("account_id", "occurred_at", "balance_after", "pending_after").is_duplicated())
        .select(DOUBT.names())
        .unique()
        .sort(DOUBT.names())
        .collect()
    )
