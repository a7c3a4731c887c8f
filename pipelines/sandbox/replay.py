"""Dataset + faults + data clock → what a venue shows at that instant, and the balances that follow. No HTTP, no wire form.

A row is there once the data clock reaches `occurred_at`; a late row once it reaches `visible_from` as well.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import merge
from itertools import groupby
from operator import attrgetter

from pipelines.sandbox.dataset import Dataset, Portfolio
from pipelines.sandbox.faults import Faults, Late
from pipelines.sandbox.ledger import Event
from pipelines.sandbox.settings import Settings
from pipelines.sandbox.values import plus

AFTER_ALL = 10**12  # the order of a late row among rows of its instant
_AT = attrgetter("at")
_TURN = attrgetter("at", "order")


class Account:
    """One native code of a portfolio."""

    def __init__(self, code: str, opening: Decimal | None, events: Sequence[Event], late: Iterable[Late] = ()) -> None:
        self.code = code
        first = events[0] if events else None
        self._opening = opening if opening is not None else plus(first.balance, -first.amount) if first else Decimal(0)
        self._late = sorted(late, key=lambda row: row.visible_from)
        self._told: dict[int, list[Event]] = {0: list(events)}
        self._shown: tuple[int, list[Event]] | None = None

    def rows(self, now: int) -> list[Event]:
        """What is shown at `now`, oldest first."""
        if self._shown is None or self._shown[0] != now:
            known = bisect_right(self._late, now, key=lambda row: row.visible_from)
            told = self._told_with(known)
            self._shown = (now, told[: bisect_right(told, now, key=_AT)])
        return self._shown[1]

    def balance(self, now: int) -> tuple[Decimal, Decimal]:
        """Balance and pending balance: of the last row shown, else the opening."""
        rows = self.rows(now)
        return (rows[-1].balance, rows[-1].pending or Decimal(0)) if rows else (self._opening, Decimal(0))

    def exists(self, now: int) -> bool:
        return bool(self._opening) or bool(self.rows(now))

    def _told_with(self, known: int) -> list[Event]:
        """All rows, future ones too, with the first `known` late ones."""
        if known not in self._told:
            self._told[known] = self._inserted(self._told_with(known - 1), known - 1)
        return self._told[known]

    def _inserted(self, rows: list[Event], number: int) -> list[Event]:
        late = self._late[number]
        place = bisect_right(rows, late.at, key=_AT)
        before, after = rows[:place], rows[place:]
        balance, pending = (before[-1].balance, before[-1].pending) if before else (self._opening, after[0].pending if after else None)
        event_id = (late.event_id or _id_between(rows, place)) if rows and rows[0].event_id else late.event_id
        row = Event(late.at, AFTER_ALL + number, self.code, late.kind, late.amount, plus(balance, late.amount), pending, event_id)
        if late.restate:
            after = [event._replace(balance=plus(event.balance, late.amount)) for event in after]
        return [*before, row, *after]


def _id_between(rows: Sequence[Event], place: int) -> str:
    """An id in true order where there is room, else above all others."""
    ids = [int(event.event_id) for event in rows]
    if place == len(rows):
        return str(ids[-1] + 1)
    below = ids[place - 1] if place else 0
    return str((below + ids[place]) // 2) if ids[place] - below > 1 else str(max(ids) + 1)


class Replayed:
    """A portfolio as its venue holds it."""

    def __init__(self, portfolio: Portfolio, late: Sequence[Late], always: Iterable[str] = ()) -> None:
        self.name, self.entity, self.venue = portfolio.name, portfolio.entity, portfolio.venue
        codes = sorted({*portfolio.events, *portfolio.opening, *(row.code for row in late), *always})
        self.accounts = {
            code: Account(code, portfolio.opening.get(code), portfolio.events.get(code, ()), [row for row in late if row.code == code])
            for code in codes
        }
        self._merged: tuple[int, list[Event]] | None = None
        self._sharing: tuple[int, dict[int, list[Event]]] | None = None

    def rows(self, now: int) -> list[Event]:
        """The rows of all accounts, oldest first."""
        if self._merged is None or self._merged[0] != now:
            self._merged = (now, list(merge(*(account.rows(now) for account in self.accounts.values()), key=_TURN)))
        return self._merged[1]

    def at(self, instant: int, now: int) -> Sequence[Event]:
        """The rows that share an instant."""
        if self._sharing is None or self._sharing[0] != now:
            self._sharing = (now, {at: list(rows) for at, rows in groupby(self.rows(now), _AT)})
        return self._sharing[1].get(instant, ())


@dataclass
class World:
    """What the venues know, and the instant it is. `now` in microseconds; it may be moved while they serve."""

    dataset: Dataset
    now: int
    settings: Settings = field(default_factory=Settings)
    faults: Faults = field(default_factory=Faults)
    base_url: str = ""  # where the venues are reached; known once they listen

    def portfolios(self, venue: str, always: Iterable[str] = ()) -> Mapping[str, Replayed]:
        """The portfolios of one venue; `always`: codes it lists whether held or not."""
        found = [p for p in self.dataset.portfolios.values() if p.venue == venue]
        return {p.name: Replayed(p, [row for row in self.faults.late if row.portfolio == p.name], always) for p in found}
