"""The open book: configuration, home, lock, warehouse and archive, for the whole of one run. Every writing step needs it."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import dagster as dg

from pipelines import rebuilding
from pipelines.archive import Archive
from pipelines.config import Config, load
from pipelines.errors import Outdated
from pipelines.home import Home, clear_drafts, exclusive, sign_of_life
from pipelines.ingest import Ingested
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
    brought: list[Ingested] = field(default_factory=list)
    """Why the warehouse was built anew as the book was opened, and the batches that are in it since."""

    def catch_up(self) -> list[Ingested]:
        return rebuilding.catch_up(self.home, self.warehouse, self.config)


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
            clear_drafts(home)
            home.require_room()
            rebuilding.clear(home)
            warehouse, rebuilt, brought = _opened(home, config, self.anew)
            try:
                through = date.fromisoformat(self.through) if self.through else None
                yield OpenBook(config, home, warehouse, Archive(home.archive), through, rebuilt, brought)
            finally:
                warehouse.close()


def _opened(home: Home, config: Config, anew: bool) -> tuple[Warehouse, str, list[Ingested]]:
    """The warehouse; one of another form, or one that is not wanted, makes room for a new one, which the archive filled. Says so."""
    try:
        if anew and home.warehouse.exists():
            raise Outdated(f"{home.warehouse.name} was to be built anew.")
        return Warehouse(home.warehouse), "", []
    except Outdated as outdated:
        brought = rebuilding.rebuild(home, config)
        return Warehouse(home.warehouse), f"{outdated.what} It was put aside and built anew from the archive.", brought
