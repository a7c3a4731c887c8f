"""What is missing → venues asked → pages in the archive. The watermark moves later, when `ingest` commits what was archived.

One portfolio's trouble never stops another's: it comes back as an outcome, not as an exception. Only agreement is judged here
(does a walk join what is known?); what the rows mean is `ingest`'s and the stages' work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import TypeVar

import polars as pl

from pipelines import progress, venues, walks
from pipelines.archive import Archive
from pipelines.config import Config, Portfolio
from pipelines.errors import ConfigError, Refused, Unreachable, Unreadable, VenueError
from pipelines.hours import missing_hours
from pipelines.pages import Batch, Page, contradicts
from pipelines.stages import ledger
from pipelines.tables import ACCOUNTS, PORTFOLIOS
from pipelines.venues import wire
from pipelines.warehouse import Beside, Clock, Warehouse, now

T = TypeVar("T")
Walking = asyncio.Task[list[Batch] | BaseException]
AT_ONCE = 16  # accounts of one portfolio walked side by side; the limiter holds the rate
OVERLAP = 20  # known postings that each walk reads again: what was put in between them is found, restated or not
STEPS_BACK = (100, 1_000, 10_000)  # postings to go back when a walk does not join what is known; then to the beginning
BRIEF = venues.Patience(attempts=2)  # for the time, which is asked before anything else
LOST = "Nothing was taken from it; run again later."


@dataclass
class Outcome:
    """What came of asking for one portfolio, or for one product's candles."""

    subject: str
    pages: int = 0
    error: str = ""
    notes: list[str] = field(default_factory=list)


async def book_time(config: Config, clock: Clock = now, patience: venues.Patience | None = None, last: datetime | None = None) -> datetime:
    """Now, but never later than a venue proves; to the whole second. Where none answers it is no later than it was (`last`)."""
    local = clock()
    told = await _venue_time(config, patience or BRIEF)
    return min(local, told or last or local).replace(microsecond=0)


async def _venue_time(config: Config, patience: venues.Patience) -> datetime | None:
    """What the price venue tells; else the Date of its reply; else the newest Date of any other venue's."""
    with suppress(VenueError):
        async with venues.PriceClient(config.prices, patience) as client:
            try:
                return await client.time()
            except VenueError:
                if client.dated:
                    return client.dated
                raise
    dates = await asyncio.gather(*(_dated(portfolio, replace(patience, attempts=1)) for portfolio in config.portfolio))
    return max((date for date in dates if date), default=None)


async def _dated(portfolio: Portfolio, patience: venues.Patience) -> datetime | None:
    with suppress(ConfigError):
        async with venues.connect(portfolio, patience) as client:
            with suppress(VenueError):
                await client.balances()
            return client.dated
    return None


@dataclass(frozen=True)
class Puller:
    """Asks the venues for what the warehouse lacks."""

    config: Config
    warehouse: Warehouse
    archive: Archive
    clock: Clock = now
    patience: venues.Patience | None = None
    claims: dict[tuple[str, str], str] = field(default_factory=dict)  # (venue, its id of a portfolio) → the name that opened it first
    aside: Executor = field(default_factory=partial(ThreadPoolExecutor, max_workers=1))

    async def one_by_one(self, work: Callable[[], T]) -> T:
        """What keeps the interpreter busy, in a thread of its own. Several at once would leave none of it to those who ask."""
        return await asyncio.get_running_loop().run_in_executor(self.aside, work)

    async def portfolios(self, until: datetime) -> list[Outcome]:
        """Live balances and history of every configured portfolio, and the list of products."""
        walkers = [_Walker(self, portfolio, until) for portfolio in self.config.portfolio]
        products = self._outcome("products", self._products(until))
        return list(await asyncio.gather(products, *(self._outcome(w.portfolio.name, w.walk()) for w in walkers)))

    async def _outcome(self, subject: str, archived: AsyncIterator[Batch | str]) -> Outcome:
        outcome = Outcome(subject)
        try:
            async for batch in archived:
                if isinstance(batch, str):
                    outcome.notes.append(batch)
                else:
                    outcome.pages += len(batch.pages)
                    await self.one_by_one(partial(self.archive.put, batch, self.warehouse.next_instant()))
        except (VenueError, ConfigError) as error:
            outcome.error = str(error)
        return outcome

    async def _products(self, until: datetime) -> AsyncIterator[Batch | str]:
        async with self._price_client() as client:
            page = await client.products()
            yield Batch("PRODUCTS", "coinbase", "", "", None, until, page.fetched_at, (page,))

    async def candles(self, until: datetime) -> list[Outcome]:
        """Hours not yet covered, and those young enough to be restated, of each asset ever held, from 24 hours before its first posting."""
        last = min(until, self.clock() - timedelta(minutes=self.config.prices.finality_minutes)).replace(minute=0, second=0, microsecond=0)
        wanted = missing_hours(self.warehouse, self.config, last)
        progress.begin(progress.PRICES, len(wanted))
        async with self._price_client() as client:  # one for all products: together they use the rate that is allowed
            return list(await asyncio.gather(*(self._outcome(p, self._candles(client, p, gaps)) for p, gaps in wanted.items())))

    async def _candles(
        self, client: venues.PriceClient, product: str, gaps: Iterable[tuple[datetime, datetime]]
    ) -> AsyncIterator[Batch | str]:
        for since, until in gaps:
            asked_at = self.clock()
            pages = tuple([page async for page in client.candles(product, since, until)])
            yield Batch("CANDLES", "coinbase", "", product, since, until, asked_at, pages)
        progress.walked(progress.PRICES)

    def _price_client(self) -> venues.PriceClient:
        return venues.PriceClient(self.config.prices, self.patience)


