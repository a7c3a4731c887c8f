"""A home in which the invented January is published, and may be locked; what it issues, it issues at one instant after another."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from pipelines import issuing, publications
from pipelines.home import Home
from pipelines.issuing import Issued
from pipelines.journal import Journal
from pipelines.statements import Question
from tests.exports import january

FIRST = datetime(2025, 2, 3, 9, tzinfo=UTC)


def clock() -> Callable[[], datetime]:
    """A minute further at every look."""
    ticks = count()
    return lambda: FIRST + timedelta(minutes=next(ticks))


class Issuer:
    """Who issues statements of one home."""

    def __init__(self, root: Path, publication: Path) -> None:
        self.home, self.clock = Home(root), clock()
        self.home.move_in("book")
        self.publish(publication)

    @property
    def journal(self) -> Journal:
        return Journal(self.home.journal)

    def publish(self, publication: Path) -> None:
        version = self.home.published / "versions" / publication.name
        version.symlink_to(publication)
        self.home.publication.unlink(missing_ok=True)
        self.home.publication.symlink_to(version)

    def lock(self, first: str = "2025-01-01", last: str = "2025-01-31") -> None:
        """As the newest publication knows these days."""
        with publications.newest(self.home) as newest:
            about = newest.facts()
        words = {"calendar": "utc", "first": first, "day": last, "reason": "month end", "publication": str(about["publication_id"])}
        self.journal.append("LOCK", "lou", words | {"known_at": about["known_through"].isoformat()}, self.clock())  # type: ignore[attr-defined]

    def issue(self, as_of: datetime = january.CLOSE, entity: str | None = "acme", **question: object) -> Issued:
        asked = Question(as_of, entity=entity, **question)  # type: ignore[arg-type]
        with publications.newest(self.home) as newest:
            return issuing.issue(self.home, newest, asked, "ann", "", self.clock)

    def bundle(self, issued: Issued, folder: Path) -> Path:
        return issuing.write(self.home, issued.record, folder)[0]
