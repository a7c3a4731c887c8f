"""where each account stands + postings → where it stands at any instants. No calendars, no I/O, no words about the numbers.

Accounts are dense integers and the postings of each lie in chain order; the last write to a cell of the instant × account grid
wins, a running maximum down the instants carries it forward, one gather fetches the balances. Rebuilding a range, adding a day
and answering one instant are this one function; slices of time and buckets of accounts give the same rows.

Money moves as 16-byte integers: sums may wrap, and are right again wherever the true number fits. The only float, `size`, is an
estimate that tells a wrapped sum from a sane one.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.stages import exact
from pipelines.stages.following import Index, Longs, in_order
from pipelines.tables import INSTANT, INT, MONEY

STANDING = pl.Schema(
    {
        "account_id": INT,
        "opened_at": INSTANT,  # postings before it move no balance; null: none lie before it
        "reported": MONEY,  # the last balance the venue reported; the opening where it reported none
        "pending": MONEY,
        "last_event_at": INSTANT,
        "drift": pl.Int128(),  # reported − balance, in 10^-18 units: all that the chain failed to explain
        "size": pl.Float64(),  # the same, roughly
    }
)
"""One row per account, sorted: all that must be known of the past."""
CHAIN = ("account_id", "occurred_at", "position", "amount", "balance_after", "pending_after")
"""The columns of postings that are read."""
LIMIT_UNITS = 10**36
"""The limit of `exact`, in 10^-18 units."""
FRACTION = pl.lit(10**18, pl.Int128)
TINY = pl.lit(Decimal(1).scaleb(-18), MONEY)

_HELD = ("reported", "pending", "last_event_at")
_BEGINNING = -(2**63)


@dataclass(frozen=True)
class Reached:
    """Which known row holds at each instant, for each account; the last line of a grid holds after everything read.

    `held` lists what is known: one row per account as it stood, then one per posting. `drifts` likewise: accounts, then gaps.
    """

    instants: pl.Series
    standing: pl.DataFrame
    held: pl.DataFrame
    drifts: pl.DataFrame
    row: Index
    pending_row: Index
    drift_row: Index

    def at(self, as_of: pl.Series, days: Index, accounts: Index) -> pl.DataFrame:
        """What holds for these accounts at the as_of of these days: reported, pending, last_event_at, drift, size."""
        return self._in(np.searchsorted(_longs(self.instants), _longs(as_of))[days] * self.row.shape[1] + accounts)

    def _in(self, cells: Longs) -> pl.DataFrame:
        row = pl.Series(self.row.reshape(-1)[cells])
        pending = row if self.pending_row is self.row else pl.Series(self.pending_row.reshape(-1)[cells])
        found = self.held.select(pl.col("reported", "last_event_at").gather(row), pl.col("pending").gather(pending))
        return found.with_columns(self._drifts(cells))

    def _drifts(self, cells: Longs) -> list[pl.Series]:
        if not self.drifted:
            return [
                pl.Series("drift", [0], pl.Int128).new_from_index(0, len(cells)),
                pl.Series("size", [0.0]).new_from_index(0, len(cells)),
            ]
        return self.drifts.select(pl.all().gather(pl.Series(self.drift_row.reshape(-1)[cells]))).get_columns()

    @cached_property
    def drifted(self) -> bool:
        return bool((self.drifts["drift"] != 0).any() or (self.drifts["size"] != 0).any())

    def now(self) -> pl.DataFrame:
        """Where each account stands after everything read: the standing the next slice begins with."""
        found = self._in(np.arange(self.row.size - self.standing.height, self.row.size))
        return self.standing.select("account_id", "opened_at").hstack(found).select(STANDING.names())


def advance(standing: pl.DataFrame, postings: pl.DataFrame, instants: pl.Series) -> Reached:
    """`postings`: the CHAIN columns of everything since `standing` held, in any order; `instants`: sorted, each once."""
    accounts = standing.height
    chain, account, before = in_order(standing["account_id"], postings.select(CHAIN))
    held = _held(standing, chain)
    at = _longs(chain["occurred_at"])
    cell = _lines(_longs(instants), at) * accounts + account
    grid = _Grid(len(instants), accounts)
    index = np.arange(accounts, accounts + len(at), dtype=np.uint32)
    gap, drifts = _drifts(standing, held, before, account, _counted(standing, chain["amount"], at, account, before))
    row = grid.carried(cell, index)
    return Reached(
        instants,
        standing,
        held,
        drifts,
        row,
        _pending_row(grid, row, chain["pending_after"], cell),
        grid.carried(cell[gap], np.arange(accounts, accounts + len(gap), dtype=np.uint32)),
    )


@dataclass(frozen=True)
class _Grid:
    """Instants × accounts, and a last line for what lies after the last instant."""

    instants: int
    accounts: int

    def carried(self, cell: Longs, index: Index) -> Index:
        """The last index written to each cell or above it; where there is none, the account's own number."""
        grid = np.zeros((self.instants + 1, self.accounts), dtype=np.uint32)
        grid[0] = np.arange(self.accounts)
        grid.reshape(-1)[cell] = index  # of equal cells the last wins
        if len(cell):
            np.maximum.accumulate(grid, axis=0, out=grid)
        else:
            grid[:] = grid[0]
        return grid


