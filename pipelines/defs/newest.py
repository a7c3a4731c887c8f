"""The newest closed day, as the asset of a daily table shows it: its largest rows, and how value lies and moved by portfolio."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from pipelines import tables
from pipelines.exports import drawing
from pipelines.exports.display import number
from pipelines.exports.text import plain
from pipelines.quality import markdown
from pipelines.stages.totals import printed
from pipelines.warehouse import Warehouse

ROWS = 20
DAYS = 92
BARS = 12
LINES = 6
_LARGEST = {"daily_balances": "balance", "daily_prices": "volume", "daily_values": "value"}
_NEWEST = "(SELECT calendar, day AS newest FROM {table} ORDER BY as_of DESC, calendar LIMIT 1)"
_SUMS = f"""
    SELECT currency, portfolio, day, newest, sum(value) AS value FROM daily_values JOIN accounts USING (account_id)
    JOIN {_NEWEST.format(table="daily_values")} USING (calendar) WHERE value IS NOT NULL AND day > newest - {DAYS} AND day <= newest
    GROUP BY ALL ORDER BY currency, portfolio, day
"""


def largest(warehouse: Warehouse, of: tables.Table) -> dict[str, Any]:
    """The rows of the newest closed day that hold, trade or are worth most."""
    names = "JOIN (SELECT account_id, portfolio, native_code FROM accounts) USING (account_id)" if "account_id" in of.schema else ""
    one_method = f"WHERE method = '{tables.METHOD}'" if "method" in of.schema else ""
    rows = warehouse.sql(
        f"SELECT t.* FROM (SELECT * FROM {of.name} {names} {one_method}) AS t JOIN {_NEWEST.format(table=of.name)} AS n "
        f"ON t.calendar = n.calendar AND t.day = n.newest ORDER BY abs({_LARGEST[of.name]}) DESC NULLS LAST LIMIT {ROWS}"
    )
    first = ["portfolio", "native_code"] if names else []
    shown = rows.select(*first, pl.exclude("account_id", "calendar", "as_of", *first))
    return {"largest": dg.MetadataValue.md(markdown(plain(shown)))}


def by_portfolio(warehouse: Warehouse) -> dict[str, Any]:
    """Currency by currency: bars of the newest closed day, and the days behind it of each of the largest portfolios."""
    sums = printed(warehouse.sql(_SUMS).lazy()).collect()
    drawn = [picture for _, rows in sums.group_by("currency", maintain_order=True) for picture in _drawn(rows)]
    return {"value_by_portfolio": dg.MetadataValue.md("\n\n".join(drawn))}


def _drawn(rows: pl.DataFrame) -> Iterator[str]:
    held = rows.filter(pl.col("day") == pl.col("newest"), pl.col("value") != 0).sort(pl.col("value").abs(), descending=True)
    if held.is_empty():
        return
    currency, day = held.select("currency", "day").row(0)
    yield titled(
        f"Indicative value by portfolio, {currency}, {day}",
        drawing.bars([(r["portfolio"], r["value"], _printed(r)) for r in held.head(BARS).to_dicts()]),
    )
    for portfolio in held["portfolio"].head(LINES):
        yield titled(f"{portfolio}, {currency}", _line(rows.filter(portfolio=portfolio)))


def _line(rows: pl.DataFrame) -> str:
    lowest, highest = (_printed(rows.sort("value").row(end, named=True)) for end in (0, -1))
    return drawing.line(list(rows.select("day", "value").iter_rows()), rows["day"][0], rows["day"][-1], lowest, highest)


def _printed(row: dict[str, Any]) -> str:
    return number(row["printed"], row["minor_units"])


def titled(words: str, svg: str) -> str:
    """A chart as Markdown: the picture is part of the text, so that the page fetches nothing."""
    return f"{words}\n\n![chart](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"
