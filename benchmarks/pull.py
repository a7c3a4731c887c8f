"""How much of each venue's published rate a cold pull uses, and how little the next one asks. Everything over a real socket.

150,000 Coinbase rows over four profiles (in pages of 100, so that the rate and not the burst decides), 50,000 CryptoFuse and
50,000 Pacifica rows, two years of hourly candles for 20 products; the sandbox, in a process of its own, refuses as the venues do.
`percent` is the least time in which the published rule lets so many requests through, over the time they took.
`make bench-pull VENUE=coinbase` (or coinbase-public, cryptofuse, pacifica) shows one venue alone.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import polars as pl

from pipelines import replay
from pipelines.archive import Archive
from pipelines.config import Config
from pipelines.journal import Journal
from pipelines.pull import Puller, book_time
from pipelines.sandbox.serve import Sandbox
from pipelines.warehouse import Warehouse

START, END = datetime(2023, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
CODES = (
    "BTC",
    "ETH",
    "SOL",
    "ADA",
    "LTC",
    "DOGE",
    "XRP",
    "LINK",
    "DOT",
    "UNI",
    "AAVE",
    "ATOM",
    "AVAX",
    "BCH",
    "ETC",
    "FIL",
    "NEAR",
    "OP",
    "ARB",
    "APT",
)
PROFILES, ACCOUNTS, ROWS = 4, 10, 3_750  # of Coinbase: 150,000 rows
OTHERS = 50_000  # rows of each of the other two
PAGE = 100
Requests = Mapping[tuple[str, str, int], int]


def dataset(folder: Path) -> None:
    folder.mkdir()
    owners = [(f"desk-{n}", "coinbase") for n in range(PROFILES)] + [("perps", "pacifica"), ("shop", "cryptofuse")]
    declared = "".join(f'[[portfolio]]\nname = "{name}"\nvenue = "{venue}"\nentity = "acme"\n' for name, venue in owners)
    (folder / "dataset.toml").write_text(f'name = "bench"\nstart = {START:%Y-%m-%d}\nend = {END:%Y-%m-%d}\n{declared}')
    pl.concat(_ledger()).write_parquet(folder / "ledger.parquet")
    pl.concat(_candles()).write_parquet(folder / "candles.parquet")
    market = {"quote_currency": "USD", "status": "online", "trading_disabled": False}
    (folder / "products.json").write_text(json.dumps([{"id": f"{c}-USD", "base_currency": c, **market} for c in CODES]))


def _ledger() -> Iterator[pl.DataFrame]:
    for profile in range(PROFILES):
        for n in range(ACCOUNTS):
            yield _account(
                "coinbase", f"desk-{profile}", CODES[(ACCOUNTS * profile + n) % len(CODES)], ROWS, "match", (profile * ACCOUNTS + n) * ROWS
            )
    yield _account("pacifica", "perps", "USDC", OTHERS, "trade")
    yield _account("cryptofuse", "shop", "USDTERC20", OTHERS, "deposit")


def _account(venue: str, portfolio: str, code: str, rows: int, word: str, first_id: int = 0) -> pl.DataFrame:
    """Each row adds one and a quarter."""
    n = pl.int_range(rows, eager=True).alias("n")
    pace = int((END - START - timedelta(days=1)).total_seconds()) // rows
    at = pl.lit(START).dt.cast_time_unit("us") + pl.duration(seconds=pl.col("n") * pace, time_unit="us")
    return pl.DataFrame(n).select(
        venue=pl.lit(venue),
        portfolio=pl.lit(portfolio),
        native_code=pl.lit(code),
        occurred_at=at.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
        event_type=pl.lit(word),
        amount=pl.lit("1.25"),
        balance_after=((pl.col("n") + 1) * 125 // 100).cast(pl.String) + "." + ((pl.col("n") + 1) * 125 % 100).cast(pl.String).str.zfill(2),
        pending_after=pl.lit("0" if venue == "pacifica" else ""),
        event_id=(pl.col("n") + first_id + 1).cast(pl.String) if venue == "coinbase" else pl.lit(""),
    )


def _candles() -> Iterator[pl.DataFrame]:
    hours = pl.int_range(int(START.timestamp()) - 48 * 3600, int(END.timestamp()), 3600, eager=True).alias("time")
    for code in CODES:
        numbers = {"low": 90.0, "high": 110.0, "open": 100.0, "close": 101.5, "volume": 2.25}
        yield pl.DataFrame(hours).select(product_id=pl.lit(f"{code}-USD"), time="time", **{k: pl.lit(v) for k, v in numbers.items()})


def _serve(folder: Path, line: Connection) -> None:
    """The sandbox's process: says how to reach it, then its counts as often as it is asked."""
    with Sandbox(folder) as sandbox:
        line.send(sandbox.config_text())
        while line.recv():
            line.send(dict(sandbox.requests))


@dataclass(frozen=True)
class Venues:
    config_text: str
    line: Connection

    def requests(self) -> Counter[tuple[str, str, int]]:
        self.line.send(True)
        return Counter(self.line.recv())