def _lines(instants: Longs, at: Longs) -> Longs:
    """The first instant after each posting, by number: as-of is exclusive. A feed in time order is cut where the instants lie."""
    if (at[1:] < at[:-1]).any():
        return np.searchsorted(instants, at, side="right")
    ends = np.append(np.searchsorted(at, instants, side="left"), len(at))
    return np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))


def _pending_row(grid: _Grid, row: Index, pending: pl.Series, cell: Longs) -> Index:
    said = len(pending) - pending.null_count()
    if said == len(pending):
        return row
    where = np.flatnonzero(pending.is_not_null().to_numpy()) if said else np.empty(0, dtype=np.int64)
    return grid.carried(cell[where], (where + grid.accounts).astype(np.uint32))


def _held(standing: pl.DataFrame, chain: pl.DataFrame) -> pl.DataFrame:
    posted = chain.select(reported="balance_after", pending="pending_after", last_event_at="occurred_at")
    return pl.concat([standing.select(_HELD), posted]).rechunk()


def _counted(standing: pl.DataFrame, amount: pl.Series, at: Longs, account: NDArray[np.int32], before: Index) -> pl.Series:
    """What each posting moves, in 10^-18 units: an opening already contains what lies before it."""
    opened = _since(standing["opened_at"])
    units = amount.to_physical().rechunk()
    first = np.flatnonzero(before < standing.height)
    if not (at[first] < opened[account[first]]).any():
        return units
    return pl.select(pl.when(pl.Series(at >= opened[account])).then(units).otherwise(0)).to_series()


def _drifts(
    standing: pl.DataFrame, held: pl.DataFrame, before: Index, account: NDArray[np.int32], amount: pl.Series
) -> tuple[Longs, pl.DataFrame]:
    """Postings that their neighbour does not explain, and what each account has drifted by: accounts, then these postings."""
    reported = held["reported"].to_physical()
    here, there = reported.slice(standing.height), reported.gather(pl.Series(before))
    gap = ((here - there) != amount).arg_true().to_numpy().astype(np.int64)
    was = standing.select("drift", "size")
    if not len(gap):
        return gap, was
    now, then, moved = (units.gather(pl.Series(gap)) for units in (here, there, amount))
    size = now.cast(pl.Float64) - then.cast(pl.Float64) - moved.cast(pl.Float64)
    places = pl.Series("place", account[gap]).cast(pl.UInt32)
    grown = (
        pl.DataFrame([places, (now - then - moved).alias("drift"), size.alias("size")])
        .with_columns(pl.col("drift", "size").cum_sum().over("place"))
        .select(pl.col(name) + was[name].gather(places) for name in ("drift", "size"))
    )
    return gap, pl.concat([was, grown]).rechunk()


def cells(as_of: pl.Series, opened_at: pl.Series, changed: pl.Series | None = None) -> tuple[Index, Index]:
    """Day and account of every row of the book, days first: an account has one from its opening on, and after what `changed`."""
    begins = _since(opened_at) if changed is None else np.maximum(_since(opened_at), _since(changed))
    day, account = np.nonzero(begins[None, :] < _longs(as_of)[:, None])
    return day.astype(np.uint32), account.astype(np.uint32)


def money(units: pl.Expr) -> pl.Expr:
    """Int128 in 10^-18 units → the quantity; null from the limit on."""
    sane = pl.when(units.abs() < pl.lit(LIMIT_UNITS, pl.Int128)).then(units)
    return exact.in_range((sane // FRACTION).cast(MONEY) + (sane % FRACTION).cast(MONEY) * TINY)


def _since(instants: pl.Series) -> Longs:
    """An instant that is null was always."""
    return instants.to_physical().fill_null(_BEGINNING).to_numpy()


def _longs(instants: pl.Series) -> Longs:
    return instants.to_physical().to_numpy()
