"""Locked publication and newest one → post-close items: what came to be known of locked days, each account's exact effect.

Daily tables say what is known now; a locked day is told as it was locked. What stands between the two is listed here, nowhere hidden.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

import polars as pl

from pipelines.histories import Reader
from pipelines.journal import Journal
from pipelines.locks import Lock, locks
from pipelines.stages import exact
from pipelines.tables import CALENDARS, DAY, INSTANT, MONEY, POST_CLOSE_ITEMS, TEXT
from pipelines.warehouse import Warehouse

Kept = Callable[[int], AbstractContextManager[Reader]]
"""A publication by its number."""
_WHOSE = ("portfolio", "native_code")
_NUMBERS = ("balance", "price", "currency", "value")
_ITEM = pl.Schema(
    {
        "item": TEXT,
        "locked_day": DAY,
        "portfolio": TEXT,
        "native_code": TEXT,
        "balance": MONEY,
        "balance_now": MONEY,
        "balance_change": MONEY,
        "price": MONEY,
        "price_now": MONEY,
        "value": MONEY,
        "value_now": MONEY,
        "value_change": MONEY,
        "currency": TEXT,
        "currency_now": TEXT,
    }
)


def note(warehouse: Warehouse, journal: Journal, kept: Kept) -> None:
    """Bring the table of items up to what is known now."""
    known = dict(warehouse.read(POST_CLOSE_ITEMS).select("item", "recorded_at").iter_rows())
    calendars = warehouse.read(CALENDARS)["calendar"].sort()
    found = [post_close(journal, warehouse, kept, name).with_columns(calendar=pl.lit(name, TEXT)) for name in calendars]
    with warehouse.commit("post-close items") as commit:
        first_seen = pl.col("item").replace_strict(known, default=commit.recorded_at, return_dtype=INSTANT)
        commit.replace(POST_CLOSE_ITEMS, pl.concat(found).with_columns(recorded_at=first_seen))


def post_close(journal: Journal, source: Reader, kept: Kept, calendar: str) -> pl.DataFrame:
    """What came to be known after their lock, under each lock: the exact effect on each account, and what was decided."""
    carried = {r.words["subject"]: r.by for r in journal.records("DISPOSITION")}
    found = pl.concat([pl.DataFrame(schema=_ITEM), *(changed_since(source, kept, lock) for lock in locks(journal, calendar))])
    return found.with_columns(carried_by=pl.col("item").replace_strict(carried, default=None, return_dtype=TEXT))


def changed_since(source: Reader, kept: Kept, lock: Lock) -> pl.DataFrame:
    """Each account on the newest locked day that shows something else now: later entries may cancel before the lock's last day."""
    now = _values(source, lock)
    with kept(lock.publication) as locked:
        was = _values(locked, lock)
    both = was.join(now, on=["locked_day", *_WHOSE], how="full", coalesce=True, suffix="_now")
    pairs = [(name, f"{name}_now") for name in _NUMBERS]
    effect = {f"{c}_change": pl.col(f"{c}_now").fill_null(0) - pl.col(c).fill_null(0) for c in ("balance", "value")}
    differs = both.filter(pl.any_horizontal(pl.col(old).ne_missing(pl.col(new)) for old, new in pairs)).sort(*_WHOSE, "locked_day")
    told = differs.group_by(_WHOSE, maintain_order=True).last().select(both.columns).with_columns(**effect)
    names = [hashlib.md5(repr((lock.calendar, *row)).encode(), usedforsecurity=False).hexdigest()[:8] for row in told.iter_rows()]
    return told.with_columns(item=pl.Series(names, dtype=TEXT)).select(_ITEM.names()).cast(_ITEM)


def _values(source: Reader, lock: Lock) -> pl.DataFrame:
    """What a publication says of each account at the end of each locked day."""
    return source.sql(
        f"SELECT day AS locked_day, {', '.join((*_WHOSE, *_NUMBERS))} FROM daily_values JOIN accounts USING (account_id) "
        f"WHERE calendar = '{lock.calendar}' AND day BETWEEN DATE '{lock.first}' AND DATE '{lock.last}' ORDER BY ALL"
    )


def cumulative(journal: Journal, source: Reader, calendar: str, later: pl.DataFrame) -> pl.DataFrame:
    """What would be carried past the last locked day: currency, change, and the most that is not material, where it is set.

    Each late effect is counted once, however many locks it lies under: where the open period begins.
    """
    ends = [lock.last for lock in locks(journal, calendar)][-1:]
    allowed = source.sql("SELECT name[13:] AS currency, most FROM tolerances WHERE name LIKE 'materiality %'")
    known = (
        later.filter(pl.col("locked_day").is_in(ends))
        .with_columns(currency=pl.coalesce("currency_now", "currency"))
        .drop_nulls("currency")
        .lazy()
    )
    changes = known.group_by("currency").agg(change=exact.total(pl.col("value_change"))).collect()
    return changes.join(allowed.cast({"currency": TEXT}), on="currency", how="left").sort("currency")


def undecided(journal: Journal, source: Reader, kept: Kept, calendar: str) -> Iterable[str]:
    """Later changes to locked days that are neither carried nor revised."""
    for row in post_close(journal, source, kept, calendar).filter(pl.col("carried_by").is_null()).iter_rows(named=True):
        yield f"post-close item {row['item']} of {row['portfolio']} {row['native_code']} is neither carried nor revised"
