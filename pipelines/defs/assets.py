"""One asset per step: read, step, write, report. What a step does is written elsewhere; days are shown as partitions here."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from functools import partial
from time import monotonic
from typing import Any

import dagster as dg
import polars as pl

from pipelines import closing, filing, postclose, publications, quality, reach, tables
from pipelines.defs import newest
from pipelines.defs.days import DAYS, report_days
from pipelines.defs.resources import OpenBook
from pipelines.defs.show import counted, ingested, newest_statement, outcomes, row_count, schema, table
from pipelines.journal import Journal
from pipelines.pull import Puller, book_time

Book = dg.ResourceParam[OpenBook]
PAGES = "Reply pages of every portfolio's balances and history, verbatim in the archive."
CANDLE_PAGES = "Reply pages of hourly candles for every asset ever held, verbatim in the archive."
CANDIDATE = "A copy of the book under its own path, for the checks. Left out when nothing changed since the last publication."
PUBLICATION = "The checked file people query; the link is swapped when every blocking check has passed."
STATEMENTS = "The newest closed day of every calendar as CSV: each portfolio, all by asset; and what [statements] asks for."
DAILY = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=26), warn_window=timedelta(hours=25))
"""Asked at least once a day: stale in the UI where no schedule and no person did."""
Function = Callable[..., Any]
Decorator = Callable[[Function], dg.AssetsDefinition]


def _step(group: str, deps: Sequence[dg.AssetsDefinition], kinds: set[str], says: str | tables.Table, **more: Any) -> Decorator:
    """An asset of `group`; one that fills a table says the table's sentence and shows its columns."""
    about: dict[str, Any] = {"description": says} if isinstance(says, str) else {"description": says.sentence, "metadata": schema(says)}
    decorate: Decorator = dg.asset(group_name=group, deps=deps, kinds=kinds, owners=["team:finance-data"], **about, **more)
    return decorate


def _daily(group: str, deps: Sequence[dg.AssetsDefinition], of: tables.Table) -> Decorator:
    """An asset with a partition a day; any set of days is one run."""
    return _step(group, deps, {"duckdb", "polars"}, of, partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())


@_step("ledger", [], {"python", "parquet"}, PAGES, freshness_policy=DAILY)
def pages(context: dg.AssetExecutionContext, book: Book) -> dg.MaterializeResult[None]:
    book.catch_up()  # what a killed run archived and did not commit comes first
    filing.of_newest_days(book.home, book.config.statements)  # so does what it published and did not state
    puller = Puller(book.config, book.warehouse, book.archive)
    until = asyncio.run(book_time(book.config, last=closing.book_time(book.warehouse)))
    closing.note_time(book.warehouse, until)
    with counted(context.log.info):
        return dg.MaterializeResult(metadata=outcomes(asyncio.run(puller.portfolios(until))))


@_step("ledger", [pages], {"duckdb", "polars"}, tables.POSTINGS)
def postings(book: Book) -> dg.MaterializeResult[None]:
    done = [*book.brought, *book.catch_up()]
    return dg.MaterializeResult(metadata=ingested(done) | row_count(book.warehouse, tables.POSTINGS) | {"rebuilt": book.rebuilt})


@_step("prices", [postings], {"python", "parquet"}, CANDLE_PAGES, freshness_policy=DAILY)
def candle_pages(context: dg.AssetExecutionContext, book: Book) -> dg.MaterializeResult[None]:
    until = closing.book_time(book.warehouse)
    puller = Puller(book.config, book.warehouse, book.archive)
    with counted(context.log.info):
        return dg.MaterializeResult(metadata=outcomes(asyncio.run(puller.candles(until)) if until else []))


@_step("prices", [candle_pages, postings], {"duckdb", "polars"}, tables.CANDLES)
def candles(book: Book) -> dg.MaterializeResult[None]:
    done = book.catch_up()
    return dg.MaterializeResult(metadata=ingested(done) | row_count(book.warehouse, tables.CANDLES))


@_daily("snapshots", [postings], tables.DAILY_BALANCES)
def daily_balances(context: dg.AssetExecutionContext, book: Book) -> dg.MaterializeResult[None]:
    closed = closing.close_balances(book.warehouse, _days(context, book))
    return report_days(context, closed, newest.largest(book.warehouse, tables.DAILY_BALANCES))


@_daily("prices", [candles, postings], tables.DAILY_PRICES)
def daily_prices(context: dg.AssetExecutionContext, book: Book) -> dg.MaterializeResult[None]:
    closed = closing.close_prices(book.warehouse, _days(context, book))
    return report_days(context, closed, newest.largest(book.warehouse, tables.DAILY_PRICES))


@_daily("valuations", [daily_balances, daily_prices], tables.DAILY_VALUES)
def daily_values(context: dg.AssetExecutionContext, book: Book) -> dg.MaterializeResult[None]:
    closed = closing.close_values(book.warehouse, _days(context, book))
    return report_days(context, closed, newest.largest(book.warehouse, tables.DAILY_VALUES) | newest.by_portfolio(book.warehouse))


def _days(context: dg.AssetExecutionContext, book: OpenBook) -> pl.DataFrame:
    tagged = [date.fromisoformat(key) for key in context.partition_keys]
    earlier = reach.days(book.warehouse, reach.told(Journal(book.home.journal)))
    return closing.to_close(book.warehouse, book.config, tagged, book.through, earlier)


@_step("publication", [daily_values], {"duckdb"}, CANDIDATE, output_required=False)
def candidate(context: dg.AssetExecutionContext, book: Book) -> Iterator[dg.MaterializeResult[None]]:
    published, changed = publications.known_through(book.home), book.warehouse.changed_at()
    if changed is None or book.warehouse.empty(tables.CLOSED_DAYS) or (published is not None and changed <= published):
        context.log.info("Nothing changed since the last publication.")
        return
    began = monotonic()
    postclose.note(book.warehouse, Journal(book.home.journal), partial(publications.version, book.home))
    built = publications.build(book.home, book.warehouse, book.config.book.start, book.config.book.end)
    made = {"bytes": built.path.stat().st_size, "seconds": monotonic() - began}
    yield dg.MaterializeResult(metadata=made | {"publication_id": built.publication_id, "path": dg.MetadataValue.path(built.path)})


@_step("publication", [candidate], {"duckdb"}, PUBLICATION)
def publication(book: Book) -> dg.MaterializeResult[None]:
    built = publications.built(book.home)
    quality.require_passed(book.warehouse.read(tables.CHECK_RESULTS, "publication_id = ?", built.publication_id))
    path = publications.publish(book.home, built, book.config.book.keep)
    return dg.MaterializeResult(metadata={"publication_id": built.publication_id, "path": dg.MetadataValue.path(path)})


@_step("statements", [publication], {"csv"}, STATEMENTS, name="statements")
def daily_statements(book: Book) -> dg.MaterializeResult[None]:
    written = filing.of_newest_days(book.home, book.config.statements)
    names = table(pl.DataFrame({"file": [path.name for path in written]}))
    return dg.MaterializeResult(metadata={"files": len(written), "names": names, **newest_statement(book.home)})


ASSETS = [pages, postings, candle_pages, candles, daily_balances, daily_prices, daily_values, candidate, publication, daily_statements]
