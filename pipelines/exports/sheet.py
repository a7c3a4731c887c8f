"""Statement or roll-forward → XLSX: beside every number, which a spreadsheet keeps to 15 digits, its exact text.

Text cells are written as text, whatever they begin with. The created time is the as-of, so that equal input gives equal bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl
import xlsxwriter  # type: ignore[import-untyped]  # ships no types

from pipelines.exports.display import title
from pipelines.exports.model import FOOTER, INDICATIVE, NO_GAINS, Completeness, Difference, Statement
from pipelines.exports.tabular import Document, about
from pipelines.exports.text import instant, plain

_MOST = 32_000  # characters of a cell; a spreadsheet takes 32,767
_OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}


TITLES: dict[type, str] = {Statement: "Balance statement", Difference: "Difference", Completeness: "Completeness report"}


def sheet(document: Document) -> bytes:
    """The workbook's bytes."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, _OPTIONS) as book:
        heading = document.heading
        book.set_properties({"title": _title(document), "comments": FOOTER, "created": heading.as_of.replace(tzinfo=None)})
        styles = {
            "head": book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"}),
            "number": book.add_format({"num_format": "#,##0.00########"}),
            "printed": book.add_format({"num_format": "#,##0.00#"}),
            "total": book.add_format({"bold": True}),
        }
        _cover(book, document, styles)
        for name, frame in _sheets(document).items():
            _table(book.add_worksheet(name), frame, styles)
    return out.getvalue()


def _title(document: Document) -> str:
    return TITLES.get(type(document), "Roll-forward")


def _sheets(document: Document) -> dict[str, pl.DataFrame]:
    if isinstance(document, Statement):
        return {
            "Statement": document.lines, "Totals": document.totals, "Unpriced": document.unpriced,
            "In transit": document.in_transit, "Adjusted": document.adjusted, "Second totals": document.second_totals,
            "Zero balances": document.zero,
            "Live": document.live, "Portfolios": document.portfolios, "Prices": document.prices, "Policies": document.policies,
        }  # fmt: skip
    if isinstance(document, Completeness):
        return {
            "Accounts": document.accounts, "Population": document.population, "Not configured": document.not_configured,
            "Exceptions": document.exceptions, "Prices": document.prices, "Venue reports": document.reports,
            "Checks": document.checks, "Live": document.live,
        }  # fmt: skip
    if isinstance(document, Difference):
        return {"Changes": document.lines, "Totals": document.totals, "Causes": document.causes}
    return {
        "Roll-forward": document.rows, "Value bridge": document.bridge, "Bridge totals": document.bridge_totals,
        "Prior-period items": document.prior, "Adjustments": document.adjustments, "Own transfers": document.own_transfers,
        "Annex": document.annex,
    }  # fmt: skip


def _cover(book: Any, document: Document, styles: Mapping[str, Any]) -> None:
    page = book.add_worksheet("Cover")
    page.set_column(0, 0, 28)
    page.set_column(1, 1, 100)
    page.write_string(0, 0, _title(document), styles["total"])
    facts = {k: v for k, v in about(document).items() if not isinstance(v, dict)} | dict(getattr(document, "controls", {}))
    words = [(title(key), _said(value)) for key, value in facts.items()]
    for row, (key, value) in enumerate(words, 2):
        page.write_string(row, 0, key)
        page.write_string(row, 1, value)
    for row, sentence in enumerate((INDICATIVE, NO_GAINS, FOOTER), len(words) + 3):
        page.write_string(row, 0, sentence)


def _said(value: object) -> str:
    if isinstance(value, datetime):
        return instant(value)
    return ", ".join(value) if isinstance(value, list) else str(value)


def _table(page: Any, frame: pl.DataFrame, styles: Mapping[str, Any]) -> None:
    """Frozen header, filters; money takes two columns: the number, a value at its currency's minor unit, and the exact text."""
    place = 0
    texts = plain(frame)
    for name in frame.columns:
        if name in ("printed", "minor_units"):
            continue
        exact = isinstance(frame.schema[name], pl.Decimal)
        page.write_string(0, place, title(name), styles["head"])
        if exact:
            rounded = name == "value" and "printed" in frame.columns
            _numbers(page, place, frame["printed" if rounded else name].to_list(), styles["printed" if rounded else "number"])
            place += 1
            page.write_string(0, place, f"{title(name)} (exact)", styles["head"])
        _cells(page, place, texts[name].to_list())
        page.set_column(place - exact, place, 16 if exact else 14)
        place += 1
    page.freeze_panes(1, 0)
    if place:
        page.autofilter(0, 0, max(frame.height, 1), place - 1)


def _numbers(page: Any, column: int, values: Sequence[Decimal | None], style: Any) -> None:
    for row, value in enumerate(values, 1):
        if value is not None:
            page.write_number(row, column, float(value), style)  # a spreadsheet's number is a double; the exact text stands beside it


def _cells(page: Any, column: int, values: Sequence[Any]) -> None:
    for row, value in enumerate(values, 1):
        if isinstance(value, str):
            page.write_string(row, column, value if len(value) <= _MOST else value[:_MOST] + "…")
        elif value is not None:
            page.write_number(row, column, value) if isinstance(value, int) else page.write_string(row, column, str(value))
