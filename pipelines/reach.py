"""Days that were closed under earlier configurations ↔ what the journal says of them, so that a book built anew closes them again.

Kept with each version of the configuration: how far each of its calendars was closed when the version came into force.
"""

from __future__ import annotations

import json
from datetime import date

import polars as pl

from pipelines import closing
from pipelines.book import calendars_of
from pipelines.config import Config
from pipelines.journal import Journal
from pipelines.stages import days as day_stage
from pipelines.tables import CALENDARS
from pipelines.warehouse import Warehouse

Reach = dict[str, tuple[date, date]]
"""Calendar → its first and last closed day."""
WORD = "closed"


def told(journal: Journal) -> Reach:
    """What was closed before the configuration in force came into force."""
    versions = list(journal.records("CONFIGURATION"))
    words = versions[-1].words.get(WORD, "{}") if versions else "{}"
    return {calendar: (date.fromisoformat(first), date.fromisoformat(last)) for calendar, (first, last) in json.loads(words).items()}


def noted(warehouse: Warehouse, before: Reach, previous: Config | None, config: Config) -> str:
    """For the journal, as `config` comes into force: calendars that it still names. A warehouse that is being built anew has closed
    nothing yet: then the whole window of the previous configuration counts."""
    closed = warehouse.sql("SELECT calendar, min(day) AS first, max(day) AS last FROM closed_days GROUP BY calendar")
    if closed.is_empty() and previous is not None and (at := closing.book_time(warehouse)) is not None:
        ended = day_stage.ended(calendars_of(previous), previous.book.start, previous.book.end, at)
        closed = ended.group_by("calendar").agg(first=pl.col("day").min(), last=pl.col("day").max())
    reach = {calendar: (f"{first}", f"{last}") for calendar, first, last in closed.sort("calendar").iter_rows()}
    for calendar, (first, last) in before.items():
        here = reach.get(calendar, (f"{first}", f"{last}"))
        reach[calendar] = min(here[0], f"{first}"), max(here[1], f"{last}")
    named = {calendar.name for calendar in config.calendars()}
    return json.dumps({calendar: days for calendar, days in reach.items() if calendar in named}, sort_keys=True)


def days(warehouse: Warehouse, reach: Reach) -> pl.DataFrame:
    """These days, of calendars the book still has: calendar, day, as_of."""
    calendars = warehouse.read(CALENDARS)
    mine = [day_stage.days(calendars.filter(calendar=calendar), *ends) for calendar, ends in sorted(reach.items())]
    return pl.concat([day_stage.days(calendars.clear(), date.min, date.min), *mine])
