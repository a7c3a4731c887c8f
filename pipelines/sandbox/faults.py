"""faults.toml → what goes wrong, and when. Each kind of fault is one table; a kind or a key that is not known is refused.

What is shown (decided by the data clock, so every client sees the same):
    [[late]]             a row appears at visible_from: portfolio, native_code, occurred_at, event_type, amount, visible_from,
                         restate (true: every later balance-after moves with it), optional event_id
    [[restated_candle]]  an hour has other numbers from visible_from on: product_id, start, close, volume, visible_from
    [[missing_candles]]  hours are left out until visible_from: product_id, since, until (exclusive), visible_from

What happens on the way (decided by counting requests whose path holds `path`):
    [[latency]]          seconds before the reply            [[drip]]              seconds over which the reply trickles
    [[storm]]            429, optional retry_after           [[failure]]           5xx, optional status
    [[reset]]            the connection ends without reply   [[truncated]]         the reply ends half-way
    [[garbage]]          200 and no JSON                     [[shape]]             200 and a shape nobody published
    [[empty]]            200 and no rows                     [[duplicate]]         the page's newest row stands twice
    [[unknown_event]]    the newest row's type is `name`     [[unknown_currency]]  the newest row's currency is `name`
    [[expired_token]]    401, the token is too old           [[skew]]              the venue's wire clock is off by seconds
    [[expired_report]]   a report, or with path "/reports/" its order, is gone before its time
    [[drift]]            the data clock moves on by seconds before the reply: events arrive during a walk
Each takes path (default: every path; of expired_report: where the files lie), after (so many are spared first, default 0), times (how
many are hit, default 1; 0: all of them) and chance (default 1). `seed` at the top of the file makes chance come out the same each time.
"""

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
from pipelines.sandbox.candles import Candle
from pipelines.sandbox.dataset import Dataset, tables
from pipelines.sandbox.files import text_of
from pipelines.sandbox.values import HOUR, SECOND, instant

FILE = "faults.toml"
MEND = "Mend that entry."
ON_THE_WAY: Mapping[str, tuple[str, ...]] = {
    "latency": ("seconds",), "drip": ("seconds",), "storm": (), "failure": (), "reset": (), "truncated": (), "garbage": (), "shape": (),
    "empty": (), "duplicate": (), "unknown_event": (), "unknown_currency": (), "expired_token": (), "skew": ("seconds",),
    "drift": ("seconds",), "expired_report": (),
}  # fmt: skip
"""What happens to a request or its reply, with the keys that must be given."""
USUAL_PATH: Mapping[str, Mapping[str, Any]] = {"expired_report": {"path": "/report-files/"}}
SHOWN = ("late", "restated_candle", "missing_candles")


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
class Restated:
    """An hour whose close and volume are others from `visible_from` on; `start` in seconds."""

    product: str
    start: int
    close: Decimal
    volume: Decimal
    visible_from: int


@dataclass(frozen=True)
class Missing:
    """Hours with since <= start < until, in seconds, that are left out before `visible_from`."""

    product: str
    since: int
    until: int
    visible_from: int


@dataclass(frozen=True)
class OnTheWay:
    """What happens to requests whose path holds `path`, or to their replies."""

    kind: str
    path: str = "/"
    after: int = 0
    times: int = 1
    chance: float = 1.0
    seconds: float = 0.0
    status: int = 503
    retry_after: int | None = None
    name: str = "wormhole"


@dataclass(frozen=True)
class Faults:
    """All that goes wrong; nothing by default."""

    late: tuple[Late, ...] = ()
    restated: tuple[Restated, ...] = ()
    missing: tuple[Missing, ...] = ()
    on_the_way: tuple[OnTheWay, ...] = ()
    seed: int = 0

    def candles(self, product: str, hours: list[Candle], now: int) -> list[Candle]:
        """Hours of a product as they are shown at the data clock's `now`."""
        gone = [m for m in self.missing if m.product == product and now < m.visible_from]
        other = {r.start: r for r in self.restated if r.product == product and r.visible_from <= now}
        shown = [hour for hour in hours if not any(m.since <= hour.start < m.until for m in gone)]
        return [hour._replace(close=r.close, volume=r.volume) if (r := other.get(hour.start)) else hour for hour in shown]


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
    if strange := set(told) - {*SHOWN, *ON_THE_WAY, "seed"}:
        known = ", ".join(f"[[{kind}]]" for kind in (*SHOWN, *ON_THE_WAY))
        raise UsageError(f"{path}: {min(strange)!r} is no fault that the sandbox knows.", f"It knows {known}.")
    if not isinstance(told.get("seed", 0), int):
        raise UsageError(f"{path}: seed is not a whole number.", MEND)
    return Faults(
        late=tuple(_late(entry, dataset) for entry in _entries(path, told, "late", _LATE)),
        restated=tuple(_restated(entry, dataset) for entry in _entries(path, told, "restated_candle", _RESTATED)),
        missing=tuple(_missing(entry, dataset) for entry in _entries(path, told, "missing_candles", _MISSING)),
        on_the_way=tuple(_on_the_way(kind, entry) for kind in ON_THE_WAY for entry in _entries(path, told, kind, _forms(kind), _WHEN)),
        seed=told.get("seed", 0),
    )


