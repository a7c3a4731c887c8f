"""The journal's decisions ↔ what they do: which days are locked and as known when, which issues are accepted. No number is made here.

A lock keeps days as they were published: the book of a locked day is that of the publication it was locked with, which is kept for
good, whatever facts, labels or policies change. What is another now is a post-close item; daily tables say what is known now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import polars as pl

from pipelines import book
from pipelines.errors import ChecksFailed, UsageError
from pipelines.histories import Reader
from pipelines.journal import Journal, Record
from pipelines.tables import CLOSED_DAYS, DAILY_VALUES, DAY, DECISIONS, MONEY, PUBLICATIONS, TEXT
from pipelines.warehouse import Warehouse

EXCEPTIONS = ("BREAK", "TIE_OUT", "NOT_TIED_OUT", "OPENING", "SUSPENSE")
"""Matters that must be resolved or accepted before a lock."""
SHOWN = 5
Kept = Callable[[int], AbstractContextManager[Reader]]
"""A publication by its number."""
_WHOSE = ("portfolio", "native_code")
_NUMBERS = ("balance", "price", "currency", "value")
_SPAN = "calendar = ? AND day BETWEEN ? AND ?"
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


@dataclass(frozen=True)
class Lock:
    """Days of a calendar, both ends included, kept as one publication tells them."""

    calendar: str
    first: date
    last: date
    publication: int
    known_at: datetime
    by: str


def bring_in(warehouse: Warehouse, journal: Journal) -> None:
    """The journal's decisions as a table, so that a publication carries those it was made under."""
    rows = [_row(record) for record in journal.records("LOCK", "REOPEN", "ACCEPTANCE", "DISPOSITION")]
    with warehouse.commit("decisions") as commit:
        commit.replace(DECISIONS, DECISIONS.frame(rows))


def _row(record: Record) -> dict[str, object]:
    words = record.words
    return {
        "record": record.name,
        "kind": record.kind,
        "decided_by": record.by,
        "reason": words["reason"],
        "subject": words.get("subject"),
        "calendar": words.get("calendar"),
        "day": date.fromisoformat(words["day"]) if "day" in words else None,
        "known_at": datetime.fromisoformat(words["known_at"]) if "known_at" in words else None,
        "recorded_at": record.recorded_at,
    }


def locks(journal: Journal, calendar: str) -> list[Lock]:
    """What is locked, oldest days first: the newest lock of a day holds; a reopening gives it and those after it back."""
    held: list[Lock] = []
    for record in journal.records("LOCK", "REOPEN"):
        if record.words["calendar"] != calendar:
            continue
        day = date.fromisoformat(record.words["day"])
        if record.kind == "REOPEN":
            held = [_until(lock, day - timedelta(days=1)) for lock in held if lock.first < day]
        else:
            fresh = _lock(record)
            held = sorted([*(lock for lock in held if lock.first != fresh.first), fresh], key=lambda lock: lock.first)
    return held


def _lock(record: Record) -> Lock:
    words = record.words
    first, last = date.fromisoformat(words["first"]), date.fromisoformat(words["day"])
    return Lock(words["calendar"], first, last, int(words["publication"]), datetime.fromisoformat(words["known_at"]), record.by)


def _until(lock: Lock, last: date) -> Lock:
    return replace(lock, last=min(lock.last, last))


def lock_of(journal: Journal, source: Reader, calendar: str, as_of: datetime) -> Lock | None:
    """The lock that holds at an instant."""
    for lock in locks(journal, calendar):
        before = book.instant_of(source, lock.first - timedelta(days=1), calendar)
        if before < as_of <= book.instant_of(source, lock.last, calendar):
            return lock
    return None


def lock(journal: Journal, source: Reader, calendar: str, through: date, by: str, reason: str, at: datetime) -> Record:
    """Lock every closed day through `through` as the publication knows it; refused while anything stands against it."""
    days = source.read(CLOSED_DAYS, "calendar = ? AND day <= ?", calendar, through).sort("day")
    held = locks(journal, calendar)
    fresh = days.filter(pl.col("day") > held[-1].last) if held else days
    if days.is_empty() or days["day"][-1] != through:
        raise UsageError(f"{through} is not closed in the calendar {calendar}.", "Run `closebook run` first, or name a closed day.")
    if fresh.is_empty():
        raise UsageError(f"{through} is locked already, by {held[-1].by}.", "`closebook reopen` opens it again.")
    if against := list(objections(journal, source, fresh)):
        more = f" … and {len(against) - SHOWN} more" if len(against) > SHOWN else ""
        raise ChecksFailed(
            f"{through} cannot be locked: {'; '.join(against[:SHOWN])}{more}.", "`closebook issues` lists what to resolve or accept."
        )
    return _append(journal, source, Lock(calendar, fresh["day"][0], through, 0, at, by), reason, at)


