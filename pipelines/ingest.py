"""An archived batch → facts in the warehouse, in one transaction. Which batches, and in what order, is `replay`'s work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from pipelines import accounts, dirty, proving, walks
from pipelines.archive import Archived
from pipelines.config import Config
from pipelines.errors import ContractError, Unreadable
from pipelines.pages import Batch
from pipelines.stages import ledger
from pipelines.stages.prices import QUOTE
from pipelines.tables import (
    CANDLE_COVERAGE,
    CANDLES,
    INSTANT,
    INT,
    PAGES,
    POSTINGS,
    PRODUCTS,
    PULLS,
    SUSPENSE,
    TEXT,
    TIE_OUTS,
    VENUE_BALANCES,
    VENUE_CODES,
    VENUE_PORTFOLIOS,
)  # fmt: skip
from pipelines.venues import wire
from pipelines.warehouse import Commit, Warehouse

DAY = timedelta(hours=24)


@dataclass(frozen=True)
class Ingested:
    """One batch, committed; `error` where a page of it could not be read and waits in suspense."""

    batch: Batch
    error: str = ""


def ingest(warehouse: Warehouse, archived: Archived, config: Config) -> Ingested:
    """One that cannot be read stops none of the others: it waits in suspense."""
    try:
        with warehouse.commit(f"batch {archived.name}", at=archived.recorded_at) as commit:
            _index_pages(commit, archived)
            _KINDS[archived.batch.kind](warehouse, commit, archived, config)
    except Unreadable as error:
        with warehouse.commit(f"unreadable batch {archived.name}", at=archived.recorded_at) as commit:
            _index_pages(commit, archived)
            _suspend(warehouse, commit, archived.batch, _whole_batch(archived, error))
        return Ingested(archived.batch, str(error))
    return Ingested(archived.batch)


def _whole_batch(archived: Archived, error: Unreadable) -> pl.DataFrame:
    """Suspense for pages that cannot be read: the words are in the archive, under the first page's hash."""
    row = {"native_code": None, "reason": str(error), "row": archived.name, "page_sha256": archived.batch.pages[0].sha256, "position": 0}
    return pl.DataFrame([row], schema={"native_code": TEXT, "reason": TEXT, "row": TEXT, "page_sha256": TEXT, "position": INT})


def _index_pages(commit: Commit, archived: Archived) -> None:
    rows = [
        {"batch": archived.name, "position": i, "recorded_at": commit.recorded_at}
        | {f: getattr(page, f) for f in ("venue", "portfolio", "endpoint", "request", "fetched_at", "sha256")}
        for i, page in enumerate(archived.batch.pages)
    ]
    commit.insert(PAGES, PAGES.frame(rows), counts=False)


def _balances(warehouse: Warehouse, commit: Commit, archived: Archived, config: Config) -> None:
    batch = archived.batch
    venue_id, reading = wire.read_balances(batch.venue, batch.pages)
    accounts.bind(warehouse, commit, batch, venue_id)
    codes = reading.rows.filter(pl.col("scope") == "account").select("native_code", "venue_account_id")
    accounts.register(warehouse, commit, batch.portfolio, batch.venue, codes, config)
    frame = reading.rows.select(pl.lit(batch.portfolio).alias("portfolio"), "native_code", "scope", "amount", asked_at=_lit(batch.asked_at))
    newest = warehouse.sql(
        "SELECT native_code, scope, amount FROM venue_balances WHERE portfolio = ? "
        "QUALIFY row_number() OVER (PARTITION BY native_code, scope ORDER BY recorded_at DESC) = 1",
        batch.portfolio,
    )
    moved = frame.join(newest, on=["native_code", "scope", "amount"], how="anti", maintain_order="left")
    commit.insert(VENUE_BALANCES, moved)
    commit.insert(VENUE_BALANCES, frame.join(moved, on=["native_code", "scope"], how="anti", maintain_order="left"), counts=False)
    _suspend(warehouse, commit, batch, reading.refused)
    _move_watermarks(warehouse, commit, archived, "ACCOUNT", accounts.never_used(warehouse, batch.portfolio))


def _history(warehouse: Warehouse, commit: Commit, archived: Archived, config: Config) -> None:
    batch = archived.batch
    accounts.bind(warehouse, commit, batch)
    codes = pl.concat([_named(batch), wire.read_history(batch.venue, batch.pages).rows.select("native_code", "venue_account_id")])
    known = accounts.register(warehouse, commit, batch.portfolio, batch.venue, codes, config)
    walk = walks.read(warehouse, batch, known)
    if walk.unattached:
        raise ContractError(f"{walk.unattached} rows of the batch {archived.name} belong to no account.")
    fresh, gone = ledger.fresh(walk.shown, walk.known), ledger.gone(walk.shown, walk.known)
    commit.retire(POSTINGS, gone)
    commit.insert(POSTINGS, fresh)
    _suspend(warehouse, commit, batch, walk.refused)
    _count(warehouse, commit, batch, walk)
    walked = walks.walked(batch, known)
    _move_watermarks(warehouse, commit, archived, "ACCOUNT", walked)
    if batch.since is None:
        _move_watermarks(warehouse, commit, archived, "WHOLE", pl.DataFrame({"native_code": [batch.subject]}))
    accounts.open_accounts(warehouse, commit, walked, config)
    changed = pl.concat([fresh.select("account_id", "occurred_at"), gone.select("account_id", "occurred_at")])
    ranges = changed.group_by("account_id").agg(since=pl.col("occurred_at").min())
    dirty.mark(warehouse, commit, "ACCOUNT", ranges.rename({"account_id": "subject"}), "postings changed")


