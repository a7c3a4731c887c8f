"""Walking back through a history, page by page, newest first: when to stop, and when to refuse to go on. No HTTP.

A walk ends at the venue's own end, or after the page that shows a row older than `since`. It stops there only while the rows come
in order: a list that is not newest first is read to its end, for nothing says where the missing rows would be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from pipelines.errors import Unreadable
from pipelines.pages import Page

MAX_PAGES = 100_000
ENDLESS = "Nothing was kept of this walk; report it to us."


@dataclass(frozen=True)
class Turn:
    """A page and what it says about the walk; no cursor means there is nothing older."""

    page: Page
    rows: int
    times: tuple[datetime | None, ...]
    cursor: str | None


class Descent:
    """Watches instants go by, newest first."""

    def __init__(self, since: datetime | None) -> None:
        self._since = since
        self._oldest: datetime | None = None
        self._ordered = True

    def passed(self, times: Iterable[datetime | None]) -> bool:
        """Has a row older than `since` been seen, in good order?"""
        for moment in times:
            if moment is not None:
                self._ordered &= self._oldest is None or moment <= self._oldest
                self._oldest = moment
        return self._ordered and self._since is not None and self._oldest is not None and self._oldest < self._since


async def back(ask: Callable[[str | None], Awaitable[Turn]], since: datetime | None, max_pages: int = MAX_PAGES) -> AsyncIterator[Page]:
    """Pages by cursor; a walk that cannot end is refused."""
    cursor: str | None = None
    followed: set[str] = set()
    descent = Descent(since)
    for _ in range(max_pages):
        turn = await ask(cursor)
        yield turn.page
        if descent.passed(turn.times) or turn.cursor is None:
            return
        if turn.cursor in followed:
            raise Unreadable(f"{_where(turn.page)} gave the same cursor twice.", ENDLESS)
        if not turn.rows:
            raise Unreadable(f"{_where(turn.page)} gave an empty page with a cursor.", ENDLESS)
        followed.add(turn.cursor)
        cursor = turn.cursor
    raise Unreadable(f"The walk did not end within {max_pages} pages.", ENDLESS)


def _where(page: Page) -> str:
    return f"{page.request.partition('?')[0]} for portfolio {page.portfolio} at {page.venue}"


def rfc3339(moment: datetime) -> str:
    """To the second, rounded down."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant(text: object) -> datetime | None:
    """For stopping a walk only; what is not an instant stops nothing."""
    try:
        moment = datetime.fromisoformat(str(text))
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