def _append(journal: Journal, source: Reader, lock: Lock, reason: str, at: datetime) -> Record:
    about = source.read(PUBLICATIONS).row(0, named=True)
    words = {"calendar": lock.calendar, "first": str(lock.first), "day": str(lock.last), "reason": reason}
    words |= {"publication": str(about["publication_id"]), "known_at": about["known_through"].isoformat()}
    return journal.append("LOCK", lock.by, words, at)


def reopen(journal: Journal, calendar: str, day: date, by: str, reason: str, at: datetime) -> Record:
    """Open a locked day, and those after it, again."""
    held = locks(journal, calendar)
    if not held or held[-1].last < day:
        raise UsageError(f"{day} is not locked in the calendar {calendar}.", "Nothing needs to be reopened.")
    return journal.append("REOPEN", by, {"calendar": calendar, "day": str(day), "reason": reason}, at)


def revise(journal: Journal, source: Reader, kept: Kept, calendar: str, through: date, by: str, reason: str, at: datetime) -> Record:
    """Lock the same days again as they are known now: what was issued stays, and the next statement of them is a new version."""
    found = [lock for lock in locks(journal, calendar) if lock.last == through]
    if not found or _changed_since(source, kept, found[0]).is_empty():
        raise UsageError(
            f"Nothing came to be known of the days locked through {through} in the calendar {calendar}.", "There is nothing to revise."
        )
    if against := list(objections(journal, source, source.read(CLOSED_DAYS, _SPAN, calendar, found[0].first, through).sort("day"))):
        raise ChecksFailed(
            f"{through} cannot be locked again: {'; '.join(against[:SHOWN])}.", "`closebook issues` lists what to resolve or accept."
        )
    return _append(journal, source, replace(found[0], by=by), reason, at)


def carry(journal: Journal, source: Reader, kept: Kept, item: str, by: str, reason: str, at: datetime) -> Record:
    """Leave a locked day as it is: its post-close item belongs to the open period."""
    calendars = source.sql("SELECT calendar FROM calendars")["calendar"]
    if item not in {i for calendar in calendars for i in post_close(journal, source, kept, calendar)["item"]}:
        raise UsageError(f"There is no post-close item {item!r}.", "`closebook issues` lists them.")
    return journal.append("DISPOSITION", by, {"subject": item, "reason": reason, "disposition": "CARRIED"}, at)


def objections(journal: Journal, source: Reader, days: pl.DataFrame) -> Iterable[str]:
    """What stands against locking these days: stale rows, prices not fetched, exceptions nobody has accepted."""
    calendar, first, last = days["calendar"][0], days["day"][0], days["day"][-1]
    missing = ((last - first).days + 1) - days.height
    if missing:
        yield f"{missing} days before it are not closed"
    stale = source.sql(
        f"SELECT portfolio, min(day) AS day FROM book WHERE {_SPAN} AND balance_status = 'STALE' GROUP BY ALL ORDER BY ALL",
        calendar,
        first,
        last,
    )
    yield from (f"{portfolio} is STALE from {day} on" for portfolio, day in stale.iter_rows())
    unfetched = source.read(DAILY_VALUES, f"{_SPAN} AND reason = 'NOT_FETCHED' AND balance <> 0", calendar, first, last)
    if unfetched.height:
        yield f"{unfetched.height} prices were NOT_FETCHED"
    before = issues(journal, source).filter(
        pl.col("matter").is_in(EXCEPTIONS),
        pl.col("state") == "OPEN",
        pl.col("since").is_null() | (pl.col("since") < days["as_of"][-1]),
    )
    for row in before.iter_rows(named=True):
        yield f"{row['matter']} {row['portfolio']} {row['native_code'] or ''} ({row['issue']})".replace("  ", " ")