@dataclass
class _Walker:
    """One portfolio's turn."""

    puller: Puller
    portfolio: Portfolio
    until: datetime
    identity: str = ""

    async def walk(self) -> AsyncIterator[Batch | str]:
        async with venues.connect(self.portfolio, self.puller.patience) as client:
            self._claim(client.identity)
            if pages := await client.currencies():
                yield self._batch("CURRENCIES", "", None, pages[0].fetched_at, pages)
            try:
                balances = await client.balances()
                self._claim(wire.read_balances(self.portfolio.venue, balances)[0] or "")
            except venues.MissingRight as lacking:
                balances = []
                yield f"NO_BALANCE_SCOPE: {lacking}"
            listed = walks.listed(balances) if client.subjects_by_account else []
            wanted = [(a.code, a.venue_id) for a in listed if a.holds or not self._idle(a.code)]
            walking = self._set_out(client, wanted if client.subjects_by_account else [("", None)])
            if balances:  # archived while the walks are on their way
                yield self._batch("BALANCES", "", None, balances[0].fetched_at, balances)
            told = await self._population(client)
            if isinstance(told, list) and told:
                yield self._batch("POPULATION", "", None, told[0].fetched_at, told)
            async for batch in self._come_home(walking):
                yield batch
            if isinstance(told, VenueError):
                raise told
            if client.subjects_by_account:
                self._require_all_listed({a.code for a in listed})

    async def _population(self, client: venues.Client) -> list[Page] | VenueError:
        """What else there is. A key that may not see it opens its own portfolio all the same; other trouble waits for the walks."""
        try:
            return await client.population()
        except Refused:
            return []
        except VenueError as error:
            return error

    def _idle(self, code: str) -> bool:
        """Never used, and read from its beginning not long ago: the live list says enough of it for now."""
        return not self._whole_is_due(code) and not self._known(code)

    def _whole_is_due(self, code: str) -> bool:
        """It was never read from its beginning, or so long ago that it is time to do it again: nothing else finds what was put in deep."""
        read = self._read_whole.get(code)
        return read is None or self.until - read >= timedelta(days=self.puller.config.pull.whole_days)

    @cached_property
    def _read_whole(self) -> dict[str, datetime]:
        newest = "SELECT subject, max(read_through) FROM pulls WHERE kind = 'WHOLE' AND portfolio = ? GROUP BY subject"
        return dict(self.puller.warehouse.sql(newest, self.portfolio.name).iter_rows())

    @cached_property
    def _accounts(self) -> pl.DataFrame:
        return self.puller.warehouse.read(ACCOUNTS, "portfolio = ?", self.portfolio.name)

    def _set_out(self, client: venues.Client, subjects: list[tuple[str, str | None]]) -> list[Walking]:
        """Every account's walk, on its way."""
        room = asyncio.Semaphore(AT_ONCE)
        progress.begin(self.portfolio.name, len(subjects))

        async def walk(code: str, account: str | None) -> list[Batch] | BaseException:
            async with room:
                try:
                    return await self._asked_again(client, account, await self._history(client, code, account))
                except (VenueError, ConfigError) as error:
                    return error

        return [asyncio.create_task(walk(*subject)) for subject in subjects]

    async def _come_home(self, walking: list[Walking]) -> AsyncIterator[Batch]:
        """Each walk as it is done. The trouble of one is raised when the others are home."""
        failed: list[BaseException] = []
        for home in asyncio.as_completed(walking):
            walked = await home
            progress.walked(self.portfolio.name)
            if isinstance(walked, BaseException):
                failed.append(walked)
            else:
                for batch in walked:
                    yield batch
        if failed:
            raise failed[0]

    def _require_all_listed(self, listed: set[str]) -> None:
        """A venue that lists accounts lists all of them, always; one that is left out was not read."""
        known = self._accounts.filter(pl.col("venue_account_id").is_not_null())["native_code"]
        if lost := sorted(set(known) - listed):
            raise Unreachable(f"The accounts of portfolio {self.portfolio.name} no longer hold {', '.join(lost[:5])}.", LOST)

    def _claim(self, identity: str) -> None:
        """A name stands for one portfolio at the venue, for good, and no two names for the same: neither in the book nor in this run."""
        if not identity:
            return
        venue, name = self.portfolio.venue, self.portfolio.name
        bound = self.puller.warehouse.read(PORTFOLIOS, "venue = ? AND venue_id IS NOT NULL", venue)
        known = [*bound.select("portfolio", "venue_id").iter_rows(), (self.puller.claims.setdefault((venue, identity), name), identity)]
        for other, other_identity in known:
            if contradicts(name, identity, other, other_identity):
                raise Refused(
                    f"The key of portfolio {name} opens {identity}, but {other} is bound to {other_identity}.",
                    "Give the portfolio its own key, or a new name.",
                )
        self.identity = identity

    async def _history(self, client: venues.Client, code: str, account: str | None) -> Batch:
        """Walk back until the walk joins what is known: a restated past is walked again from further back."""
        known = self._known(code)
        for since in (*self._steps_back(known, code), None):
            asked_at = self.puller.clock()
            pages = [page async for page in client.history(account, since)]
            batch = self._batch("HISTORY", code, since, asked_at, pages)
            if not known or await self._beside(partial(self._joins, batch)):
                break
        return batch

    async def _asked_again(self, client: venues.Client, account: str | None, batch: Batch) -> list[Batch]:
        """The walk; and once more, from where its rows first fail to explain each other: what a venue left out may come the second time."""
        try:
            broken = await self._beside(lambda beside: walks.breaks(beside, batch))
        except Unreadable:
            return [batch]
        if broken.is_empty():
            return [batch]
        since: datetime = broken["since"].sort()[0]
        asked_at = self.puller.clock()
        pages = [page async for page in client.history(account, since)]
        return [batch, self._batch("HISTORY", batch.subject, since, asked_at, pages)]

    def _steps_back(self, known: list[datetime], code: str) -> Iterator[datetime]:
        """How far to walk at first, and then ever further; nowhere but to the beginning where that is due."""
        if len(known) <= OVERLAP or self._whole_is_due(code):
            return
        since = min(known[OVERLAP], self.until - timedelta(days=self.puller.config.pull.overlap_days))
        yield since
        yield from (known[step] for step in STEPS_BACK if step < len(known) and known[step] < since)

    async def _beside(self, read: Callable[[Beside], T]) -> T:
        """Reading a walk takes its time: meanwhile the others go on asking."""
        with self.puller.warehouse.beside() as beside:
            return await self.puller.one_by_one(partial(read, beside))

    def _joins(self, batch: Batch, beside: Beside) -> bool:
        """The walk's oldest instant reads as it did. What cannot be read is archived all the same; `ingest` says so."""
        try:
            walk = walks.read(beside, batch, self._accounts)
        except Unreadable:
            return True
        if batch.since is not None:
            return ledger.agrees(walk.shown, walk.known) and walk.unread in {None, walk.known_before}
        if walk.shown.is_empty() and walk.refused.is_empty() and (walk.known_before or walk.known.height):
            whose = f"{batch.subject} of portfolio {batch.portfolio}" if batch.subject else f"portfolio {batch.portfolio}"
            raise Unreachable(f"The history of {whose} at {batch.venue} came empty, though it showed entries before.", LOST)
        return True

    def _known(self, code: str) -> list[datetime]:
        """When the known postings occurred, newest first, as far back as a walk steps before it goes to the beginning."""
        if self._accounts.is_empty():
            return []
        found: list[datetime] = self.puller.warehouse.sql(
            "SELECT occurred_at FROM postings JOIN accounts USING (account_id) WHERE retired_at IS NULL AND portfolio = ? "
            f"AND (native_code = ? OR ? = '') ORDER BY occurred_at DESC LIMIT {max(STEPS_BACK) + 1}",
            self.portfolio.name,
            code,
            code,
        )["occurred_at"].to_list()
        return found

    def _batch(self, kind: str, subject: str, since: datetime | None, asked_at: datetime, pages: list[Page]) -> Batch:
        return Batch(kind, self.portfolio.venue, self.portfolio.name, subject, since, self.until, asked_at, tuple(pages), self.identity)
