"""faults.toml → what goes wrong, and when. Each kind of fault is one table; a kind that is not known is refused."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipelines.errors import UsageError
from pipelines.sandbox import ledger
from pipelines.sandbox.dataset import Dataset, tables
from pipelines.sandbox.files import text_of
from pipelines.sandbox.values import instant

FILE = "faults.toml"
MEND = "Mend that entry."


@dataclass(frozen=True)
class Late:
    """A row that the venue begins to show only when the data clock reaches `visible_from`."""

    portfolio: str
    code: str
    at: int
    kind: str
    amount: Decimal
    visible_from: int
    restate: bool
    event_id: str = ""


@dataclass(frozen=True)
class Faults:
    """All that goes wrong; nothing by default."""

    late: tuple[Late, ...] = ()


def load(dataset: Dataset, path: Path | None) -> Faults:
    """The faults at `path`, else those in the dataset's folder, else none."""
    beside = dataset.folder / FILE
    if path is None and not beside.exists():
        return Faults()
    path = path or beside
    try:
        told = tomllib.loads(text_of(path), parse_float=Decimal)
    except tomllib.TOMLDecodeError as broken:
        raise UsageError(f"{path} is not TOML: {broken}.", "Mend that line.") from None
    if strange := set(told) - {"late"}:
        raise UsageError(f"{path}: {min(strange)!r} is no fault that the sandbox knows.", "It knows [[late]].")
    return Faults(tuple(_late(path, number, entry, dataset) for number, entry in enumerate(tables(path, told, "late"), 1)))


_REQUIRED: Mapping[str, Callable[[object], bool]] = {
    "portfolio": lambda v: isinstance(v, str),
    "native_code": lambda v: isinstance(v, str) and bool(v),
    "occurred_at": lambda v: isinstance(v, str | datetime),
    "event_type": lambda v: isinstance(v, str) and bool(v),
    "amount": lambda v: isinstance(v, str),
    "visible_from": lambda v: isinstance(v, str | datetime),
    "restate": lambda v: isinstance(v, bool),
}
_OPTIONAL: Mapping[str, Callable[[object], bool]] = {"event_id": lambda v: isinstance(v, str) and v.isdecimal()}


def _late(path: Path, number: int, entry: Mapping[str, Any], dataset: Dataset) -> Late:
    place = f"{path}, [[late]] number {number}"
    bad = [key for key, fits in _REQUIRED.items() if not fits(entry.get(key))]
    bad += [key for key, fits in _OPTIONAL.items() if key in entry and not fits(entry[key])]
    if bad:
        raise UsageError(f"{place}: {bad[0]} is missing or not of its form.", "Instants and amounts are text, restate is true or false.")
    if strange := set(entry) - set(_REQUIRED) - set(_OPTIONAL):
        raise UsageError(f"{place}: {min(strange)!r} is not known.", MEND)
    ledger.require_portfolio(entry["portfolio"], dataset.portfolios, path)
    venue = dataset.portfolios[entry["portfolio"]].venue
    try:
        ledger.require_native(venue, entry["native_code"])
        at = ledger.occurred(_text(entry["occurred_at"]), venue)
        amount = ledger.number("amount", entry["amount"])
        visible_from = instant(_text(entry["visible_from"]))
    except ledger.Malformed as what:
        raise UsageError(f"{place}: {what}.", MEND) from None
    except ValueError:
        raise UsageError(f"{place}: visible_from is not an instant such as 2025-01-31T00:00:00Z.", MEND) from None
    return Late(
        entry["portfolio"], entry["native_code"], at, entry["event_type"], amount, visible_from, entry["restate"], entry.get("event_id", "")
    )


def _text(value: str | datetime) -> str:
    """TOML has instants of its own; they are read like text."""
    return value if isinstance(value, str) else value.isoformat().replace("+00:00", "Z")
