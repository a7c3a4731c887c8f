"""A balance report's CSV → rows, exact. Its header is published nowhere: the configuration says what each column is. No HTTP.

A header that is not wholly known is refused, because a guess about a column of money is worse than none.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

import msgspec

from pipelines.errors import Unreadable
from pipelines.pages import Page
from pipelines.tables import INSTANT, INT, MONEY, TEXT
from pipelines.venues.reading import BadRow, Once, Reading, Row, Values, exact, moment, read

MEND = "Say what it is under [balance_report.columns] in the configuration, or map it to ignore."
NEEDED = ("native_code", "balance")
REPORT = {
    "native_code": TEXT,
    "balance": MONEY,
    "price": MONEY,
    "price_places": INT,
    "currency": TEXT,
    "value": MONEY,
    "as_of": INSTANT,
}


def read_report(page: Page, columns: Mapping[str, str]) -> Reading:
    """`columns`: the file's own header words → ours, or ignore. A row that cannot be read is refused, verbatim."""
    try:
        lines = list(csv.reader(StringIO(page.body.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise Unreadable(f"The balance report for portfolio {page.portfolio} is not CSV.", "Report it to us.") from None
    names = _named(page, lines[0] if lines else [], columns)
    once = Once()

    def parse(row: Row) -> list[Values]:
        cells = lines[row.position + 1]
        if len(cells) != len(names):
            raise BadRow(f"it has {len(cells)} cells under {len(names)} headings")
        values = _values({name: cell.strip() for name, cell in zip(names, cells, strict=True) if name != "ignore"})
        once(values["native_code"])
        return [values]

    return read(REPORT, [Row(page, n, json.dumps(cells).encode()) for n, cells in enumerate(lines[1:]) if cells], parse)


def _named(page: Page, header: Sequence[str], columns: Mapping[str, str]) -> list[str]:
    words = [word.strip() for word in header]
    known = {word.lower(): name for word, name in columns.items()}
    if strange := [word for word in words if word.lower() not in known]:
        raise Unreadable(f"The balance report for portfolio {page.portfolio} has a column {strange[0][:60]!r} that nobody explained.", MEND)
    names = [known[word.lower()] for word in words]
    said = [name for name in names if name != "ignore"]
    if len(set(said)) < len(said) or not set(NEEDED) <= set(said):
        what = f"The balance report for portfolio {page.portfolio} lacks {' or '.join(NEEDED)}, or has one of its columns twice."
        raise Unreadable(what, MEND)
    return names


def _values(cells: Mapping[str, str]) -> dict[str, object]:
    code, price = cells["native_code"].upper(), cells.get("price", "")
    if not code:
        raise BadRow("native_code is empty")
    return {
        "native_code": code,
        "balance": _number("balance", cells["balance"]),
        "price": _number("price", price) if price else None,
        "price_places": len(price.partition(".")[2]) if price else None,
        "currency": cells.get("currency") or None,
        "value": _number("value", cells["value"]) if cells.get("value") else None,
        "as_of": _moment(cells["as_of"]) if cells.get("as_of") else None,
    }


def _number(name: str, text: str) -> Decimal:
    return exact(name, msgspec.Raw(json.dumps(text).encode()))


def _moment(text: str) -> datetime:
    return moment("as_of", msgspec.Raw(json.dumps(text).encode())).astimezone(UTC)