def issues(journal: Journal, source: Reader) -> pl.DataFrame:
    """The inbox, with what was accepted since the publication was made."""
    found = source.sql("SELECT * FROM issues ORDER BY matter, portfolio, native_code, since, issue")
    accepted = {r.words["subject"]: (r.by, r.words["reason"]) for r in journal.records("ACCEPTANCE")}
    told = [{subject: said[n] for subject, said in accepted.items()} for n in (0, 1)]
    by, because = (pl.col("issue").replace_strict(t, default=None, return_dtype=pl.String) for t in told)
    return found.with_columns(accepted_by=by, accepted_because=because).with_columns(
        state=pl.when(pl.col("accepted_by").is_null()).then(pl.lit("OPEN")).otherwise(pl.lit("ACCEPTED"))
    )


def accept(journal: Journal, source: Reader, issue: str, by: str, reason: str, at: datetime) -> Record:
    """Accept an issue as it stands; one that changes is another issue."""
    if issue not in issues(journal, source)["issue"].to_list():
        raise UsageError(f"There is no issue {issue!r}.", "`closebook issues` lists them.")
    return journal.append("ACCEPTANCE", by, {"subject": issue, "reason": reason}, at)


def post_close(journal: Journal, source: Reader, kept: Kept, calendar: str) -> pl.DataFrame:
    """What came to be known after their lock, under each lock: the exact effect on each account, and what was decided."""
    carried = {r.words["subject"]: r.by for r in journal.records("DISPOSITION")}
    found = pl.concat([pl.DataFrame(schema=_ITEM), *(_changed_since(source, kept, lock) for lock in locks(journal, calendar))])
    return found.with_columns(carried_by=pl.col("item").replace_strict(carried, default=None, return_dtype=TEXT))


def _changed_since(source: Reader, kept: Kept, lock: Lock) -> pl.DataFrame:
    """Each account on the newest locked day that shows something else now: later entries may cancel before the lock's last day."""
    now = _values(source, lock)
    with kept(lock.publication) as locked:
        was = _values(locked, lock)
    both = was.join(now, on=["locked_day", *_WHOSE], how="full", coalesce=True, suffix="_now")
    pairs = [(name, f"{name}_now") for name in _NUMBERS]
    effect = {f"{c}_change": pl.col(f"{c}_now").fill_null(0) - pl.col(c).fill_null(0) for c in ("balance", "value")}
    differs = both.filter(pl.any_horizontal(pl.col(old).ne_missing(pl.col(new)) for old, new in pairs)).sort(*_WHOSE, "locked_day")
    told = differs.group_by(_WHOSE, maintain_order=True).last().select(both.columns).with_columns(**effect)
    names = [hashlib.md5(repr(row).encode(), usedforsecurity=False).hexdigest()[:8] for row in told.iter_rows()]
    return told.with_columns(item=pl.Series(names, dtype=TEXT)).select(_ITEM.names()).cast(_ITEM)


def _values(source: Reader, lock: Lock) -> pl.DataFrame:
    """What a publication says of each account at the end of each locked day."""
    return source.sql(
        f"SELECT day AS locked_day, {', '.join((*_WHOSE, *_NUMBERS))} FROM daily_values JOIN accounts USING (account_id) "
        f"WHERE calendar = '{lock.calendar}' AND day BETWEEN DATE '{lock.first}' AND DATE '{lock.last}' ORDER BY ALL"
    )


def checklist(journal: Journal, source: Reader, kept: Kept, calendar: str, first: date) -> Iterable[tuple[bool, str]]:
    """The month that begins on `first`, matter by matter: whether it is done, and what is said of it."""
    last = date(first.year + first.month // 12, first.month % 12 + 1, 1) - timedelta(days=1)
    days = source.read(CLOSED_DAYS, "calendar = ? AND day BETWEEN ? AND ?", calendar, first, last).sort("day")
    yield days.height == last.day, f"{days.height} of {last.day} days are closed"
    if days.height:
        against = list(objections(journal, source, days))
        yield not against, "; ".join(against) or "nothing stands against a lock"
        unpriced = source.sql("SELECT count(*) AS n FROM unpriced WHERE calendar = ? AND day = ?", calendar, days["day"][-1])["n"][0]
        yield not unpriced, f"{unpriced} accounts are held without a price at its end"
    held = [lock for lock in locks(journal, calendar) if lock.first <= last and lock.last >= last]
    yield bool(held), f"locked by {held[0].by} as known at {held[0].known_at.isoformat()}" if held else "not locked"
    later = [row for row in held if _changed_since(source, kept, row).height]
    yield (
        not later,
        "something came to be known after the lock: see `closebook issues`" if later else "nothing came to be known after a lock",
    )
