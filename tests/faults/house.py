"""A small book of three venues that is pulled with faults on the way, and what it knows, without when it learnt it."""

from __future__ import annotations

import asyncio
import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from pipelines import replay
from pipelines.archive import Archive
from pipelines.config import Config
from pipelines.journal import Journal
from pipelines.pull import Outcome, Puller, book_time
from pipelines.sandbox.serve import Sandbox
from pipelines.sandbox.settings import Settings
from pipelines.tables import ACCOUNTS, CANDLES, OPENINGS, POSTINGS, SUSPENSE
from pipelines.venues import Patience
from pipelines.warehouse import Warehouse

HURRIED = Patience(attempts=6, total=3.0, first=0.01, longest=0.05, jitter=0.01)
FAST = 100_000.0
START = datetime(2025, 1, 1, tzinfo=UTC)
END = START + timedelta(days=9)
EVENTS = {("coinbase", "desk", "BTC"): 30, ("coinbase", "desk", "USD"): 24, ("pacifica", "perps", "USDC"): 30}
EVENTS |= {("cryptofuse", "shop", "USDTERC20"): 26, ("cryptofuse", "shop", "ETH"): 4}
WORDS = {"coinbase": ("match", "transfer"), "pacifica": ("deposit", "trade"), "cryptofuse": ("deposit", "withdrawal")}


