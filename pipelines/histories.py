"""postings since a closed day → daily_balances, slice by slice: what must be read, and no more. What rows say is `snapshots`' work.

An account goes on from the newest closed day that still holds for it; only where there is none, from its beginning. What is large
is read in slices of time: memory is bounded by the slice, not by the history.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Protocol, TypeVar

import polars as pl

from pipelines.stages import snapshots
from pipelines.stages.kernel import CHAIN
from pipelines.stages.ledger import EPOCH
from pipelines.tables import CLOSED_DAYS, DAILY_BALANCES, DIRTY, INSTANT, INT, Table

_T = TypeVar("_T")

SLICE = 1_000_000
"""Postings, and cells of the day × account grid, that are in hand at once."""
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
LATECOMERS = 0.05
"""Of the accounts, those that must be read from furthest back are read apart."""

_COUNTS = "SELECT epoch_us(occurred_at) // 86400000000 AS day, count(*) AS postings FROM ({postings}) GROUP BY day ORDER BY day"
_DAY = 86_400_000_000


class Reader(Protocol):
    """A warehouse or a publication."""

    def read(self, table: Table, condition: str = "true", *params: object) -> pl.DataFrame: ...
    def sql(self, query: str, *params: object) -> pl.DataFrame: ...


@dataclass(frozen=True)
class Part:
    """Some of the days that were asked for, and their rows."""

    days: pl.DataFrame
    rows: pl.DataFrame


@dataclass(frozen=True)
class Histories:
    """The histories of the accounts in scope: `mine` and `live` are the conditions that keep to them and to what is known."""

    source: Reader
    known_at: datetime | None
    held: pl.DataFrame
    mine: str
    live: str

    def closing(self, days: pl.DataFrame, since: pl.DataFrame | None = None) -> Iterator[Part]:
        """Rows for `days`, of all accounts; with `since` (account_id, since) of these only, on days that end after their instant."""
        held = self.held
        if since is not None:
            held = held.join(since.select("account_id", changed="since"), on="account_id", how="inner", maintain_order="left")
        if held.height and days.height:
            yield from self._close(held, days.sort("as_of"))

    def _close(self, held: pl.DataFrame, days: pl.DataFrame) -> Iterator[Part]:
        stood, begun = self._standing(held, days)
        standing = snapshots.from_days(held, stood)
        lower = BEGINNING
        for upper, postings in ahead(self._slices(begun, self._edges(begun, days, held.height))):
            now = days.filter(pl.col("as_of") > lower, pl.col("as_of") <= upper)
            rows, standing = snapshots.close(held, standing, postings, now)
            if now.height:
                yield Part(now, DAILY_BALANCES.conform(rows))
            lower = upper

    def _slices(self, begun: pl.DataFrame, edges: list[datetime]) -> Iterator[tuple[datetime, pl.DataFrame]]:
        for lower, upper in pairwise([BEGINNING, *edges]):
            yield upper, self._postings(begun, lower, upper)

    def _standing(self, held: pl.DataFrame, days: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The daily_balances that accounts go on from, and from when on each account's postings must be read."""
        chosen = self._chosen(held, days)
        found = [DAILY_BALANCES.empty()]
        for (calendar, day, as_of), some in chosen.group_by("calendar", "day", "held_at"):
            mine = self.mine if some.height == held.height == self.held.height else among(some["account_id"])
            condition = f"calendar = ? AND day = ? AND as_of = ? AND {mine}"
            found.append(self.source.read(DAILY_BALANCES, condition, calendar, day, as_of))
        rows = snapshots.resumable(pl.concat(found))
        return rows, self._begun(held, rows)

    def _chosen(self, held: pl.DataFrame, days: pl.DataFrame) -> pl.DataFrame:
        """account_id → the newest closed day, none of `days`, that ends before all that is asked and before any doubt."""
        closed = self.source.read(CLOSED_DAYS).join(days, on=["calendar", "day"], how="anti")
        candidates = closed.select("calendar", "day", held_at="as_of").unique("held_at", keep="any").sort("held_at")
        limit = pl.min_horizontal(pl.lit(days["as_of"][0], INSTANT), pl.col("doubt"))
        return (
            held.select("account_id")
            .join(self._doubt(), on="account_id", how="left")
            .select("account_id", limit=limit)
            .sort("limit")
            .join_asof(candidates, left_on="limit", right_on="held_at", strategy="backward")
            .drop_nulls("held_at")
        )

    def _doubt(self) -> pl.DataFrame:
        """account_id → from when on its closed days may differ from what is known at K: they wait to be closed again, or know more."""
        source, at = self.source, self.known_at
        waiting = source.read(DIRTY, "kind = 'ACCOUNT'").select(pl.col("subject").cast(INT).alias("account_id"), doubt="since")
        later = waiting.clear() if at is None else source.sql(_known_later(at, self.mine)).cast(waiting.schema)
        return pl.concat([waiting, later]).group_by("account_id").agg(pl.col("doubt").min())

    @staticmethod
    def _begun(held: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
        """account_id, begun: nothing before it need be read; contained: the balance gone on from contains all before this.

        An opening made of the first posting has nothing before it.
        """
        opening = pl.when(pl.col("opens_the_chain")).then("opened_at").otherwise(pl.lit(BEGINNING, INSTANT))
        return (
            held.select("account_id", "opened_at", "opens_the_chain")
            .join(rows.select("account_id", "as_of"), on="account_id", how="left", maintain_order="left")
            .select("account_id", begun=pl.coalesce("as_of", opening), contained="as_of")
            .sort("begun")
        )

    def _edges(self, begun: pl.DataFrame, days: pl.DataFrame, accounts: int) -> list[datetime]:
        """Where slices of time end, the last of them at the last instant asked for."""
        last = days["as_of"][-1]
        counts = self.source.sql(_COUNTS.format(postings=self._query(begun, BEGINNING, last)))
        asked = days.select(day=(pl.col("as_of").to_physical() - 1) // _DAY).group_by("day").agg(cells=pl.len() * accounts)
        work = (
            pl.concat([counts.cast(pl.Int64), asked.cast(pl.Int64)], how="diagonal")
            .group_by("day")
            .agg(work=pl.col("postings").sum() + pl.col("cells").sum())
            .sort("day")
            .with_columns(nth=(pl.col("work").cum_sum() - 1) // SLICE)
        )
        ends = work.group_by("nth").agg(end=(pl.col("day").max() + 1) * _DAY).select(pl.col("end").cast(INSTANT)).to_series()
        return [*ends.filter(ends < last).sort(), last]

    def _postings(self, begun: pl.DataFrame, lower: datetime, upper: datetime) -> pl.DataFrame:
        found = self.source.sql(self._query(begun, lower, upper))
        contained = pl.col("contained").fill_null(BEGINNING)
        if begun.select((contained > self._most(begun)).any() | (contained < contained.max()).any()).item():
            mine = found.join(begun.select("account_id", "contained"), on="account_id", how="inner", maintain_order="left")
            found = mine.filter(pl.col("contained").is_null() | (pl.col("occurred_at") >= pl.col("contained")))
        return found

    def _query(self, begun: pl.DataFrame, lower: datetime, upper: datetime) -> str:
        """Postings from `lower` to before `upper` that are known and not yet in the balances; a few of them perhaps are."""
        mine = self.mine if begun.height == self.held.height else among(begun["account_id"])
        most = self._most(begun)
        late = begun.filter(pl.col("begun") < most)
        selects = [self._select(mine, max(lower, most), upper)]
        if late.height and lower < most:
            selects.append(self._select(among(late["account_id"]), max(lower, late["begun"][0]), min(upper, most)))
        return " UNION ALL ".join(selects)

    @staticmethod
    def _most(begun: pl.DataFrame) -> datetime:
        """From here on everybody's postings are read together."""
        most: datetime = begun["begun"][int(begun.height * LATECOMERS)]
        return most

    def _select(self, mine: str, lower: datetime, upper: datetime) -> str:
        since = f"AND occurred_at >= {moment(lower)}" if lower > BEGINNING else ""
        return f"SELECT {', '.join(CHAIN)} FROM postings WHERE {self.live} AND {mine} {since} AND occurred_at < {moment(upper)}"


def ahead(items: Iterator[_T]) -> Iterator[_T]:
    """The same items; the next is made in a thread of its own while this one is used, so that reading, computing and writing overlap."""
    end: Any = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item


def among(account_ids: pl.Series) -> str:
    return f"account_id IN ({', '.join(map(str, account_ids)) or 'NULL'})"


def moment(at: datetime) -> str:
    """An instant as SQL."""
    return f"TIMESTAMPTZ '{at.isoformat()}'"


def _known_later(at: datetime, mine: str) -> str:
    """Facts that K does not know, or knew before they were retired: the newest knowledge speaks of them."""
    return f"""
        SELECT account_id, occurred_at AS doubt FROM postings WHERE recorded_at > {moment(at)} AND {mine}
        UNION ALL SELECT account_id, occurred_at FROM postings WHERE retired_at > {moment(at)} AND {mine}
        UNION ALL SELECT account_id, {moment(EPOCH)} FROM openings WHERE recorded_at > {moment(at)} AND {mine}
    """
