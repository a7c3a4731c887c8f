"""How far a long pull has come: told by those who ask venues, shown by whoever listens; nobody need. No library, no clock of its own."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

PRICES = "prices"  # the subject of what is asked for nobody's portfolio
EVERY = 20.0  # seconds between two lines of a log


class Listener(Protocol):
    def begin(self, subject: str, walks: int) -> None:
        """So many walks lie ahead: accounts of a portfolio, products of the price venue."""

    def page(self, subject: str) -> None:
        """One more reply page came home."""

    def walked(self, subject: str) -> None:
        """One more walk is done."""


_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """While the block lasts, `listener` hears of everything that is pulled in this process."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def begin(subject: str, walks: int) -> None:
    for listener in _listeners:
        listener.begin(subject, walks)


def page(subject: str) -> None:
    for listener in _listeners:
        listener.page(subject or PRICES)


def walked(subject: str) -> None:
    for listener in _listeners:
        listener.walked(subject)


class Counts:
    """Lines for a log: what was pulled so far, now and then, and a last one when `ended` is asked."""

    def __init__(self, say: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._pages: Counter[str] = Counter()
        self._walks: Counter[str] = Counter()
        self._ahead: Counter[str] = Counter()
        self._said = clock()

    def begin(self, subject: str, walks: int) -> None:
        self._ahead[subject] += walks

    def page(self, subject: str) -> None:
        self._pages[subject] += 1
        if self._clock() - self._said >= EVERY:
            self._said = self._clock()
            self._say(f"Pulling: {self}.")

    def walked(self, subject: str) -> None:
        self._walks[subject] += 1

    def ended(self) -> None:
        if self._pages:
            self._say(f"Pulled: {self}.")

    def __str__(self) -> str:
        return "; ".join(f"{subject} {pages} pages{self._of(subject)}" for subject, pages in sorted(self._pages.items()))

    def _of(self, subject: str) -> str:
        return f", {self._walks[subject]} of {ahead} walks" if (ahead := self._ahead[subject]) else ""