def _count(warehouse: Warehouse, commit: Commit, batch: Batch, walk: walks.Walk) -> None:
    """The venue's own count of entries beside ours, where it gives one; rows that wait in suspense are left out of both."""
    if walk.unread is not None:
        entries = {"theirs": walk.unread + walk.shown.height, "ours": walk.known_before + walk.shown.height}
        outcome = "AGREES" if walk.unread == walk.known_before else "DIFFERS"
        row = {"portfolio": batch.portfolio, "native_code": "", "kind": "ENTRIES", "outcome": outcome, "asked_at": batch.asked_at}
        schema = {name: dtype for name, dtype in TIE_OUTS.schema.items() if name != "recorded_at"}
        proving.record(warehouse, commit, pl.DataFrame([row | entries], schema=schema))


def _named(batch: Batch) -> pl.DataFrame:
    """The code that the walk is of, where it is of one."""
    return pl.DataFrame({"native_code": [batch.subject or None], "venue_account_id": [None]}, schema=accounts.CODES)


def _move_watermarks(warehouse: Warehouse, commit: Commit, archived: Archived, kind: str, subjects: pl.DataFrame) -> None:
    """One newer watermark per subject read; days closed beyond the old one were stale and are closed again."""
    batch = archived.batch
    name = "product_id" if kind == "PRODUCT" else "native_code"
    old = warehouse.sql(
        "SELECT subject, max(read_through) AS was FROM pulls WHERE kind = ? AND portfolio = ? GROUP BY subject", kind, batch.portfolio
    )
    moved = (
        subjects.join(old, left_on=name, right_on="subject", how="left", maintain_order="left")
        .filter(pl.col("was").is_null() | (pl.col("was") < batch.until))
        .select(
            kind=pl.lit(kind),
            portfolio=pl.lit(batch.portfolio),
            subject=pl.col(name),
            was=pl.col("was"),
            account=_account_or_null(subjects),
        )
    )
    mark = {"read_through": _lit(batch.until), "asked_at": _lit(batch.asked_at), "batch": pl.lit(archived.name)}
    commit.insert(PULLS, moved.drop("was", "account").with_columns(**mark))
    if kind == "ACCOUNT":
        stale = moved.select(subject="account", since=pl.col("was").fill_null(ledger.EPOCH))
        dirty.mark(warehouse, commit, kind, stale, "read further")


def _account_or_null(subjects: pl.DataFrame) -> pl.Expr:
    return pl.col("account_id") if "account_id" in subjects.columns else pl.lit(None, INT)


def _suspend(warehouse: Warehouse, commit: Commit, batch: Batch, refused: pl.DataFrame) -> None:
    """Refused rows, once each."""
    known = warehouse.read(SUSPENSE)
    frame = refused.select(pl.lit(batch.venue).alias("venue"), pl.lit(batch.portfolio).alias("portfolio"), *refused.columns)
    repeated = ["venue", "portfolio", "native_code", "reason", "row"]
    commit.insert(SUSPENSE, frame.unique(repeated, maintain_order=True).join(known, on=repeated, how="anti", nulls_equal=True))


def _products(warehouse: Warehouse, commit: Commit, archived: Archived, config: Config) -> None:
    reading = wire.read_products(archived.batch.pages[0])
    current = warehouse.sql("SELECT DISTINCT ON (product_id) * FROM products ORDER BY product_id, recorded_at DESC")
    facts = [c for c in PRODUCTS.schema if c != "recorded_at"]
    new = reading.rows.select(facts).join(current, on=facts, how="anti", maintain_order="left")
    commit.insert(PRODUCTS, new)
    _suspend(warehouse, commit, archived.batch, reading.refused)
    held = warehouse.sql("SELECT asset FROM accounts UNION SELECT same_as FROM policies ORDER BY 1")["asset"].drop_nulls()
    priced = new.filter(pl.col("quote") == QUOTE, pl.col("base").is_in(held.implode()))
    first = current.is_empty()  # the first list says of every asset whether it has a pair
    changed = held if first else priced["base"].unique(maintain_order=True)
    dirty.since_ever(warehouse, commit, "ASSET", changed, "market changed")
    accounts.relabel(warehouse, commit, config)


