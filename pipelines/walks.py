"""A history batch + what the warehouse knows → both sides of the batch's window. Reads; writes nothing, asks nobody.

`pull` asks it whether a walk joins what is known, `ingest` what is new and what is gone: one answer for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import polars as pl

from pipelines.histories import Reader, among
from pipelines.pages import Batch, Page
from pipelines.stages import chain, ledger
from pipelines.tables import INT, MONEY, POSTINGS
from pipelines.venues import wire


@dataclass(frozen=True)
class Walk:
    """A history batch read against what was known: both frames cover the same window of the same accounts.

    `unattached`: rows of codes that have no account yet.
    `known_before`: how many postings are known ahead of the window; `unread`: how many the venue counts there, where it counts.
    """

    shown: pl.DataFrame
    known: pl.DataFrame
    refused: pl.DataFrame
    unattached: int
    known_before: int
    unread: int | None


def read(warehouse: Reader, batch: Batch, accounts: pl.DataFrame) -> Walk:
    """Read a history batch without writing: what it shows and what was known in its window."""
    reading = wire.read_history(batch.venue, batch.pages)
    mine = walked(batch, accounts)
    counted = wire.count(batch.venue, batch.pages)
    since = _window_begins(batch, reading.rows, counted)
    inside = reading.rows.filter(pl.col("occurred_at") >= since)
    rows = _attached(inside, mine, batch)
    whose = among(mine["account_id"])
    known = warehouse.read(POSTINGS, f"retired_at IS NULL AND {whose} AND occurred_at >= ?", since)
    before = warehouse.sql(
        "SELECT DISTINCT ON (account_id) account_id, balance_after AS balance_before, pending_after AS pending_before, "
        "count(*) OVER (PARTITION BY account_id) AS n FROM postings "
        f"WHERE retired_at IS NULL AND {whose} AND occurred_at < ? ORDER BY account_id, occurred_at DESC, position DESC",
        since,
    )
    shown = ledger.postings(rows.lazy(), before.drop("n").lazy(), batch.venue).collect()
    unread = None if counted is None else counted - inside.height - _refused(warehouse, batch, reading.refused)
    return Walk(shown, known, reading.refused, inside.height - rows.height, int(before["n"].sum()), unread)


def _attached(rows: pl.DataFrame, mine: pl.DataFrame, batch: Batch) -> pl.DataFrame:
    """Rows with their account: a walk of one account is that account's, whatever id the venue gives it now; others name their code."""
    if batch.subject:
        return rows.join(mine.select("account_id"), how="cross", maintain_order="left")
    return rows.join(mine.select("account_id", "native_code"), on="native_code", how="inner", maintain_order="left")


def _window_begins(batch: Batch, rows: pl.DataFrame, counted: int | None) -> datetime:
    """Where the walk's word ends. A walk to the beginning reaches as far as its oldest row, unless the venue's own count proves it whole:
    a history that is cut short, by a retention rule or by mistake, unsays nothing older."""
    if batch.since is not None or counted is not None:
        return batch.since or ledger.EPOCH
    oldest = rows["occurred_at"].min()
    return oldest if isinstance(oldest, datetime) else batch.until


def _refused(warehouse: Reader, batch: Batch, now: pl.DataFrame) -> int:
    """How many rows the venue counts and we cannot read: those of this walk, and those that wait in suspense from further back."""
    waiting = warehouse.sql(
        "SELECT row FROM suspense WHERE portfolio = ? AND page_sha256 IN (SELECT sha256 FROM pages WHERE endpoint = 'history') "
        "AND row NOT IN (SELECT batch FROM pages)",  # a batch refused as a whole says nothing of its rows
        batch.portfolio,
    )
    return now.height + waiting.join(now, on="row", how="anti").height


def breaks(warehouse: Reader, batch: Batch) -> pl.DataFrame:
    """Where the rows of the walk do not explain each other, and nobody knew of it yet: native_code, since, until, missing."""
    rows = wire.read_history(batch.venue, batch.pages).rows.with_columns(
        native_code=pl.coalesce(pl.lit(batch.subject or None), "native_code")
    )
    codes = rows.select("native_code").drop_nulls().unique().sort("native_code").with_row_index("n")
    codes = codes.select("native_code", account_id=pl.col("n").cast(INT))
    mine = rows.join(codes, on="native_code", how="inner", maintain_order="left")
    nothing = codes.select("account_id", balance_before=pl.lit(None, MONEY), pending_before=pl.lit(None, MONEY))
    shown = ledger.postings(mine.lazy(), nothing.lazy(), batch.venue).collect()
    standing = codes.select("account_id").join(pl.DataFrame(schema=chain.STANDING), on="account_id", how="left")
    found = chain.prove(standing.with_columns(position=pl.lit(-1, INT)), shown).breaks.filter(pl.col("kind") == "BALANCE")
    known = warehouse.sql(
        "SELECT native_code, until, missing FROM chain_breaks JOIN accounts USING (account_id) WHERE retired_at IS NULL AND portfolio = ?",
        batch.portfolio,
    )
    return (
        found.join(codes, on="account_id")
        .select("native_code", "since", "until", "missing")
        .join(known, on=["native_code", "until", "missing"], how="anti")
    )


class Listed(NamedTuple):
    """An account as its venue lists it; `holds`: anything at all, held or pending."""

    code: str
    venue_id: str | None
    holds: bool


def listed(balances: Sequence[Page]) -> list[Listed]:
    """Every account of a list of live balances, in the venue's order."""
    rows = wire.read_balances(balances[0].venue, balances)[1].rows
    found = rows.group_by("native_code", "venue_account_id", maintain_order=True).agg((pl.col("amount") != 0).any())
    return [Listed(*row) for row in found.iter_rows()]


def walked(batch: Batch, accounts: pl.DataFrame) -> pl.DataFrame:
    """The accounts that the batch speaks of."""
    return accounts.filter(pl.col("native_code") == batch.subject) if batch.subject else accounts