def ledger() -> str:
    """Up by 2.5, down by 1, …, two events to an instant; the accounts of one venue a minute apart."""
    rows = ["venue,portfolio,native_code,occurred_at,event_type,amount,balance_after,pending_after,event_id"]
    for minute, ((venue, portfolio, code), events) in enumerate(EVENTS.items()):
        balance = 0.0
        for n in range(events):
            amount, word = (2.5, WORDS[venue][0]) if n % 2 == 0 else (-1.0, WORDS[venue][1])
            balance += amount
            at = START + timedelta(hours=12 * (n // 2), minutes=minute)
            own = f"{'0' if venue == 'pacifica' else ''},{1000 * minute + 10 * n + 10 if venue == 'coinbase' else ''}"
            rows.append(f"{venue},{portfolio},{code},{at:%Y-%m-%dT%H:%M:%S.000000Z},{word},{amount},{balance},{own}")
    return "\n".join(rows) + "\n"


def dataset(folder: Path) -> Path:
    folder.mkdir(parents=True)
    owners = "".join(f'[[portfolio]]\nname = "{p}"\nvenue = "{v}"\nentity = "acme"\n' for v, p in sorted({key[:2] for key in EVENTS}))
    (folder / "dataset.toml").write_text(f'name = "faulty"\nstart = {START:%Y-%m-%d}\nend = {END:%Y-%m-%d}\n{owners}')
    (folder / "ledger.csv").write_text(ledger())
    hours = [START - timedelta(days=2) + timedelta(hours=n) for n in range(11 * 24)]
    candles = [f"{c}-USD,{int(t.timestamp())},90,110,100,{100 + n / 100},1.5" for c in ("BTC", "ETH") for n, t in enumerate(hours)]
    (folder / "candles.csv").write_text("\n".join(["product_id,time,low,high,open,close,volume", *candles]) + "\n")
    market = {"quote_currency": "USD", "status": "online", "trading_disabled": False}
    (folder / "products.json").write_text(json.dumps([{"id": f"{c}-USD", "base_currency": c, **market} for c in ("BTC", "ETH")]))
    return folder


FACTS = {
    POSTINGS: ["portfolio", "native_code", "occurred_at", "position", "event_id", "event_type", "amount", "balance_after", "pending_after"],
    CANDLES: ["product_id", "start", "low", "high", "open", "close", "volume"],
    OPENINGS: ["portfolio", "native_code", "kind", "amount"],
}
Facts = dict[str, pl.DataFrame]


@dataclass
class House:
    """A book in one folder, and the configuration it is pulled by."""

    config: Config
    warehouse: Warehouse
    archive: Archive
    journal: Journal

    def run(self, clock: datetime | None = None) -> dict[str, str]:
        """Pull and ingest; what was not pulled, by subject, and why."""
        told = (lambda: clock) if clock else (lambda: datetime.now(UTC))
        unread = replay.catch_up(self.warehouse, self.archive, self.journal, self.config)
        puller = Puller(self.config, self.warehouse, self.archive, told, HURRIED)
        until = asyncio.run(book_time(self.config, told, HURRIED))
        outcomes: list[Outcome] = asyncio.run(puller.portfolios(until))
        unread += replay.catch_up(self.warehouse, self.archive, self.journal, self.config)
        outcomes += asyncio.run(puller.candles(until))
        unread += replay.catch_up(self.warehouse, self.archive, self.journal, self.config)
        return {o.subject: o.error for o in outcomes if o.error} | {
            i.batch.portfolio or i.batch.subject or i.batch.kind.lower(): i.error for i in unread if i.error
        }

    def facts(self, at: datetime | None = None) -> Facts:
        """What the book holds, as known now or at `at`, without when it came to know it and where it read it."""
        return {table.name: self._known(table.name, columns, at) for table, columns in FACTS.items()}

    def _known(self, table: str, columns: list[str], at: datetime | None) -> pl.DataFrame:
        stamp = f"'{at.isoformat()}'::TIMESTAMPTZ" if at else "'9999-01-01'::TIMESTAMPTZ"
        retires = "AND (retired_at IS NULL OR retired_at > known)" if table != "openings" else ""
        newest = "QUALIFY recorded_at = max(recorded_at) OVER (PARTITION BY account_id)" if table == "openings" else ""
        named = "" if table == "candles" else "JOIN (SELECT account_id, portfolio, native_code FROM accounts) USING (account_id)"
        query = f"SELECT {', '.join(columns)} FROM {table} {named}, (SELECT {stamp} AS known) WHERE recorded_at <= known {retires} {newest}"
        return self.warehouse.sql(query).sort(columns)

    def bodies(self) -> set[str]:
        return set(self.warehouse.sql("SELECT sha256 FROM pages")["sha256"])

    def balances(self) -> dict[tuple[str, str], object]:
        """The newest balance of each account that has one."""
        newest = self.facts()["postings"].group_by("portfolio", "native_code", maintain_order=True).last()
        return {(p, c): b for p, c, b in newest.select("portfolio", "native_code", "balance_after").iter_rows()}

    def suspended(self) -> list[str]:
        return self.warehouse.read(SUSPENSE)["reason"].to_list()

    def read_through(self) -> dict[tuple[str, str], datetime]:
        rows = self.warehouse.sql("SELECT portfolio, subject, max(read_through) FROM pulls WHERE kind = 'ACCOUNT' GROUP BY ALL")
        return {(p, c): at for p, c, at in rows.iter_rows()}

    def codes(self) -> Counter[str]:
        return Counter(self.warehouse.read(ACCOUNTS)["native_code"])


def same(one: Facts, other: Facts) -> None:
    for table, rows in one.items():
        assert rows.height > 3, f"nothing to compare in {table}"
        assert rows.equals(other[table]), f"{table}: {rows.join(other[table], on=rows.columns, how='anti', nulls_equal=True)}"


@contextmanager
def house(folder: Path, config_text: str, page_size: int = 5, timeout: float = 2.0) -> Iterator[House]:
    """Small pages, so that every history is a walk."""
    folder.mkdir(parents=True, exist_ok=True)
    written = tomllib.loads(config_text)
    for portfolio in written["portfolio"]:
        portfolio |= {"page_size": page_size, "timeout": timeout}
    written["prices"]["timeout"] = timeout
    opened = Warehouse(folder / "warehouse.duckdb")
    try:
        yield House(Config.model_validate(written), opened, Archive(folder / "archive"), Journal(folder / "journal"))
    finally:
        opened.close()


@contextmanager
def venues(folder: Path, faults: str = "", now: datetime = END, port: int = 0, **settings: object) -> Iterator[Sandbox]:
    """The sandbox on a dataset, with faults told as text."""
    told = folder.parent / f"{folder.name}-faults.toml"
    told.write_text(faults)
    with Sandbox(folder, port, now, told, Settings(**settings), FAST) as sandbox:  # type: ignore[arg-type]  # settings by name
        yield sandbox
