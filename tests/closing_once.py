"""One run of the house without Dagster: pull, ingest, close. For tests that run it many times over."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipelines import closing, reach, replay
from pipelines.archive import Archive
from pipelines.config import Config
from pipelines.journal import Journal
from pipelines.pull import Outcome, Puller, book_time
from pipelines.sandbox.serve import Sandbox
from pipelines.tables import DAILY_BALANCES, DAILY_PRICES, DAILY_VALUES, Table
from pipelines.warehouse import Warehouse

DAILY = (DAILY_BALANCES, DAILY_PRICES, DAILY_VALUES)


@dataclass
class House:
    """A warehouse and an archive in one folder."""

    config: Config
    warehouse: Warehouse
    archive: Archive
    journal: Journal

    def run(self) -> list[Outcome]:
        replay.catch_up(self.warehouse, self.archive, self.journal, self.config)
        puller = Puller(self.config, self.warehouse, self.archive)
        until = asyncio.run(book_time(self.config))
        closing.note_time(self.warehouse, until)
        outcomes = asyncio.run(puller.portfolios(until))
        replay.catch_up(self.warehouse, self.archive, self.journal, self.config)
        outcomes += asyncio.run(puller.candles(until))
        replay.catch_up(self.warehouse, self.archive, self.journal, self.config)
        earlier = reach.days(self.warehouse, reach.told(self.journal))
        days = closing.to_close(self.warehouse, self.config, earlier=earlier)
        if days.height:
            closing.close_balances(self.warehouse, days)
            closing.close_prices(self.warehouse, days)
        closing.close_values(self.warehouse, days)  # rates may be others without a day to close
        return outcomes

    def table(self, table: Table) -> pl.DataFrame:
        return self.warehouse.read(table).sort(table.key)


@contextmanager
def house(folder: Path, sandbox: Sandbox, extra: str = "") -> Iterator[House]:
    folder.mkdir(parents=True, exist_ok=True)
    opened = Warehouse(folder / "warehouse.duckdb")
    try:
        yield House(
            Config.model_validate(tomllib.loads(sandbox.config_text() + extra)),
            opened,
            Archive(folder / "archive"),
            Journal(folder / "journal"),
        )
    finally:
        opened.close()