Form = Callable[[object], bool]


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _moment(value: object) -> bool:
    return isinstance(value, str | datetime)


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _number(value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


_LATE: Mapping[str, Form] = {
    "portfolio": lambda v: isinstance(v, str),
    "native_code": _text,
    "occurred_at": _moment,
    "event_type": _text,
    "amount": lambda v: isinstance(v, str),
    "visible_from": _moment,
    "restate": lambda v: isinstance(v, bool),
}
_LATE_TOO: Mapping[str, Form] = {"event_id": lambda v: isinstance(v, str) and v.isdecimal()}
_RESTATED: Mapping[str, Form] = {"product_id": _text, "start": _moment, "close": _text, "volume": _text, "visible_from": _moment}
_MISSING: Mapping[str, Form] = {"product_id": _text, "since": _moment, "until": _moment, "visible_from": _moment}
_WHEN: Mapping[str, Form] = {
    "path": lambda v: isinstance(v, str) and v.startswith("/"),
    "after": _count,
    "times": _count,
    "chance": lambda v: _number(v) and 0 <= v <= 1,  # type: ignore[operator]  # a number by then
    "seconds": _number,
    "status": lambda v: isinstance(v, int) and 500 <= v <= 599,
    "retry_after": _count,
    "name": _text,
}


def _forms(kind: str) -> Mapping[str, Form]:
    return {key: _WHEN[key] for key in ON_THE_WAY[kind]}


@dataclass(frozen=True)
class _Entry:
    """One table of the file, its keys known and of their form; `place` says which it is."""

    place: str
    path: Path
    values: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def wrong(self, what: object) -> UsageError:
        return UsageError(f"{self.place}: {what}.", MEND)

    def instant(self, key: str) -> int:
        """Microseconds. TOML has instants of its own; they are read like text."""
        value = self.values[key]
        try:
            return instant(value if isinstance(value, str) else value.isoformat().replace("+00:00", "Z"))
        except ValueError:
            raise self.wrong(f"{key} is not an instant such as 2025-01-31T00:00:00Z") from None

    def hour(self, key: str) -> int:
        """Seconds of a whole hour."""
        at = self.instant(key)
        if at % (HOUR * SECOND):
            raise self.wrong(f"{key} is not a whole hour")
        return at // SECOND

    def number(self, key: str) -> Decimal:
        try:
            return ledger.number(key, self.values[key])
        except ledger.Malformed as what:
            raise self.wrong(what) from None


def _entries(
    path: Path, told: Mapping[str, Any], kind: str, must: Mapping[str, Form], may: Mapping[str, Form] | None = None
) -> list[_Entry]:
    may = may or (_LATE_TOO if kind == "late" else {})
    return [_entry(f"{path}, [[{kind}]] number {n}", path, e, must, may) for n, e in enumerate(tables(path, told, kind), 1)]


def _entry(place: str, path: Path, entry: Mapping[str, Any], must: Mapping[str, Form], may: Mapping[str, Form]) -> _Entry:
    bad = [key for key, fits in must.items() if not fits(entry.get(key))]
    bad += [key for key, fits in may.items() if key in entry and key not in must and not fits(entry[key])]
    if bad:
        raise UsageError(
            f"{place}: {bad[0]} is missing or not of its form.",
            "Instants and amounts are text, restate is true or false, the rest numbers.",
        )
    if strange := set(entry) - set(must) - set(may):
        raise UsageError(f"{place}: {min(strange)!r} is not known.", MEND)
    return _Entry(place, path, entry)


def _late(entry: _Entry, dataset: Dataset) -> Late:
    ledger.require_portfolio(entry["portfolio"], dataset.portfolios, entry.path)
    venue = dataset.portfolios[entry["portfolio"]].venue
    occurred_at = entry["occurred_at"]
    try:
        ledger.require_native(venue, entry["native_code"])
        text = occurred_at if isinstance(occurred_at, str) else occurred_at.isoformat().replace("+00:00", "Z")
        at = ledger.occurred(text, venue)
    except ledger.Malformed as what:
        raise entry.wrong(what) from None
    return Late(
        portfolio=entry["portfolio"],
        code=entry["native_code"],
        at=at,
        kind=entry["event_type"],
        amount=entry.number("amount"),
        visible_from=entry.instant("visible_from"),
        restate=entry["restate"],
        event_id=entry.values.get("event_id", ""),
    )


def _product(entry: _Entry, dataset: Dataset) -> str:
    product = str(entry["product_id"])
    if product not in dataset.hours:
        raise entry.wrong(f"product_id {product!r} has no candles in the dataset")
    return product


def _restated(entry: _Entry, dataset: Dataset) -> Restated:
    numbers = entry.number("close"), entry.number("volume")
    return Restated(_product(entry, dataset), entry.hour("start"), *numbers, entry.instant("visible_from"))


def _missing(entry: _Entry, dataset: Dataset) -> Missing:
    return Missing(_product(entry, dataset), entry.hour("since"), entry.hour("until"), entry.instant("visible_from"))


def _on_the_way(kind: str, entry: _Entry) -> OnTheWay:
    floats = {key: float(entry[key]) for key in ("chance", "seconds") if key in entry.values}
    return OnTheWay(kind, **{**USUAL_PATH.get(kind, {}), **entry.values, **floats})
