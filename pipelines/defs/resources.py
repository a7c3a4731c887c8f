"""The open book: configuration, home, lock, warehouse and archive, for the whole of one run. Every writing step needs it."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg

from pipelines.archive import Archive
from pipelines.config import Config, load
from pipelines.home import Home, exclusive, sign_of_life
from pipelines.warehouse import Warehouse


@dataclass(frozen=True)
class OpenBook:
    """What a step works with. No step opens anything itself."""

    config: Config
    home: Home
    warehouse: Warehouse
    archive: Archive
    through: date | None


class BookResource(dg.ConfigurableResource[OpenBook]):
    """Opens the book for one run; one run at a time, whoever starts it."""

    config: str
    home: str
    through: str = ""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[OpenBook, None, None]:
        config, home = load(Path(self.config)), Home(Path(self.home))
        home.move_in(home.kind() or "book")
        run_id = context.run.run_id if context.run else "none"
        with sign_of_life(home, run_id), exclusive(home, f"run {run_id[:8]}", config.book.lock_wait):
            home.require_room()
            warehouse = Warehouse(home.warehouse)
            try:
                yield OpenBook(config, home, warehouse, Archive(home.archive), date.fromisoformat(self.through) if self.through else None)
            finally:
                warehouse.close()
