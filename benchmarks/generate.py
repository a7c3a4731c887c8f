"""A seeded book of any size, written straight into a warehouse file: 1,000 postings an account over one year, every chain whole.

Layouts say in which order the rows lie: `time` (one feed), `pulled` (day by day, account by account within the day) and
`accounts` (a first pull: one account after the other). No engine is run here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.tables import (
    ACCOUNTS,
    CALENDARS,
    CANDLE_COVERAGE,
    CANDLES,
    OPENINGS,
    PORTFOLIOS,
    PRODUCTS,
    PUBLICATIONS,
    PULLS,
    Table,
)
from pipelines.warehouse import Warehouse

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 365
END = START + timedelta(days=DAYS)
AN_ACCOUNT = 1_000  # postings
A_PORTFOLIO = 100  # accounts
CHUNK = 1_000_000
SAME_ACCOUNTS, A_DAY = 10_000, 27_397  # of a book whose last day is as large however long its history is
ASSETS = ("BTC", "ETH", "SOL", "USD", "ADA", "XRP", "LTC", "DOT", "EUR", "LINK")
LAYOUTS = ("time", "pulled", "accounts")
RECORDED = END + timedelta(hours=1)


@dataclass
class Feed:
    """Chunks of postings in time order; each account's balance goes on where the chunk before left it."""

    postings: int
    fixed: int | None = None  # accounts; else in proportion
    seed: int = 7

    def __post_init__(self) -> None:
        self.accounts = self.fixed or max(self.postings // AN_ACCOUNT, 1)
        self.rng = np.random.default_rng(self.seed)
        self.balance = np.zeros(self.accounts, dtype=np.int64)  # 10^-8 units

    def __iter__(self) -> Iterator[pl.DataFrame]:
        chunks = max(self.postings // CHUNK, 1)
        last = END if self.fixed is None else END - timedelta(days=1)
        edges = np.linspace(_micros(START), _micros(last), chunks + 1).astype(np.int64)
        for n in range(chunks):
            yield self._chunk(min(CHUNK, self.postings), int(edges[n]), int(edges[n + 1]))
        if self.fixed is not None:
            yield self._chunk(A_DAY, _micros(last), _micros(END))

    def _chunk(self, size: int, since: int, until: int) -> pl.DataFrame:
        account = self.rng.integers(0, self.accounts, size)
        at = np.sort(self.rng.integers(since, until, size))
        amount = self.rng.integers(-(10**9), 10**10, size)
        by_account = np.argsort(account, kind="stable")
        account, at, amount = account[by_account], at[by_account], amount[by_account]
        same = np.append(False, account[1:] == account[:-1])
        twin = same & (self.rng.random(size) < 0.01)  # shares its instant with the posting before
        twin[1:] &= ~twin[:-1]
        at[twin] = at[np.flatnonzero(twin) - 1]
        frame = {"account": account, "moment": at, "position": twin.astype(np.int32), "amount": amount}
        return pl.DataFrame(frame | {"after": self._balances(account, amount, ~same)}).sort("moment", maintain_order=True)

    def _balances(self, account: np.ndarray, amount: np.ndarray, first: np.ndarray) -> np.ndarray:
        total = np.cumsum(amount)
        starts = np.flatnonzero(first)
        before = np.repeat(total[starts] - amount[starts], np.diff(np.append(starts, len(account))))
        after: np.ndarray = self.balance[account] + total - before
        self.balance[account] = after
        return after


def _micros(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000


INSERT = """
    INSERT INTO postings SELECT account::INTEGER + 1, make_timestamptz(moment), position,
        concat('e', moment), 'match',
        (amount * 0.00000001::DECIMAL(9,8))::DECIMAL(38,18),
        (after * 0.00000001::DECIMAL(9,8))::DECIMAL(38,18),
        CASE WHEN account % 5 = 0 THEN 0::DECIMAL(38,18) END, CASE WHEN account % 5 = 0 THEN 0::DECIMAL(38,18) END,
        {recorded}, NULL, {page} FROM {source} {order}
"""
PAGE = "md5((moment // 86400000000)::VARCHAR) || md5((account // 100)::VARCHAR)"
PULLED = "make_timestamptz((moment // 86400000000 + 1) * 86400000000 + 3600000000)"


def generate(path: Path, postings: int, layout: str = "time", accounts: int | None = None) -> None:
    """Write the book; `path` must not exist yet. With `accounts` it has so many, and a last day of its own size."""
    warehouse = Warehouse(path, memory_limit="8GB")
    con = warehouse._con
    feed = Feed(postings, accounts)
    _write(warehouse, _registers(feed.accounts))
    if layout == "time":
        for chunk in feed:
            con.register("chunk", chunk.to_arrow())
            con.execute(INSERT.format(recorded=PULLED, page=PAGE, source="chunk", order=""))
    else:
        con.register("feed", pl.concat(feed).to_arrow())
        order = (
            "ORDER BY account, moment, position" if layout == "accounts" else "ORDER BY moment // 86400000000, account, moment, position"
        )
        con.execute(INSERT.format(recorded=PULLED, page=PAGE, source="feed", order=order))
    warehouse.close()


def _registers(accounts: int) -> dict[Table, pl.DataFrame]:
    portfolios = [f"p{n:05d}" for n in range((accounts - 1) // A_PORTFOLIO + 1)]
    numbers = range(1, accounts + 1)
    owner = [portfolios[(n - 1) // A_PORTFOLIO] for n in numbers]
    code = [f"{ASSETS[n % len(ASSETS)]}{n}" for n in numbers]
    asset = [ASSETS[n % len(ASSETS)] for n in numbers]
    return {
        PORTFOLIOS: PORTFOLIOS.frame({"portfolio": p, "entity": "acme", "venue": "pacifica", "recorded_at": START} for p in portfolios),
        ACCOUNTS: pl.DataFrame({"account_id": numbers, "portfolio": owner, "native_code": code, "asset": asset}).with_columns(
            asset_class=pl.when(pl.col("asset").is_in(["USD", "EUR"])).then(pl.lit("fiat")).otherwise(pl.lit("crypto")),
            recorded_at=pl.lit(START),
        ),
        OPENINGS: OPENINGS.frame(
            {"account_id": n, "kind": "INCEPTION", "amount": 0, "opened_at": START, "recorded_at": START} for n in numbers
        ),
        PULLS: pl.DataFrame({"portfolio": owner, "subject": code}).with_columns(
            kind=pl.lit("ACCOUNT"), read_through=pl.lit(END), asked_at=pl.lit(END), batch=pl.lit(""), recorded_at=pl.lit(START)
        ),
        CALENDARS: CALENDARS.frame([{"calendar": "utc", "timezone": "UTC", "cut_off": "00:00"}]),
        **_market(),
        PUBLICATIONS: publication(),
    }  # fmt: skip


def publication() -> pl.DataFrame:
    row = {"publication_id": 1, "known_through": RECORDED + timedelta(days=2), "built_at": RECORDED, "software": "benchmark"}
    return PUBLICATIONS.frame([row | {"book_start": START.date()}])


def _market() -> dict[Table, pl.DataFrame]:
    """A candle an hour for every asset that is not a currency."""
    assets = [a for a in ASSETS if a not in ("USD", "EUR")]
    hours = pl.select(
        start=pl.datetime_range(START - timedelta(days=1), END, "1h", closed="left", time_zone="UTC"), recorded_at=pl.lit(START)
    )
    product = pl.DataFrame({"base": assets}).with_columns(product_id=pl.col("base") + "-USD", recorded_at=pl.lit(START))
    price = (pl.col("start").dt.epoch("s") % 99_991 + 1).cast(pl.Decimal(38, 18)) / 100
    candles = product.select("product_id").join(hours, how="cross").with_columns(volume=pl.lit(3).cast(pl.Decimal(38, 18)))
    asked = product.select("product_id").with_columns(since=START - timedelta(days=1), until=END, asked_at=RECORDED, final=pl.lit(True))
    return {
        PRODUCTS: product.with_columns(quote=pl.lit("USD"), status=pl.lit("online"), trading_disabled=pl.lit(False)),
        CANDLES: candles.with_columns(price.alias(name) for name in ("low", "high", "open", "close")),
        CANDLE_COVERAGE: asked.with_columns(recorded_at=pl.lit(START)),
    }


def _write(warehouse: Warehouse, frames: dict[Table, pl.DataFrame]) -> None:
    with warehouse.commit("generated", at=START) as commit:
        for table, frame in frames.items():
            missing = [pl.lit(None, t).alias(n) for n, t in table.schema.items() if n not in frame.columns]
            commit.insert(table, frame.with_columns(missing).cast(table.schema), counts=False)
