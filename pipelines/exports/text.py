"""Statement rows → CSV, JSON and Markdown text: decimals in full, instants in UTC, empty = null.

RFC 4180 with LF; a number has no exponent and no trailing zeros; an instant has a fraction only where it is not zero.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

import polars as pl

DANGEROUS = r"\A[=+\-@\t\r\n'＝＋－＠]"  # spreadsheets read the wide forms too


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Decimals and instants as the text that is printed; everything else, and every null, as it is."""
    return frame.select(_plain(name, dtype) for name, dtype in frame.schema.items())


def _plain(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Decimal):
        text = column.cast(pl.String)
        return (
            pl.when(text.str.contains(".", literal=True))
            .then(text.str.strip_chars_end("0").str.strip_chars_end("."))
            .otherwise(text)
            .alias(name)
        )
    if isinstance(dtype, pl.Datetime):
        fraction = column.dt.strftime("%.6f").str.strip_chars_end("0").str.strip_chars_end(".")
        return pl.when(column.is_not_null()).then(pl.concat_str(column.dt.strftime("%Y-%m-%dT%H:%M:%S"), fraction, pl.lit("Z"))).alias(name)
    return column


def csv(rows: pl.DataFrame) -> str:
    """Header and rows, no totals."""
    return plain(rows).write_csv(null_value="", line_terminator="\n", quote_style="necessary")


def defused(frame: pl.DataFrame) -> pl.DataFrame:
    """Text that a spreadsheet might run (= + - @ tab CR LF in front) gets a leading apostrophe; numbers, also negative ones, do not.

    Text that begins with an apostrophe gets one more, so that taking one away always gives back what was there.
    """
    text = pl.col(pl.String)
    return frame.with_columns(pl.when(text.str.contains(DANGEROUS)).then(pl.lit("'") + text).otherwise(text).name.keep())


def to_json(about: Mapping[str, object], **lists: pl.DataFrame) -> str:
    """One object: what the document is about, then each list of rows; numbers are text, so that no reader rounds them."""
    body = dict(about) | {name: plain(frame).to_dicts() for name, frame in lists.items()}
    return json.dumps(body, indent=2, ensure_ascii=False, default=_word) + "\n"


def _word(value: object) -> str:
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, (date, Decimal)):
        return str(value)
    raise TypeError(f"{type(value)} has no place in a document")


def instant(moment: datetime) -> str:
    """RFC 3339 in UTC, seconds, with a fraction only where it is not zero."""
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else "") + "Z"
