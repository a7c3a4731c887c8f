"""A dataset's files → rows of text with their place, or one sentence on what is wrong with the file. No meaning of rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from pipelines.errors import UsageError

Row = tuple[str, Sequence[str]]
MEND = "Mend that row of the dataset, then start again."


def one_of(folder: Path, stem: str, *forms: str) -> Path:
    """The one file of this stem; a dataset has each table once."""
    found = [path for form in forms if (path := folder / f"{stem}.{form}").exists()]
    if len(found) == 1:
        return found[0]
    names = " or ".join(f"{stem}.{form}" for form in forms)
    if found:
        raise UsageError(f"{folder} has both {names}.", "Keep one of them.")
    raise UsageError(f"{folder} has no {names}.", "Name the folder of a dataset, with all its files.")


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"There is no {path}.", "Name the folder of a dataset, with all its files.") from None
    except (OSError, UnicodeDecodeError) as unreadable:
        raise UsageError(f"{path} cannot be read: {unreadable}.", "Mend its rights or its encoding (UTF-8).") from None


def rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Each row's place and its cells, in the order of `columns`; empty text for null."""
    return _csv_rows(path, columns) if path.suffix == ".csv" else _parquet_rows(path, columns)


def wrong(path: Path, place: str, what: str) -> UsageError:
    return UsageError(f"{path}, {place}: {what}.", MEND)


def _csv_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text_of(path)), strict=True)
    begins = 1
    try:
        header = next(reader, [])
        _require_columns(path, header, columns)
        order = [header.index(column) for column in columns]
        begins = reader.line_num + 1
        for cells in reader:
            if len(cells) not in (0, len(header)):
                raise wrong(path, f"line {begins}", f"it has {len(cells)} fields where the header has {len(header)}")
            if cells:
                yield f"line {begins}", [cells[n] for n in order]
            begins = reader.line_num + 1
    except csv.Error as broken:
        raise wrong(path, f"line {begins}", f"it is not CSV ({broken})") from None


def _parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    frame = parquet(path, columns)
    floats = [name for name in columns if frame.schema[name].is_float()]
    if floats:
        raise UsageError(f"{path}: {', '.join(floats)} are floats, which lose digits.", "Write amounts as decimal text.")
    for number, cells in enumerate(frame.select(_text(frame, name) for name in columns).iter_rows(), 1):
        yield f"row {number}", cells


def parquet(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as unreadable:
        raise UsageError(f"{path} cannot be read: {unreadable}.", "Write it again as Parquet.") from None
    _require_columns(path, frame.columns, columns)
    return frame


def _text(frame: pl.DataFrame, name: str) -> pl.Expr:
    column = pl.col(name)
    dtype = frame.schema[name]
    if isinstance(dtype, pl.Datetime):
        utc = column.dt.convert_time_zone("UTC") if dtype.time_zone else column
        column = utc.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f" + ("Z" if dtype.time_zone else ""))
    return column.cast(pl.String).fill_null("")


def _require_columns(path: Path, got: Sequence[str], columns: Sequence[str]) -> None:
    if sorted(got) != sorted(columns):
        raise UsageError(f"{path} has the columns {','.join(got) or 'none'}, not {','.join(columns)}.", "Mend its header.")
