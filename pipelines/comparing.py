"""A portfolio and an instant → the venue's own balance report of it, beside the published book.

A report is ordered once and kept in the archive: asked again, the kept one answers. How both are compared is `stages.comparisons`' work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from pipelines import book, publications, replay
from pipelines.archive import Archive
from pipelines.config import BalanceReport, CoinbasePortfolio, Config
from pipelines.errors import Unreadable, UsageError
from pipelines.home import Home, exclusive
from pipelines.journal import Journal
from pipelines.pages import Batch, Page
from pipelines.publications import Publication
from pipelines.stages import comparisons
from pipelines.tables import PORTFOLIOS
from pipelines.telling import telling
from pipelines.venues import wire
from pipelines.venues.coinbase.client import CoinbaseClient
from pipelines.venues.coinbase.reports import Waiting
from pipelines.warehouse import Warehouse, now


@dataclass(frozen=True)
class Comparison:
    """Both sides, row by row, and the report's rows that could not be read."""

    report: Batch
    rows: pl.DataFrame
    refused: pl.DataFrame

    @property
    def unexplained(self) -> int:
        labels = [(pl.col(name) == comparisons.UNEXPLAINED).fill_null(False) for name in ("balance_label", "price_label")]
        return self.rows.filter(pl.any_horizontal(labels)).height + self.refused.height


def compare(config: Config, home: Home, name: str, as_of: datetime, again: bool = False, waiting: Waiting | None = None) -> Comparison:
    """`again`: order a new report, even if there is one in the archive."""
    portfolio = _of_coinbase(config, name)
    with publications.newest(home) as newest:
        report = _report(config, home, portfolio, as_of, again, waiting or Waiting(total=config.balance_report.wait))
        with telling(home, newest, as_of) as told:
            return _beside(told, report, as_of, config.balance_report)


def _beside(told: Publication, report: Batch, as_of: datetime, how: BalanceReport) -> Comparison:
    reading = wire.read_report(report.pages[-1], how.columns)
    _require_of(as_of, reading.rows["as_of"])
    ours = book.at(told, as_of, None, report.portfolio).rows
    rows = comparisons.compared(reading.rows.lazy(), ours.lazy(), _candles(told, as_of).lazy(), as_of)
    return Comparison(report, rows.collect(), reading.refused)


def kept(home: Home, told: Publication, as_of: datetime) -> pl.DataFrame:
    """What the reports that the publication knows of say of the instant: the newest of each portfolio, counted. Nobody is asked."""
    names = told.sql("SELECT batch FROM pages WHERE endpoint = 'report file' ORDER BY batch")["batch"]
    archive = Archive(home.archive)
    found = {batch.portfolio: batch for batch in (archive.get(name).batch for name in names) if batch.until == as_of}
    return comparisons.counted(_told(_beside(told, batch, as_of, BalanceReport())) for batch in found.values())


def _told(found: Comparison) -> tuple[str, str, datetime, pl.DataFrame, int]:
    page = found.report.pages[-1]
    return found.report.portfolio, page.sha256, page.fetched_at, found.rows, found.refused.height


def _of_coinbase(config: Config, name: str) -> CoinbasePortfolio:
    for portfolio in config.portfolio:
        if portfolio.name == name:
            if isinstance(portfolio, CoinbasePortfolio):
                return portfolio
            raise UsageError(f"{portfolio.venue} makes no balance reports.", "Name a portfolio at coinbase.")
    raise UsageError(f"There is no portfolio {name!r} in the configuration.", f"It has {', '.join(p.name for p in config.portfolio)}.")


def _require_of(as_of: datetime, told: pl.Series) -> None:
    if strange := set(told.drop_nulls()) - {as_of}:
        what = f"The balance report speaks of {min(strange):%Y-%m-%dT%H:%M:%SZ}, not of {as_of:%Y-%m-%dT%H:%M:%SZ}."
        raise Unreadable(what, "Order another with --again, or report it to us.")


def _report(config: Config, home: Home, portfolio: CoinbasePortfolio, as_of: datetime, again: bool, waiting: Waiting) -> Batch:
    """The newest one kept, or one that is made now and kept."""
    with exclusive(home, f"compare of {portfolio.name}", config.book.lock_wait):
        warehouse, archive = Warehouse(home.warehouse), Archive(home.archive)
        try:
            replay.catch_up(warehouse, archive, Journal(home.journal), config)
            kept = [b for b in _of(warehouse, archive, portfolio.name) if b.until == as_of]
            if kept and not again:
                return kept[-1]
            bound = warehouse.read(PORTFOLIOS, "portfolio = ?", portfolio.name)["venue_id"]
            profile_id, asked_at = next(iter(bound), None) or "", now()
            pages = asyncio.run(_ordered(portfolio, as_of, profile_id, waiting))
            batch = Batch("REPORT", portfolio.venue, portfolio.name, "", None, as_of, asked_at, tuple(pages), profile_id)
            archive.put(batch, warehouse.next_instant())
            replay.catch_up(warehouse, archive, Journal(home.journal), config)
            return batch
        finally:
            warehouse.close()


async def _ordered(portfolio: CoinbasePortfolio, as_of: datetime, profile_id: str, waiting: Waiting) -> list[Page]:
    async with CoinbaseClient(portfolio) as client:
        return await client.report(as_of, profile_id, waiting)


def _of(warehouse: Warehouse, archive: Archive, portfolio: str) -> Iterator[Batch]:
    names = warehouse.sql("SELECT batch FROM pages WHERE endpoint = 'report file' AND portfolio = ? ORDER BY batch", portfolio)["batch"]
    return (archive.get(name).batch for name in names)


def _candles(newest: Publication, as_of: datetime) -> pl.DataFrame:
    """The hours of the day before, and the one that begins at the instant, under the asset they price."""
    return newest.sql(
        "SELECT base AS asset, start, close, volume FROM candles JOIN (SELECT DISTINCT product_id, base FROM products WHERE quote = 'USD') "
        "USING (product_id) WHERE retired_at IS NULL AND start >= ?::TIMESTAMPTZ - INTERVAL 24 HOUR AND start <= ?",
        as_of,
        as_of,
    )
