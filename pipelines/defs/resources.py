"""The open book: configuration, home, lock, warehouse and archive, for the whole of one run. Every writing step needs it."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg

from pipelines import journalled, replay
from pipelines.archive import Archive
from pipelines.config import Config, load
from pipelines.errors import Outdated
from pipelines.home import Home, exclusive, sign_of_life
from pipelines.ingest import Ingested
from pipelines.journal import Journal
from pipelines.warehouse import Warehouse


@dataclass(frozen=True)
class OpenBook:
    """What a step works with. No step opens anything itself."""

    config: Config
    home: Home
    warehouse: Warehouse
    archive: Archive
    through: date | None
    rebuilt: str = ""

    def catch_up(self) -> list[Ingested]:
        """All that archive, configuration and journal hold and the warehouse does not; the batches that were new to it."""
        journal = Journal(self.home.journal)
        journalled.bring_in(self.warehouse, journal)  # first: what is locked, no configuration may drop
        return replay.catch_up(self.warehouse, self.archive, journal, self.config)


class BookResource(dg.ConfigurableResource[OpenBook]):
    """Opens the book for one run; one run at a time, whoever starts it."""

    config: str
    home: str
    through: str = ""
    anew: bool = False

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[OpenBook, None, None]:
        config, home = load(Path(self.config)), Home(Path(self.home))
        home.move_in(home.kind() or "book")
        run_id = context.run.run_id if context.run else "none"
        with sign_of_life(home, run_id), exclusive(home, f"run {run_id[:8]}", config.book.lock_wait):
            home.require_room()
            warehouse, rebuilt = _opened(home, self.anew)
            try:
                through = date.fromisoformat(self.through) if self.through else None
                yield OpenBook(config, home, warehouse, Archive(home.archive), through, rebuilt)
            finally:
                warehouse.close()


def _opened(home: Home, anew: bool) -> tuple[Warehouse, str]:
    """The warehouse; one of another form, or one that is not wanted, is put aside for a new one, which the archive fills. Says so."""
    try:
        if anew and home.warehouse.exists():
            raise Outdated(f"{home.warehouse.name} was to be built anew.")
        return Warehouse(home.warehouse), ""
    except Outdated as outdated:
        for aside in (home.warehouse, home.warehouse.with_name(f"{home.warehouse.name}.wal")):
            if aside.exists():
                aside.replace(aside.with_name(f"outdated-{aside.name}"))
        return Warehouse(home.warehouse), f"{outdated.what} It was put aside and built anew from the archive."