@contextmanager
def venues(folder: Path) -> Iterator[Venues]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(folder, theirs))
    process.start()
    try:
        theirs.close()  # so that a process that ends too early is noticed
        yield Venues(ours.recv(), ours)
        ours.send(False)
    finally:
        process.join(10)
        process.kill()


class Book:
    """Pull and ingest, twice; no days are closed."""

    def __init__(self, folder: Path, config: Config) -> None:
        self.config, self.warehouse = config, Warehouse(folder / "warehouse.duckdb")
        self.archive, self.journal = Archive(folder / "archive"), Journal(folder / "journal")

    def pull(self, candles: bool) -> None:
        puller = Puller(self.config, self.warehouse, self.archive)
        until = asyncio.run(book_time(self.config))
        asks = [puller.portfolios] + [puller.candles] * candles
        for ask in asks:
            replay.catch_up(self.warehouse, self.archive, self.journal, self.config)
            outcomes = asyncio.run(ask(until))
            if wrong := [f"{o.subject}: {o.error}" for o in outcomes if o.error]:
                sys.exit("\n".join(wrong))
        replay.catch_up(self.warehouse, self.archive, self.journal, self.config)

    def count(self, table: str) -> int:
        return int(self.warehouse.sql(f"SELECT count(*) AS n FROM {table}")["n"][0])

    def seconds(self, venue: str, public: bool) -> float:
        """From the first reply of each portfolio to its last; the longest."""
        took = self.warehouse.sql(
            "SELECT epoch(max(fetched_at)) - epoch(min(fetched_at)) AS s FROM pages WHERE venue = ? AND (endpoint = 'candles') = ? "
            "AND endpoint <> 'products' GROUP BY portfolio",
            venue,
            public,
        )
        return float(took["s"].max() or 0)  # type: ignore[arg-type]  # a column of numbers


def bucket(requests: int, rate: float, burst: int) -> float:
    """The least seconds in which a full token bucket lets so many through."""
    return max(0.0, requests - burst) / rate


def window(cost: float, quota: float) -> float:
    """The least seconds in which a rolling minute lets so much through."""
    return 60.0 * (ceil(cost / quota) - 1)


def report(book: Book, seen: Requests) -> tuple[list[str], bool]:
    """A line per venue, and whether each used 95 % of its rate and was refused nothing."""
    by_path: Counter[str] = Counter()
    for (_, path, _), n in seen.items():
        by_path[path] += n
    refused = {path: n for (_, path, status), n in seen.items() if status == 429}
    candles = by_path["/products/{product_id}/candles"]
    ledger = by_path["/accounts/{account_id}/ledger"]
    perps, shop = by_path["/api/v1/account/balance/history"], by_path["/user/balances/history/"]
    rows = [
        ("coinbase-public", candles, bucket(candles, 10, 15), book.seconds("coinbase", True), ("/products",)),
        ("coinbase", ledger, bucket(ledger // PROFILES, 15, 30), book.seconds("coinbase", False), ("/accounts",)),
        ("cryptofuse", shop, window(shop + 3, 100), book.seconds("cryptofuse", False), ("/user", "/o/")),
        ("pacifica", perps, window(3 * perps + 1, 300), book.seconds("pacifica", False), ("/api/v1",)),
    ]
    lines, good = [], True
    for venue, requests, least, seconds, paths in rows:
        if not requests:
            continue
        denied = sum(n for path, n in refused.items() if path.startswith(paths))
        percent = 100 * least / seconds
        good &= denied == 0 and percent >= 95
        lines.append(f"venue={venue} requests={requests} refused={denied} seconds={seconds:.1f} percent={percent:.1f}")
    return lines, good


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def chosen(told: dict[str, Any], venue: str) -> Config:
    """The sandbox's own configuration, of one venue only where one is named; in pages that let the rate decide."""
    of = venue.removesuffix("-public")
    told["portfolio"] = [p | {"page_size": PAGE} for p in told["portfolio"] if of in {"", p["venue"]}]
    if not told["portfolio"]:
        sys.exit(f"{venue} is none of coinbase, coinbase-public, cryptofuse, pacifica.")
    return Config.model_validate(told)


def main(venue: str = "") -> None:
    candles = venue in {"", "coinbase-public"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset(folder / "dataset")
        with venues(folder / "dataset") as at:
            book = Book(folder, chosen(tomllib.loads(at.config_text), venue))
            began = time.monotonic()
            book.pull(candles)
            first = at.requests()
            _say(f"cold pull: {book.count('postings'):,} postings, {book.count('candles'):,} candles in {time.monotonic() - began:.0f} s")
            lines, good = report(book, first)
            book.pull(candles)
            again = sum((at.requests() - first).values())
        allowed = book.count("accounts") + len(CODES) + 6 * len(book.config.portfolio)
        _say(f"second pull: requests={again} allowed={allowed}", *lines)
        sys.exit(0 if good and again <= allowed else 1)


if __name__ == "__main__":
    main(*sys.argv[1:2])
