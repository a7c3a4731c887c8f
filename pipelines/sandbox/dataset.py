"""A folder of plain files → Dataset, or one sentence on which file is wrong and where. No clock, no wire."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipelines.errors import UsageError
from pipelines.sandbox import candles, ledger
from pipelines.sandbox.files import text_of

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
MEND = "Mend dataset.toml."
PRODUCT = ("id", "base_currency", "quote_currency", "status")


@dataclass(frozen=True)
class Portfolio:
    """What one key opens, with everything that happens to it."""

    name: str
    venue: str
    entity: str
    opening: Mapping[str, Decimal]
    events: Mapping[str, Sequence[ledger.Event]]


@dataclass(frozen=True)
class Dataset:
    """Everything the three venues know, past and future."""

    folder: Path
    name: str
    start: date
    end: date
    portfolios: Mapping[str, Portfolio]
    hours: Mapping[str, candles.Hours]
    products: Sequence[Mapping[str, Any]]
    policies: Sequence[Mapping[str, Any]]

    @property
    def start_instant(self) -> datetime:
        return datetime.combine(self.start, time(), UTC)

    @property
    def end_instant(self) -> datetime:
        return datetime.combine(self.end, time(), UTC)


def load(folder: Path) -> Dataset:
    """The dataset in `folder`; UsageError names the file and the line that is wrong."""
    path = folder / "dataset.toml"
    told = _toml(path)
    declared = [_Declared.read(path, entry) for entry in tables(path, told, "portfolio")]
    if not declared:
        raise UsageError(f"{path} declares no [[portfolio]].", MEND)
    if len({d.name for d in declared}) < len(declared):
        raise UsageError(f"{path} declares two portfolios of one name.", MEND)
    start, end = (_day(path, told, key) for key in ("start", "end"))
    if end <= start:
        raise UsageError(f"{path}: end is exclusive and must lie after start.", MEND)
    events = ledger.read(folder, {d.name: d.venue for d in declared})
    return Dataset(
        folder=folder,
        name=str(told.get("name", folder.name)),
        start=start,
        end=end,
        portfolios={d.name: Portfolio(d.name, d.venue, d.entity, d.opening, events[d.name]) for d in declared},
        hours=candles.read(folder),
        products=_products(folder / "products.json"),
        policies=tables(path, told, "policy"),
    )


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text_of(path), parse_float=Decimal)
    except tomllib.TOMLDecodeError as broken:
        raise UsageError(f"{path} is not TOML: {broken}.", MEND) from None


def tables(path: Path, told: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The entries of [[name]], none where there are none."""
    found: Any = told.get(name, [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise UsageError(f"{path}: {name} is not written as [[{name}]].", MEND)
    return found


def _day(path: Path, told: Mapping[str, Any], key: str) -> date:
    value = told.get(key)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise UsageError(f"{path}: {key} is not a day such as 2025-01-31.", MEND)


@dataclass(frozen=True)
class _Declared:
    """One [[portfolio]] of dataset.toml."""

    name: str
    venue: str
    entity: str
    opening: Mapping[str, Decimal]

    @classmethod
    def read(cls, path: Path, entry: Mapping[str, Any]) -> _Declared:
        name, venue, entity = (entry.get(key, default) for key, default in (("name", ""), ("venue", ""), ("entity", "demo")))
        for key, value in (("name", name), ("entity", entity)):
            if not isinstance(value, str) or not NAME.fullmatch(value) or value == "all":
                raise UsageError(f"{path}: {value!r} cannot be a portfolio's {key}.", "Use a-z, 0-9, - and _, and not 'all'.")
        if venue not in ledger.GRAIN:
            raise UsageError(f"{path}: portfolio {name!r} is at {venue!r}, which is none of {', '.join(ledger.GRAIN)}.", MEND)
        if strange := set(entry) - {"name", "venue", "entity", "opening"}:
            raise UsageError(f"{path}: portfolio {name!r} has the unknown key {min(strange)!r}.", MEND)
        return cls(name, venue, entity, _opening(path, name, venue, entry.get("opening", {})))


def _opening(path: Path, name: str, venue: str, entry: object) -> dict[str, Decimal]:
    """native code → amount; text, so that no digit is lost."""
    if not isinstance(entry, dict) or not all(isinstance(text, str) for text in entry.values()):
        raise UsageError(f"{path}: the opening of {name!r} is not a table of native code to decimal text.", MEND)
    try:
        for code in entry:
            ledger.require_native(venue, code)
        return {code: ledger.number(f"the opening of {code}", text) for code, text in entry.items()}
    except ledger.Malformed as what:
        raise UsageError(f"{path}, portfolio {name!r}: {what}.", MEND) from None


def _products(path: Path) -> list[dict[str, Any]]:
    try:
        found: Any = json.loads(text_of(path))
    except json.JSONDecodeError as broken:
        raise UsageError(f"{path} is not JSON: {broken}.", "Write it as GET /products returns it.") from None
    fits = isinstance(found, list) and all(isinstance(p, dict) and all(isinstance(p.get(key), str) for key in PRODUCT) for p in found)
    if not fits:
        raise UsageError(f"{path} is not a list of products with {', '.join(PRODUCT)}.", "Write it as GET /products returns it.")
    return list(found)
