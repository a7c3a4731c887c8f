"""The newest publication → its portfolios with a profile_id each, and its calendars. Opened once per publication."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

from pipelines import book, publications
from pipelines.errors import UsageError
from pipelines.home import Home
from pipelines.tables import CALENDARS, PORTFOLIOS


@dataclass(frozen=True)
class Names:
    """What one publication can be asked about."""

    profiles: dict[str, str]  # portfolio → profile_id
    calendars: frozenset[str]

    def portfolio(self, profile_id: str) -> str | None:
        """The portfolio of an id, with or without dashes."""
        try:
            asked = str(UUID(profile_id))
        except ValueError:
            return None
        return next((name for name, own in self.profiles.items() if own == asked), None)


@dataclass
class Directory:
    home: Home
    _seen: tuple[Path, Names] | None = field(default=None, init=False)

    def names(self) -> Names:
        path = self.home.publication.resolve()
        if self._seen is None or self._seen[0] != path:
            with publications.newest(self.home) as newest:
                portfolios = newest.read(PORTFOLIOS).sort("recorded_at").to_dicts()
                calendars = frozenset(newest.read(CALENDARS)["calendar"])
            self._seen = path, Names({p["portfolio"]: profile_id(**p) for p in portfolios}, calendars)
        return self._seen[1]

    def end_of(self, day: str, calendar: str) -> datetime:
        try:
            wanted = date.fromisoformat(day)
        except ValueError:
            raise UsageError("balance.day is not a day.", "Write it as 2025-01-31.") from None
        with publications.newest(self.home) as newest:
            return book.instant_of(newest, wanted, calendar)


def profile_id(portfolio: str, entity: str, venue: str, venue_id: str | None, **_: object) -> str:
    """The venue's own where it is one; else one that never changes, made of the portfolio's names."""
    try:
        return str(UUID(venue_id or ""))
    except ValueError:
        return str(uuid5(NAMESPACE_URL, f"closebook/{entity}/{venue}/{portfolio}"))
