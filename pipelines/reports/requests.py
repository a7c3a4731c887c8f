"""The life of a request: pending → creating → ready or failed. Each step is one transaction, and only one maker takes each."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from pipelines.reports.store import KEYS, REQUESTS, Store
from pipelines.reports.times import Clock, now, stamp

OPEN = ("pending", "creating")
MOST_ATTEMPTS = 3
_WAITS = tuple(timedelta(minutes=m) for m in (1, 5, 30, 120, 720))  # between attempts to tell somebody


class Wanted(NamedTuple):
    """What is asked for, understood and allowed. `portfolio` None: all of them."""

    portfolio: str | None
    profile_id: str | None
    form: str
    as_of: str
    by: str
    calendar: str
    known_at: str | None
    email: str | None


class TooMany(Exception):
    """The key has as many open requests as it may."""


@dataclass(frozen=True)
class Requests:
    store: Store
    clock: Clock = now

    def accept(self, key_id: str, wanted: Wanted, url: str, most_open: int, lives: timedelta) -> str:
        """Its id, once it is safely written down."""
        at, made = self.clock(), str(uuid.uuid4())
        waiting = sa.select(sa.func.count()).select_from(REQUESTS).where(REQUESTS.c.key_id == key_id, REQUESTS.c.status.in_(OPEN))
        row = {"id": made, "key_id": key_id, "status": "pending", "created_at": stamp(at), "expires_at": stamp(at + lives), "url": url}
        with self.store.begin() as transaction:
            if transaction.execute(waiting).scalar_one() >= most_open:
                raise TooMany
            transaction.execute(REQUESTS.insert().values(row | wanted._asdict()))
        return made

    def find(self, report_id: str) -> sa.RowMapping | None:
        found = self.store.rows(sa.select(REQUESTS).where(REQUESTS.c.id == report_id))
        return found[0] if found else None

    def newest(self, *conditions: sa.ColumnElement[bool], limit: int) -> list[Any]:
        return self.store.rows(sa.select(REQUESTS).where(*conditions).order_by(REQUESTS.c.number.desc()).limit(limit))

    def pending(self) -> int:
        """How many wait to be made, or to be told of now."""
        due = sa.or_(REQUESTS.c.status.in_(OPEN), REQUESTS.c.mail_due <= stamp(self.clock()))
        return int(self.store.rows(sa.select(sa.func.count().label("n")).select_from(REQUESTS).where(due))[0]["n"])

    def overdue(self, patience: timedelta) -> bool:
        """Whether something has been pending for longer than that."""
        asked_before = REQUESTS.c.created_at < stamp(self.clock() - patience)
        return bool(self.store.rows(sa.select(REQUESTS.c.id).where(REQUESTS.c.status == "pending", asked_before).limit(1)))

    # what a maker does, who holds the workshop's lock

    def recover(self) -> None:
        """Whoever was creating these is gone: they are pending again, or failed where that happened too often."""
        left = REQUESTS.update().where(REQUESTS.c.status == "creating")
        worn = "Its maker ended without a word three times; the log of the daemon or of `closebook reports serve` may say why."
        with self.store.begin() as transaction:
            transaction.execute(left.where(REQUESTS.c.attempts >= MOST_ATTEMPTS).values(self._ended("failed") | {"reason": worn}))
            transaction.execute(left.values(status="pending"))

    def claim(self) -> sa.RowMapping | None:
        """The oldest pending request, now being created."""
        oldest = sa.select(sa.func.min(REQUESTS.c.number)).where(REQUESTS.c.status == "pending").scalar_subquery()
        taken = REQUESTS.update().where(REQUESTS.c.number == oldest, REQUESTS.c.status == "pending")
        with self.store.begin() as transaction:
            change = taken.values(status="creating", attempts=REQUESTS.c.attempts + 1).returning(*REQUESTS.c)
            return transaction.execute(change).mappings().one_or_none()

    def ready(self, report_id: str, document: str) -> None:
        self._change(report_id, self._ended("ready") | {"document": document})

    def failed(self, report_id: str, reason: str) -> None:
        self._change(report_id, self._ended("failed") | {"reason": reason})

    def again(self, report_id: str) -> None:
        self._change(report_id, {"status": "pending"})

    def _ended(self, status: str) -> dict[str, Any]:
        at = stamp(self.clock())
        told = sa.case((REQUESTS.c.email.is_not(None), at), else_=sa.null())
        return {"status": status, "completed_at": at, "mail_due": told}

    def _change(self, report_id: str, values: dict[str, Any]) -> None:
        with self.store.begin() as transaction:
            mine = REQUESTS.update().where(REQUESTS.c.id == report_id, REQUESTS.c.status == "creating")
            if transaction.execute(mine.values(values)).rowcount != 1:
                raise AssertionError(f"report {report_id} was not being created here")

    # whom to tell

    def to_tell(self) -> Sequence[sa.RowMapping]:
        return self.store.rows(sa.select(REQUESTS).where(REQUESTS.c.mail_due <= stamp(self.clock())).order_by(REQUESTS.c.number))

    def told(self, report_id: str) -> None:
        self._mail(report_id, None)

    def not_told(self, row: sa.RowMapping) -> None:
        """Later again, a few times."""
        done: int = row["mail_attempts"]
        self._mail(row["id"], self.clock() + _WAITS[done] if done < len(_WAITS) else None)

    def _mail(self, report_id: str, due: datetime | None) -> None:
        later = {"mail_due": stamp(due) if due else None, "mail_attempts": REQUESTS.c.mail_attempts + 1}
        with self.store.begin() as transaction:
            transaction.execute(REQUESTS.update().where(REQUESTS.c.id == report_id).values(later))

    def revoked(self, key_id: str) -> bool:
        return not self.store.rows(sa.select(KEYS.c.id).where(KEYS.c.id == key_id, KEYS.c.revoked_at.is_(None)))
