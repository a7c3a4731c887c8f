"""Tests read like the ledger: text tables → frames."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl

from pipelines.tables import DAY, FLAG, INSTANT, INT, LONG, MONEY, Table

D = Decimal


def instant(text: str) -> datetime:
    """`2025-01-01` or RFC 3339 → aware UTC."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_READ = {
    MONEY: Decimal,
    INSTANT: instant,
    DAY: date.fromisoformat,
    INT: int,
    LONG: int,
    FLAG: lambda text: text == "true",
}


def rows(table: Table, text: str, **everywhere: object) -> pl.DataFrame:
    """A `|`-separated text table, header first, `#` comments, empty or `-` = null → a conformed frame of `table`.

    `everywhere` fills columns that the text leaves out.
    """
    lines = [line.split("#")[0].strip() for line in text.strip().splitlines()]
    header, *body = [[cell.strip() for cell in line.split("|")] for line in lines if line]
    schema = dict(table.schema)
    read = [
        dict(everywhere) | {n: None if c in ("", "-") else _READ.get(schema[n], str)(c) for n, c in zip(header, cells, strict=True)}
        for cells in body
    ]
    return table.frame(read)
