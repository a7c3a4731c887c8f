"""What people decide about the days of a book → the journal: lock, reopen, revise, carry, accept, assign; and what stands against it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta

import polars as pl

from pipelines.errors import ChecksFailed, UsageError
from pipelines.histories import Reader
from pipelines.journal import Journal, Record
from pipelines.journalled import ADJUSTED
from pipelines.locks import Lock, locks
from pipelines.postclose import Kept, changed_since, cumulative, post_close, undecided
from pipelines.tables import ADJUSTMENTS, CLOSED_DAYS, DAILY_VALUES, POST_CLOSE_ITEMS, PUBLICATIONS

EXCEPTIONS = ("BREAK", "TIE_OUT", "NOT_TIED_OUT", "OPENING", "SUSPENSE", "NOT_CONFIGURED", "UNMATCHED")
"""Matters that must be resolved or accepted before a lock."""
SHOWN = 5
_NEVER_READ = """
    SELECT portfolio FROM portfolios AS p WHERE NOT EXISTS (SELECT 1 FROM pulls WHERE pulls.portfolio = p.portfolio) ORDER BY portfolio
"""
_SPAN = "calendar = ? AND day BETWEEN ? AND ?"
_STALE = f"""
    SELECT portfolio, min(day) AS day, bool_and(balance IS NOT DISTINCT FROM 0) AS empty FROM book
    WHERE {_SPAN} AND balance_status = 'STALE' GROUP BY ALL ORDER BY ALL