def _candles(warehouse: Warehouse, commit: Commit, archived: Archived, config: Config) -> None:
    batch = archived.batch
    reading = wire.read_candles(batch.pages)
    since = batch.since or ledger.EPOCH
    facts = [c for c in CANDLES.schema if c not in ("recorded_at", "retired_at")]
    window = (pl.col("start") >= since) & (pl.col("start") < batch.until)
    shown = reading.rows.filter(window).select(facts)
    known = warehouse.read(CANDLES, "retired_at IS NULL AND product_id = ? AND start >= ? AND start < ?", batch.subject, since, batch.until)
    fresh = shown.join(known, on=facts, how="anti", maintain_order="left").sort("start")
    first = warehouse.sql("SELECT min(start) AS start FROM candles WHERE product_id = ? AND retired_at IS NULL", batch.subject)["start"][0]
    commit.retire(CANDLES, known.join(fresh, on="start", how="semi"))  # an hour left out is one of the venue's holes: it unsays nothing
    commit.insert(CANDLES, fresh.with_columns(retired_at=pl.lit(None, INSTANT)))
    _suspend(warehouse, commit, batch, reading.refused)
    asked_before = _asked_before(warehouse, batch.subject, since, batch.until)
    cover = {
        "product_id": batch.subject,
        "since": since,
        "until": batch.until,
        "asked_at": batch.asked_at,
        "final": batch.asked_at >= batch.until + timedelta(minutes=config.prices.finality_minutes),
        "recorded_at": commit.recorded_at,
    }
    commit.insert(CANDLE_COVERAGE, CANDLE_COVERAGE.frame([cover]), counts=not asked_before)
    _move_watermarks(warehouse, commit, archived, "PRODUCT", pl.DataFrame({"product_id": [batch.subject]}))
    base = warehouse.sql("SELECT max(base) AS base FROM products WHERE product_id = ?", batch.subject)["base"][0]
    begins = fresh["start"].min() if asked_before else since
    if fresh.height and (first is None or fresh["start"][0] < first):
        begins = ledger.EPOCH  # days before it were called NOT_YET_LISTED because of the first one known, or NO_CANDLES for want of one
    ranges = [{"subject": base, "since": begins, "until": batch.until + DAY}] if base and begins else []
    dirty.mark(
        warehouse, commit, "ASSET", pl.DataFrame(ranges, schema={"subject": TEXT, "since": INSTANT, "until": INSTANT}), "candles read"
    )


def _asked_before(warehouse: Warehouse, product: str, since: datetime, until: datetime) -> bool:
    """Every hour of the window has had a final answer already."""
    covered = warehouse.sql(
        "SELECT since, until FROM candle_coverage WHERE final AND product_id = ? AND until > ? ORDER BY since", product, since
    )
    for start, end in covered.iter_rows():
        if start > since:
            return False
        since = max(since, end)
    return since >= until


def _currencies(warehouse: Warehouse, commit: Commit, archived: Archived, config: Config) -> None:
    reading = wire.read_currencies(archived.batch.pages[0])
    frame = reading.rows.select(pl.lit(archived.batch.venue).alias("venue"), "native_code", "asset", "network")
    commit.replace(VENUE_CODES, frame, f"venue = '{archived.batch.venue}'")
    accounts.relabel(warehouse, commit, config)
    _suspend(warehouse, commit, archived.batch, reading.refused)


def _population(warehouse: Warehouse, commit: Commit, archived: Archived, _: Config) -> None:
    batch = archived.batch
    reading = wire.read_population(batch.pages)
    known = warehouse.read(VENUE_PORTFOLIOS, "retired_at IS NULL AND seen_by = ?", batch.portfolio)
    shown = reading.rows.unique("venue_id", keep="last", maintain_order=True).select(
        venue=pl.lit(batch.venue), seen_by=pl.lit(batch.portfolio), venue_id="venue_id", name="name", retired_at=pl.lit(None, INSTANT)
    )
    said = ["venue", "seen_by", "venue_id", "name"]
    commit.retire(VENUE_PORTFOLIOS, known.join(shown, on=said, how="anti"))
    commit.insert(VENUE_PORTFOLIOS, shown.join(known, on=said, how="anti", maintain_order="left"))
    _suspend(warehouse, commit, batch, reading.refused)


def _lit(moment: datetime) -> pl.Expr:
    return pl.lit(moment).cast(INSTANT)


_Kind = Callable[[Warehouse, Commit, Archived, Config], None]
_KINDS: dict[str, _Kind] = {
    "BALANCES": _balances,
    "HISTORY": _history,
    "PRODUCTS": _products,
    "CANDLES": _candles,
    "CURRENCIES": _currencies,
    "POPULATION": _population,
    "REPORT": lambda *_: None,  # the venue's own report is compared with the book, and is no part of it
}
