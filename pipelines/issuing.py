"""A question about a publication → an issued statement: its number, its state, its envelope, its record in the journal.

What was issued is stored for good; asked for again, the stored bytes are the answer. What stands in it is `statements`' work, and it
is told the number and the state as it is told the question: rendered again from its record it has the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl

from pipelines import comparing, decisions, filing, locks, publications, register, revisions
from pipelines.book import Reader
from pipelines.envelopes import ENVELOPE, Envelope, Signer, seal
from pipelines.errors import UsageError
from pipelines.exports.bundle import MANIFEST, manifest, pack, unpack
from pipelines.exports.display import number
from pipelines.exports.model import Mark
from pipelines.exports.text import instant
from pipelines.home import Home, locked, machine_errors, write_atomically
from pipelines.journal import Journal, Record
from pipelines.postclose import changed_since
from pipelines.publications import Publication
from pipelines.statements import Answer, By, Question, day_ending, month
from pipelines.tables import CLOSED_DAYS, PORTFOLIOS
from pipelines.telling import telling

_ASKED = ("scope_of", "scope", "calendar", "as_of", "since", "grouping", "publication_id", "opened_publication_id", "state")
"""What makes an issued statement the answer to a question asked again."""
Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Issued:
    """An issued statement: its record, and whether it was there already."""

    record: Record
    again: bool

    @property
    def number(self) -> str:
        return self.record.words["number"]


def signer(home: Home) -> Signer:
    return Signer(home.journal / "signing.key")


def issue(home: Home, newest: Publication, question: Question, by: str, reason: str, clock: Clock) -> Issued:
    """Issue it, or find it where the same was issued of the same publication."""
    if question.known_at is not None:
        raise UsageError("An issued statement says all that is known.", "Leave --known-at away, or do not issue it.")
    with machine_errors("The journal cannot be written"):
        home.journal.mkdir(parents=True, exist_ok=True)
    with (
        locked(home.journal / "issue.lock"),
        telling(home, newest, question.as_of, question.calendar) as told,
        telling(home, told, question.since or question.as_of, question.calendar) as opened,
    ):
        journal = Journal(home.journal)
        asked = _asked(journal, told, question) | {"opened_publication_id": str(opened.facts()["publication_id"])}
        mine = [r for r in journal.records(register.KIND) if _scope(r) == (asked["scope_of"], asked["scope"])]
        stem = _stem(told, question)
        versions = [r for r in mine if r.words["number"].rpartition("/")[0] == stem]
        if versions and all(versions[-1].words.get(name) == asked.get(name) for name in _ASKED):
            return Issued(versions[-1], again=True)
        mark = Mark(asked["state"], f"{stem}/{len(versions) + 1}", versions[-1].words["number"] if versions else None)
        if mark.state == "final":
            mark = replace(mark, locked=_lock_words(journal, told, question), later=_later(home, newest, question))
        at = clock()
        inbox, reports = decisions.issues(journal, told, at), comparing.kept(home, told, question.as_of)
        answer = Answer(told, question, mark, _superseded(home, mark), opened, inbox, reports)
        answer = replace(answer, mark=replace(mark, opening=_opening(home, mine, answer)))
        return Issued(_made(home, answer, asked, mine[-1] if mine else None, by, reason, at), again=False)


def _superseded(home: Home, mark: Mark) -> dict[str, bytes] | None:
    """The files of what it takes the place of, as they were issued."""
    if mark.supersedes is None:
        return None
    return unpack(register.kept(home, register.find(Journal(home.journal), mark.supersedes).words["bundle_sha256"]))


def _later(home: Home, newest: Publication, question: Question) -> str:
    """What came to be known of its days since they were locked, in accounts of its scope."""
    lock = locks.lock_of(Journal(home.journal), newest, question.calendar, question.as_of)
    if lock is None:
        return "none"
    owners = newest.read(PORTFOLIOS).with_columns(all=pl.lit("all"))
    mine = owners.filter(pl.col(question.scope_of) == question.scope)["portfolio"]
    found = changed_since(newest, partial(publications.version, home), lock).filter(pl.col("portfolio").is_in(mine.implode()))
    sums = found.group_by(pl.coalesce("currency_now", "currency").alias("currency")).agg(pl.col("value_change").sum()).drop_nulls()
    changes = ", ".join(f"{currency} {number(change)}" for currency, change in sums.sort("currency").iter_rows())
    return f"{found.height} accounts" + (f", cumulative {changes}" if changes else "") if found.height else "none"


def _opening(home: Home, mine: Sequence[Record], answer: Answer) -> str | None:
    """Whether it opens with what was issued of that instant, where something was."""
    since = answer.question.since
    found = [r for r in mine if since and r.words["as_of"] == since.isoformat() and r.words["calendar"] == answer.question.calendar]
    if not found:
        return None
    words = found[-1].words
    return revisions.opening(words["number"], unpack(register.kept(home, words["bundle_sha256"])), answer.roll_forward.rows)


def issued_of(journal: Journal, question: Question) -> str | None:
    """The newest number that was issued of a scope and an instant."""
    asked = {"scope_of": question.scope_of, "scope": question.scope, "as_of": question.as_of.isoformat(), "calendar": question.calendar}
    found = [r.words["number"] for r in journal.records(register.KIND) if asked.items() <= r.words.items()]
    return found[-1] if found else None


def _scope(record: Record) -> tuple[str, str]:
    return record.words["scope_of"], record.words["scope"]


def _asked(journal: Journal, source: Publication, question: Question) -> dict[str, str]:
    """The question in words, as the journal keeps it."""
    entities = source.read(PORTFOLIOS)["entity"].unique().sort()
    if question.scope_of == "all" and len(entities) > 1:
        raise UsageError("Whose statement?", f"The book has {', '.join(entities)}: give --entity or --portfolio.")
    words = {"scope_of": question.scope_of, "scope": question.scope, "calendar": question.calendar, "grouping": question.by}
    words |= {"as_of": question.as_of.isoformat(), "publication_id": str(source.facts()["publication_id"])}
    words |= {"since": question.since.isoformat()} if question.since else {}
    return words | {"state": state(journal, source, question)}


def state(journal: Journal, source: Publication, question: Question) -> str:
    """final: of a locked day, as it was locked; preliminary: of a closed one; draft: of any other instant."""
    closed = source.read(CLOSED_DAYS, "calendar = ? AND as_of = ?", question.calendar, question.as_of)
    if closed.is_empty():
        return "draft"
    lock = locks.lock_of(journal, source, question.calendar, question.as_of)
    return "final" if lock and lock.publication == source.facts()["publication_id"] else "preliminary"


def _lock_words(journal: Journal, source: Reader, question: Question) -> str | None:
    lock = locks.lock_of(journal, source, question.calendar, question.as_of)
    if lock is None:
        return None
    return f"{lock.first} to {lock.last} by {lock.by}, as known at {instant(lock.known_at)}: {lock.reason}"


def _stem(source: Reader, question: Question) -> str:
    """Whose and of when: ACME-2025-01 for the end of a month."""
    owners = source.read(PORTFOLIOS)
    name = question.scope
    if question.portfolio in set(owners["entity"]):  # an entity is called the same
        name = f"{owners.filter(portfolio=question.portfolio)['entity'][0]}.{name}"
    day = day_ending(source, question.as_of, question.calendar)
    parts = [name.upper(), _period(day) if day else f"{question.as_of:%Y%m%dT%H%M%SZ}"]
    parts += [question.calendar.upper()] if question.calendar != "utc" else []
    if question.since and not (day and question.since == month(source, day.replace(day=1), question.calendar)[0]):
        parts.append(f"FROM-{question.since:%Y%m%dT%H%M%SZ}")
    return "-".join(parts)


def _period(day: date) -> str:
    return f"{day:%Y-%m}" if (day + timedelta(days=1)).day == 1 else str(day)


def _made(home: Home, answer: Answer, asked: dict[str, str], before: Record | None, by: str, reason: str, at: datetime) -> Record:
    """Bytes first, then the record of them: who dies between leaves bytes that nobody asks for."""
    files = filing.contents(answer)
    told = manifest(filing.about(answer), files)
    heading, mark = answer.heading, answer.mark
    words = asked | {"number": mark.number or "", "reason": reason, "issued_at": at.isoformat(), "known_at": heading.known_at.isoformat()}
    words |= {"software": heading.software, "policies_sha256": heading.policies_sha256}
    words |= {"supersedes": mark.supersedes} if mark.supersedes else {}
    words |= {"locked": mark.locked} if mark.locked else {}
    words |= {"opening": mark.opening} if mark.opening else {}
    words |= {"later": mark.later} if mark.later else {}
    words |= {"previous": before.words["envelope_sha256"], "previous_number": before.words["number"]} if before else {}
    around = seal({"issued_by": by, **words}, told, signer(home))
    envelope = Envelope.read(around)
    words |= {"manifest_sha256": envelope["manifest_sha256"], "envelope_sha256": envelope.digest}
    words["files"] = json.dumps(json.loads(told)["files"])
    words["bundle_sha256"] = register.keep(home, pack({**files, MANIFEST: told, ENVELOPE: around}))
    words["pdf_sha256"] = register.keep(home, files["statement.pdf"])
    return Journal(home.journal).append(register.KIND, by, {k: v for k, v in words.items() if v}, at)


@contextmanager
def answer_of(home: Home, record: Record) -> Iterator[Answer]:
    """What its content was made from, as long as those publications are kept: rendered again, it has the same bytes."""
    question, mark = _asked_of(record)
    numbers = [int(record.words[name]) for name in ("publication_id", "opened_publication_id")]
    with publications.version(home, numbers[0]) as source, publications.version(home, numbers[1]) as opened:
        inbox = decisions.issues(Journal(home.journal), source, datetime.fromisoformat(record.words["issued_at"]))
        yield Answer(source, question, mark, _superseded(home, mark), opened, inbox, comparing.kept(home, source, question.as_of))


def _asked_of(record: Record) -> tuple[Question, Mark]:
    words = record.words
    portfolio, entity = (words["scope"] if words["scope_of"] == kind else None for kind in ("portfolio", "entity"))
    since = datetime.fromisoformat(words["since"]) if "since" in words else None
    grouping: By = "asset" if words["grouping"] == "asset" else "portfolio"
    question = Question(datetime.fromisoformat(words["as_of"]), None, portfolio, grouping, words["calendar"], since, entity)
    return question, Mark(words["state"], words["number"], *(words.get(name) for name in ("supersedes", "locked", "later", "opening")))


def write(home: Home, record: Record, folder: Path) -> list[Path]:
    """The stored bundle and its PDF, named by the number. A file that is there already is left alone."""
    stem = record.words["number"].replace("/", "_")
    stored = {"zip": register.kept(home, record.words["bundle_sha256"]), "pdf": register.kept(home, record.words["pdf_sha256"])}
    return [_written(folder / f"{stem}.{extension}", body) for extension, body in stored.items()]


def _written(path: Path, body: bytes) -> Path:
    with machine_errors(f"The statement cannot be written to {path.parent}"):
        if path.exists() and path.read_bytes() != body:
            raise UsageError(f"{path} is not what was issued under that number.", "Move it elsewhere, or name another folder.")
        if not path.exists():
            write_atomically(path, body)
    return path
