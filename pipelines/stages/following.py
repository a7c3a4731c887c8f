"""Postings of many accounts, in any order → which posting each of them follows. What is made of a posting and the one before it is
not known here.

Accounts are dense integers; the postings of each are left where they lie, if that is in chain order. Nothing wide is sorted.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.errors import ContractError

Index = NDArray[np.uint32]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]


def in_order(accounts: pl.Series, postings: pl.DataFrame) -> tuple[pl.DataFrame, Ints, Index]:
    """Postings of these accounts, such that each account's lie in chain order; the place of their account, and what each follows:
    the number of a posting, counted after one number for each account; an account's own number, where nothing lies before."""
    chain, account = _mine(accounts, postings)
    before = _before(account, len(accounts))
    if not _is_ordered(chain, before, len(accounts)):
        chain, account = _mine(accounts, chain.sort("occurred_at", "position", maintain_order=True))
        before = _before(account, len(accounts))
        if not _is_ordered(chain, before, len(accounts)):
            raise ContractError("Postings are out of order after they were sorted.")
    return chain, account, before


def _mine(accounts: pl.Series, postings: pl.DataFrame) -> tuple[pl.DataFrame, Ints]:
    """Postings of accounts that stand somewhere, with the place of their account in `accounts`."""
    ids, posted = accounts.to_numpy(), postings["account_id"].to_numpy()
    place = np.full(max(ids.max(initial=0), posted.max(initial=0)) + 1, -1, dtype=np.int32)
    place[ids] = np.arange(len(ids), dtype=np.int32)
    account = place[posted]
    if len(account) and account.min() < 0:
        mine = account >= 0
        return postings.filter(pl.Series(mine)), account[mine]
    return postings, account


def _before(account: Ints, accounts: int) -> Index:
    """For each posting the number of what it follows: its account's posting before it, else the account itself."""
    order = _by_account(account)
    before = np.empty(len(account), dtype=np.uint32)
    if len(order):
        sorted_account = account[order]
        before[order[1:]] = order[:-1].astype(np.uint32) + np.uint32(accounts)
        first = np.append(0, np.flatnonzero(sorted_account[1:] != sorted_account[:-1]) + 1)
        before[order[first]] = sorted_account[first]
    return before


def _by_account(account: Ints) -> Longs:
    """Rows by account, in the order they lie. Sorting 16-bit numbers costs a pass over them; wider ones are sorted in two."""
    order = np.argsort((account & 0xFFFF).astype(np.uint16), kind="stable")
    if account.max(initial=0) <= 0xFFFF:
        return order
    return order[np.argsort((account >> 16).astype(np.uint16)[order], kind="stable")]


def _is_ordered(chain: pl.DataFrame, before: Index, accounts: int) -> bool:
    """Every posting lies after the one it follows: by instant, then by position."""
    at, position = chain["occurred_at"].to_physical().to_numpy(), chain["position"].to_numpy()
    rows = np.flatnonzero(at[1:] <= at[:-1]) + 1  # in a feed that lies in time order, only those that share an instant
    if len(rows) > len(at) // 8 or (at[rows] < at[rows - 1]).any():
        rows = np.arange(len(at))
    rows = rows[before[rows] >= accounts]
    earlier = before[rows] - accounts
    after = (at[earlier] < at[rows]) | ((at[earlier] == at[rows]) & (position[earlier] <= position[rows]))
    return bool(after.all())