"""


def lock(journal: Journal, source: Reader, kept: Kept, calendar: str, through: date, by: str, reason: str, at: datetime) -> Record:
    """Lock every closed day through `through` as the publication knows it; refused while anything stands against it."""
    days = source.read(CLOSED_DAYS, "calendar = ? AND day <= ?", calendar, through).sort("day")
    held = locks(journal, calendar)
    if mine := [lock for lock in held if lock.first <= through <= lock.last]:
        raise UsageError(f"{through} is locked already, by {mine[0].by}.", "`closebook reopen` opens it again.")
    before = [lock.last for lock in held if lock.last < through]
    fresh = days.filter(pl.col("day") > before[-1]) if before else days
    if days.is_empty() or days["day"][-1] != through:
        raise UsageError(f"{through} is not closed in the calendar {calendar}.", "Run `closebook run` first, or name a closed day.")
    if against := [*objections(journal, source, fresh), *undecided(journal, source, kept, calendar)]:
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
    held = locks(journal, calendar)
    found = [lock for lock in held if lock.last == through]
    if found and held[-1].last > through:
        raise UsageError(
            f"Days after {through} are locked on top of it.",
            f"`closebook reopen --from {through + timedelta(days=1)}` first, or carry the items.",
        )
    if not found or changed_since(source, kept, found[0]).is_empty():
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
    for calendar in source.sql("SELECT calendar FROM calendars ORDER BY calendar")["calendar"]:
        later = post_close(journal, source, kept, calendar)
        if item in later["item"]:
            _require_immaterial(
                cumulative(journal, source, calendar, later.filter(pl.col("carried_by").is_not_null() | (pl.col("item") == item)))
            )
            return journal.append("DISPOSITION", by, {"subject": item, "reason": reason, "disposition": "CARRIED"}, at)
    raise UsageError(f"There is no post-close item {item!r}.", "`closebook issues` lists them.")


def _require_immaterial(carried: pl.DataFrame) -> None:
    for currency, change, most in carried.iter_rows():
        if most is not None and abs(change) > most:
            raise UsageError(
                f"With it, {currency} {change.normalize():f} would be carried; [book] materiality allows {most.normalize():f}.",
                "`closebook revise` makes the locked days anew.",
            )


def assign(journal: Journal, source: Reader, issue: str, owner: str, by: str, reason: str, at: datetime) -> Record:
    """Say who is to resolve an issue."""
    _require_issue(journal, source, issue)
    return journal.append("ASSIGNMENT", by, {"subject": issue, "reason": reason, "owner": owner}, at)


def objections(journal: Journal, source: Reader, days: pl.DataFrame) -> Iterable[str]:
    """What stands against locking these days: stale rows, prices not fetched, exceptions nobody has accepted."""
    calendar, first, last = days["calendar"][0], days["day"][0], days["day"][-1]
    missing = ((last - first).days + 1) - days.height
    if missing:
        yield f"{missing} days before it are not closed"
    yield from (f"{portfolio} was never read" for portfolio in source.sql(_NEVER_READ)["portfolio"])
    told = set(source.read(ADJUSTMENTS)["record"])
    for record in journal.records(ADJUSTED):
        if record.name not in told and datetime.fromisoformat(record.words["occurred_at"]) < days["as_of"][-1]:
            yield f"an adjustment of {record.words['portfolio']} {record.words['native_code']} waits to be published by `closebook run`"
    matters = issues(journal, source)
    yield from _stale(source.sql(_STALE, calendar, first, last), matters.filter(matter="STALE"))
    unfetched = source.read(DAILY_VALUES, f"{_SPAN} AND reason = 'NOT_FETCHED' AND balance <> 0", calendar, first, last)
    if unfetched.height:
        yield f"{unfetched.height} prices were NOT_FETCHED"
    before = matters.filter(
        pl.col("matter").is_in(EXCEPTIONS),
        pl.col("state") == "OPEN",
        pl.col("since").is_null() | (pl.col("since") < days["as_of"][-1]),
    )
    for row in before.iter_rows(named=True):
        yield f"{row['matter']} {row['portfolio']} {row['native_code'] or ''} ({row['issue']})".replace("  ", " ")


def _stale(portfolios: pl.DataFrame, matters: pl.DataFrame) -> Iterable[str]:
    """Portfolios that were not read; of one that holds nothing, somebody may have accepted that it is closed for good."""
    issue = dict(matters.select("portfolio", "issue").iter_rows())
    accepted = set(matters.filter(state="ACCEPTED")["portfolio"])
    for portfolio, day, empty in portfolios.iter_rows():
        if not empty or portfolio not in issue:
            yield f"{portfolio} is STALE from {day} on"
        elif portfolio not in accepted:
            yield f"{portfolio} is STALE from {day} on (it holds nothing: `accept {issue[portfolio]}` if it is closed for good)"


def issues(journal: Journal, source: Reader, known_at: datetime | None = None) -> pl.DataFrame:
    """The inbox, with what was accepted since the publication was made, up to an instant."""
    found = source.sql("SELECT * FROM issues ORDER BY matter, portfolio, native_code, since, issue")
    accepted = {r.words["subject"]: (r.by, r.words["reason"]) for r in journal.records("ACCEPTANCE", "DISPOSITION", known_at=known_at)}
    words = [{subject: said[n] for subject, said in accepted.items()} for n in (0, 1)]
    by, because = (pl.col("issue").replace_strict(w, default=None, return_dtype=pl.String) for w in words)
    assigned = {r.words["subject"]: r.words["owner"] for r in journal.records("ASSIGNMENT", known_at=known_at)}
    owner = pl.coalesce(pl.col("issue").replace_strict(assigned, default=None, return_dtype=pl.String), "owner")
    done = pl.when(pl.col("matter") == "POST_CLOSE").then(pl.lit("CARRIED")).otherwise(pl.lit("ACCEPTED"))
    told = found.with_columns(owner=owner, accepted_by=by, accepted_because=because)
    return told.with_columns(state=pl.when(pl.col("accepted_by").is_null()).then(pl.lit("OPEN")).otherwise(done))


def accept(journal: Journal, source: Reader, issue: str, by: str, reason: str, at: datetime) -> Record:
    """Accept an issue as it stands; one that changes is another issue."""
    _require_issue(journal, source, issue)
    if issue in source.read(POST_CLOSE_ITEMS)["item"]:
        raise UsageError(f"{issue} is a post-close item.", "`closebook carry` leaves the locked days, `closebook revise` makes them anew.")
    return journal.append("ACCEPTANCE", by, {"subject": issue, "reason": reason}, at)


def _require_issue(journal: Journal, source: Reader, issue: str) -> None:
    if issue not in issues(journal, source)["issue"].to_list():
        raise UsageError(f"There is no issue {issue!r}.", "`closebook issues` lists them.")


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
    later = [row for row in held if changed_since(source, kept, row).height]
    yield (
        not later,
        "something came to be known after the lock: see `closebook issues`" if later else "nothing came to be known after a lock",
    )
