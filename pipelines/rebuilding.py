"""Archive + journal → a warehouse beside the one that stands, which it replaces when it is whole. What fails leaves all as it was."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from pipelines import journalled, replay
from pipelines.archive import Archive
from pipelines.config import Config
from pipelines.home import Home, machine_errors
from pipelines.ingest import Ingested
from pipelines.journal import Journal
from pipelines.warehouse import Warehouse, batches


def catch_up(home: Home, warehouse: Warehouse, config: Config) -> list[Ingested]:
    """All that archive, configuration and journal hold and the warehouse does not; the batches that were new to it."""
    journal = Journal(home.journal)
    journalled.bring_in(warehouse, journal)  # first: what is locked, no configuration may drop
    return replay.catch_up(warehouse, Archive(home.archive), journal, config)


def rebuild(home: Home, config: Config) -> list[Ingested]:
    """Put a new warehouse in the place of the one that stands; → the batches in it. First every batch is proved."""
    for fault in Archive(home.archive).faults(batches(home.warehouse)):
        raise fault
    clear(home)
    try:
        with closing(Warehouse(_draft(home))) as beside:
            done = catch_up(home, beside, config)
        _swap(home)
    finally:
        clear(home)
    return done


def clear(home: Home) -> None:
    """Take away what a killed one left."""
    with machine_errors("What was half rebuilt cannot be taken away"):
        for path in (_draft(home), _log(_draft(home))):
            path.unlink(missing_ok=True)


def _draft(home: Home) -> Path:
    return home.warehouse.with_name(f"rebuilding-{home.warehouse.name}")


def _log(database: Path) -> Path:
    return database.with_name(f"{database.name}.wal")


def _swap(home: Home) -> None:
    """Its log goes first: a warehouse without one lacks what the archive has, a log without its warehouse would spoil the next."""
    with machine_errors("The rebuilt warehouse cannot be put in its place"):
        for standing in (_log(home.warehouse), home.warehouse):
            aside = standing.with_name(f"outdated-{standing.name}")
            aside.unlink(missing_ok=True)
            if standing.exists():
                standing.replace(aside)
        _draft(home).replace(home.warehouse)
