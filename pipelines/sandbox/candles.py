"""candles.parquet or candles.csv → hours by product, and buckets of hours as a venue shows them at an instant. No HTTP."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import polars as pl

from pipelines.errors import UsageError
from pipelines.sandbox.files import MEND, one_of, parquet, rows
from pipelines.sandbox.values import EXACT, HOUR, plus

NUMBERS = ("low", "high", "open", "close", "volume")
COLUMNS = ("product_id", "time", *NUMBERS)
PLAIN = r"^[0-9]{1,30}(\.[0-9]{1,30})?$"


class Candle(NamedTuple):
    """One bucket; `start` in seconds."""

    start: int
    low: Decimal
    high: Decimal
    open: Decimal
    close: Decimal
    volume: Decimal


class Hours:
    """The hours of one product, oldest first; numbers keep the file's digits until they are asked for."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame.select("time", *NUMBERS)
        self._starts: list[int] = frame["time"].to_list()

    def shown(
        self, now: float, forming: bool, since: int | None = None, until: int | None = None, newest: int | None = None
    ) -> list[Candle]:
        """Hours with since <= start <= until that exist at `now` (seconds), the last `newest` of them."""
        end = bisect_left(self._starts, now) if forming else bisect_right(self._starts, now - HOUR)
        first = 0 if since is None else bisect_left(self._starts, since)
        last = end if until is None else min(end, bisect_right(self._starts, until))
        first = first if newest is None else max(first, last - newest)
        found = [_candle(row) for row in self._frame.slice(first, max(0, last - first)).iter_rows()]
        if found and found[-1].start + HOUR > now:
            found[-1] = _so_far(found[-1], now)
        return found


def _candle(row: Sequence[object]) -> Candle:
    start, *numbers = row
    return Candle(int(str(start)), *(Decimal(n) if isinstance(n, str) else Decimal(repr(n)) for n in numbers))


def _so_far(hour: Candle, now: float) -> Candle:
    """An hour that has begun: its first price is known, the others are not; volume in proportion."""
    share = EXACT.multiply(hour.volume, EXACT.divide(Decimal(int(now - hour.start)), Decimal(HOUR)))
    return hour._replace(low=hour.open, high=hour.open, close=hour.open, volume=share.quantize(Decimal("1e-8")))


def buckets(hours: Iterable[Candle], seconds: int) -> list[Candle]:
    """Hours joined into buckets of whole hours; an empty bucket is no bucket."""
    if seconds == HOUR:
        return list(hours)
    return [_joined(start * seconds, list(group)) for start, group in groupby(hours, lambda hour: hour.start // seconds)]


def _joined(start: int, hours: Sequence[Candle]) -> Candle:
    volume = Decimal(0)
    for hour in hours:
        volume = plus(volume, hour.volume)
    return Candle(start, min(h.low for h in hours), max(h.high for h in hours), hours[0].open, hours[-1].close, volume)


def read(folder: Path) -> dict[str, Hours]:
    """product → its hours."""
    path = one_of(folder, "candles", "parquet", "csv")
    frame = _from_csv(path) if path.suffix == ".csv" else parquet(path, COLUMNS)
    frame = frame.select(COLUMNS).with_row_index("row").with_columns(pl.col("time").cast(pl.Int64, strict=False))
    _require(path, frame)
    frame = frame.sort("product_id", "time")
    return {str(key[0]): Hours(part) for key, part in frame.partition_by("product_id", as_dict=True).items()}


def _from_csv(path: Path) -> pl.DataFrame:
    return pl.DataFrame([cells for _, cells in rows(path, COLUMNS)], schema=dict.fromkeys(COLUMNS, pl.String), orient="row")


def _require(path: Path, frame: pl.DataFrame) -> None:
    """Whole hours, once each, with numbers; else the first row that is not, in words."""
    odd = [name for name in ("product_id", *NUMBERS) if not _type_fits(name, frame.schema[name])]
    if odd:
        raise UsageError(f"{path}: {', '.join(odd)} have a type that candles do not have.", "Write numbers, and product ids as text.")
    rules = {
        "product_id is empty": pl.col("product_id").is_null() | (pl.col("product_id") == ""),
        "time is not a whole hour in Unix seconds": pl.col("time").is_null() | (pl.col("time") % HOUR != 0),
        "this hour of the product stands twice": pl.struct("product_id", "time").is_duplicated(),
    } | {f"{name} is not a number of 0 or more": ~_is_number(name, frame.schema[name]) for name in NUMBERS}
    for what, rule in rules.items():
        if not (found := frame.filter(rule)).is_empty():
            row = int(found["row"].max() if "twice" in what else found["row"].min())  # type: ignore[arg-type]
            place = f"line {row + 2}" if path.suffix == ".csv" else f"row {row + 1}"
            raise UsageError(f"{path}, {place}: {what}.", MEND)


def _type_fits(name: str, dtype: pl.DataType) -> bool:
    return dtype == pl.String if name == "product_id" else dtype.is_numeric() or dtype == pl.String


def _is_number(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype == pl.String:
        return column.str.contains(PLAIN).fill_null(False)
    known = column.is_finite() if dtype.is_float() else column.is_not_null()
    return (known & (column >= 0)).fill_null(False)
