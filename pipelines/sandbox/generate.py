"""A month, or a year, that never was → the folder of a dataset. The same seed writes the same bytes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

from pipelines.errors import MachineError, UsageError
from pipelines.sandbox import market
from pipelines.sandbox.ledger import COLUMNS
from pipelines.sandbox.story import OPENINGS, VENUE_OF, Row, Story
from pipelines.sandbox.values import DAY, HOUR, SECOND, micros, printed

ENTITY = "acme"
LATE_DAYS = 9  # before the end, a bank transfer happens that the venue books on the last day only


def generate(out: Path, days: int, seed: int = 7, end: date = date(2025, 7, 1)) -> None:
    """Write a dataset of `days` days before `end` into `out`."""
    if days < 2:
        raise UsageError(f"A dataset of {days} days is too short.", "Ask for two days or more.")
    first = end - timedelta(days=days)
    start, until = _micros(first), _micros(end)
    delisted_at = (until - max(1, days // 4) * DAY) // SECOND
    told = market.walks(seed, start // SECOND - 48 * HOUR, until // SECOND, delisted_at)
    rows = Story(seed, start, days, market.Prices(told), delisted_at).tell()
    middle = start // SECOND + days // 2 * 24 * HOUR + 3 * HOUR
    texts = {
        "dataset.toml": _declaration(first, end),
        "ledger.csv": _ledger(rows),
        "products.json": json.dumps(market.products(), indent=1) + "\n",
        "faults.toml": _faults(start, until),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (out / name).write_text(text, encoding="utf-8", newline="\n")
        market.frame(market.awkward(told, middle)).write_parquet(out / "candles.parquet")
    except OSError as refused:
        raise MachineError(f"The dataset cannot be written to {out}: {refused.strerror}.", "Name a folder you may write to.") from None


def _micros(day: date) -> int:
    return micros(datetime.combine(day, time(), UTC))


def _declaration(start: date, end: date) -> str:
    head = f'# Invented: six portfolios of one company.\nname = "demo"\nstart = {start}\nend = {end}  # exclusive\n'
    return "\n".join([head, *map(_portfolio, VENUE_OF)])


def _portfolio(name: str) -> str:
    opening = ", ".join(f'{code} = "{amount:f}"' for code, amount in OPENINGS.get(name, {}).items())
    lines = ["[[portfolio]]", f'name = "{name}"', f'venue = "{VENUE_OF[name]}"', f'entity = "{ENTITY}"']
    return "\n".join(lines + ([f"opening = {{ {opening} }}"] if opening else [])) + "\n"


def _ledger(rows: Iterable[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_cells(row) for row in rows)
    return text.getvalue()


def _cells(row: Row) -> Sequence[str]:
    amounts = ("" if number is None else _plain(number) for number in (row.amount, row.balance, row.pending))
    return VENUE_OF[row.portfolio], row.portfolio, row.code, printed(row.at), row.kind, *amounts, row.event_id


def _plain(number: Decimal) -> str:
    return f"{number:f}"


def _faults(start: int, end: int) -> str:
    """One bank transfer that the venue shows with a delay, restating every balance after it."""
    occurred = max(start + 6 * HOUR * SECOND, end - LATE_DAYS * DAY + 10 * HOUR * SECOND + 30 * 60 * SECOND)
    return "\n".join(
        [
            "[[late]]",
            'portfolio = "treasury"',
            'native_code = "USD"',
            f'occurred_at = "{printed(occurred)}"',
            'event_type = "transfer"',
            'amount = "18250.00"',
            f'visible_from = "{printed(end - DAY // 2)}"',
            "restate = true\n",
        ]
    )
