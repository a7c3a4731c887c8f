"""rows, piece by piece → their windows of a daily table, in one transaction. Which rows, and of which days, is `closing`'s work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from pipelines.histories import ahead
from pipelines.tables import CLOSED_DAYS, METHOD, Table
from pipelines.warehouse import Commit, Replaced, Warehouse

IN_CLOSING = "(calendar, day) IN (SELECT calendar, day FROM closing)"


@dataclass(frozen=True)
class Closed:
    """What closing days did to one table; `counts` per day: rows, and those among them that are marked or have no price."""

    days: pl.DataFrame
    counts: pl.DataFrame
    replaced: Replaced


@dataclass(frozen=True)
class Piece:
    """Rows, and the window of their table that they are all of."""

    rows: pl.DataFrame
    window: str
    relations: dict[str, pl.DataFrame]

    @classmethod
    def whole(cls, table: Table, days: pl.DataFrame, rows: pl.DataFrame) -> Piece:
        return cls(_in_order(rows, table.key), IN_CLOSING, {"closing": days})

    @classmethod
    def of(cls, table: Table, subject: str, days: pl.DataFrame, touched: pl.DataFrame, rows: pl.DataFrame) -> Piece:
        """The rows of `touched` (subject, since) on days that end after their instant."""
        cells = days.join_where(touched, pl.col("as_of") > pl.col("since")).select("calendar", "day", subject)
        kept = rows.join(cells, on=["calendar", "day", subject], how="semi").sort(table.key)
        return cls(kept, f'(calendar, day, "{subject}") IN (SELECT calendar, day, "{subject}" FROM touched)', {"touched": cells})


def _in_order(rows: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """Sorted by the key; rows that are already are left where they lie, for a sort moves every column."""
    follows = pl.lit(False)
    for name in reversed(key):
        here, before = pl.col(name).slice(1), pl.col(name).slice(0, pl.len() - 1)
        follows = (here > before) | ((here == before) & follows)
    return rows if rows.height < 2 or rows.select(follows.all()).item() else rows.sort(key)


def write(
    warehouse: Warehouse, table: Table, days: pl.DataFrame, pieces: Iterator[Piece], last: Callable[[Commit], None] | None = None
) -> Closed:
    """All pieces, and what is done last, in one transaction; while one piece is written the next is made."""
    counts = [_counts(table.empty())]
    with warehouse.commit(f"close {table.name}") as commit:
        if commit.is_empty(table, IN_CLOSING, closing=days):
            done = Replaced(commit.append(table, _counted(pieces, counts)), 0)
        else:
            done = _replace(commit, table, pieces, counts)
        if done.written or done.removed:
            commit.stamp(CLOSED_DAYS, "touched_at", days)
        if last is not None:
            last(commit)
    return Closed(days, pl.concat(counts).group_by("day").sum().sort("day"), done)


def _counted(pieces: Iterator[Piece], counts: list[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    for piece in ahead(pieces):
        counts.append(_counts(piece.rows))
        yield piece.rows


def _replace(commit: Commit, table: Table, pieces: Iterator[Piece], counts: list[pl.DataFrame]) -> Replaced:
    written = removed = 0
    for piece in ahead(pieces):
        done = commit.replace(table, piece.rows, piece.window, **piece.relations)
        written, removed = written + done.written, removed + done.removed
        counts.append(_counts(piece.rows))
    return Replaced(written, removed)


def _counts(rows: pl.DataFrame) -> pl.DataFrame:
    counts = [pl.len().alias("rows")]
    if "reason" in rows.columns:
        rested_on = pl.col("method") == METHOD if "method" in rows.columns else pl.lit(True)
        counts.append((pl.col("reason").is_not_null() & rested_on).sum().alias("unpriced"))
    if "balance_status" in rows.columns:
        counts.append((pl.col("balance_status") == "STALE").sum().alias("stale"))
        counts.append(pl.col("status_reasons").is_not_null().sum().alias("marked"))
    return rows.group_by("day").agg(counts)
