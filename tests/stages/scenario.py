"""What the stage tests share: the views they take besides tables, days, hours of trading."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl

from pipelines.stages.days import days
from pipelines.tables import CALENDARS, CANDLE_COVERAGE, CANDLES, INSTANT, INT, OPENINGS, POSTINGS, TEXT, Column, Table
from tests.ledger_text import D, instant, rows

KNOWN = instant("2030-01-01")  # recorded_at where it does not matter
ACCOUNT_VIEW = Table(
    "account_view",
    "accounts with their portfolio's entity and venue",
    ("account_id",),
    (
        Column("account_id", INT, ""),
        Column("entity", TEXT, ""),
        Column("venue", TEXT, ""),
        Column("portfolio", TEXT, ""),
        Column("native_code", TEXT, ""),
        Column("asset", TEXT, "", null=True),
        Column("network", TEXT, "", null=True),
        Column("asset_class", TEXT, ""),
    ),
)
WATERMARKS = Table("watermarks", "", ("account_id",), (Column("account_id", INT, ""), Column("read_through", INSTANT, "")))
ASSETS = Table("assets", "", ("asset",), (Column("asset", TEXT, ""), Column("asset_class", TEXT, "")))

CALENDAR_ROWS = rows(
    CALENDARS,
    """
    calendar | timezone         | cut_off
    utc      | UTC              | 00:00
    new_york | America/New_York | 17:00
    kolkata  | Asia/Kolkata     | 00:00
    """,
)


def calendar_days(calendar: str, first: str, last: str | None = None) -> pl.LazyFrame:
    chosen = CALENDAR_ROWS.filter(pl.col("calendar") == calendar)
    return days(chosen, date.fromisoformat(first), date.fromisoformat(last or first)).lazy()


def accounts(text: str) -> pl.LazyFrame:
    usual = {"entity": "acme", "venue": "coinbase", "portfolio": "desk", "asset_class": "crypto"}
    return rows(ACCOUNT_VIEW, text, **usual).lazy()


def postings(text: str) -> pl.LazyFrame:
    return rows(POSTINGS, text, position=0, event_type="match", recorded_at=KNOWN, page_sha256="page").lazy()


def openings(text: str) -> pl.LazyFrame:
    return rows(OPENINGS, text, recorded_at=KNOWN).lazy()


def watermarks(text: str) -> pl.LazyFrame:
    return rows(WATERMARKS, text).lazy()


def candle(product_id: str, start: datetime, close: str, volume: str) -> dict[str, object]:
    price = D(close)
    return {
        "product_id": product_id,
        "start": start,
        "low": price,
        "high": price,
        "open": price,
        "close": price,
        "volume": D(volume),
        "recorded_at": KNOWN,
    }


def hourly(product_id: str, since: str, until: str, close: str = "100", volume: str = "1") -> list[dict[str, object]]:
    """A candle for every hour that starts from `since` to before `until`."""
    first, hours = instant(since), int((instant(until) - instant(since)) / timedelta(hours=1))
    return [candle(product_id, first + n * timedelta(hours=1), close, volume) for n in range(hours)]


def candles(*groups: list[dict[str, object]]) -> pl.LazyFrame:
    return CANDLES.frame([row for group in groups for row in group]).lazy()


def coverage(text: str) -> pl.LazyFrame:
    return rows(CANDLE_COVERAGE, text, asked_at=KNOWN, final=True, recorded_at=KNOWN).lazy()
