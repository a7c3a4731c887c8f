"""Rate files → the journal, where they say something new → the table of rates. What is made of a rate is the stages' work.

The journal has it all: a book is built anew without the files. A date whose rate changes, or is no longer there, keeps the rate it had,
with the instants between which it was known.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.config import Config, Rates
from pipelines.errors import ConfigError
from pipelines.journal import Journal
from pipelines.stages import reporting
from pipelines.stages.days import day_end
from pipelines.tables import FLAG, MONEY, RATES
from pipelines.warehouse import Warehouse

KIND = "RATES"
_NEWEST = "SELECT max(greatest(recorded_at, retired_at)) AS newest, max(reporting_currency) AS currency FROM rates"
NO_RATE = ("", "N/A", "-")
Quoted = dict[str, str]
"""Date → the rate as the file has it; empty where it has none."""
_QUOTED = {n: t for n, t in RATES.schema.items() if n != "rate"} | {"quoted": MONEY, "inverse": FLAG}


def bring_in(warehouse: Warehouse, journal: Journal, config: Config) -> None:
    """Note in the journal what the files say that it does not, and make the table what the journal says."""
    for rates in config.rates:
        _note(warehouse, journal, rates, str(config.book.reporting_currency))
    if _is_new(warehouse, journal, config.book.reporting_currency):
        rows = pl.DataFrame(list(_rows(journal, config.book.reporting_currency)), schema=_QUOTED)
        with warehouse.commit("rates") as commit:
            commit.replace(RATES, reporting.rates(rows.lazy()).collect())


def _is_new(warehouse: Warehouse, journal: Journal, reporting_currency: str | None) -> bool:
    """The journal or the configuration says what the table does not."""
    newest, currency = warehouse.sql(_NEWEST).row(0)
    if reporting_currency is None:
        return currency is not None
    noted = max((record.recorded_at for record in journal.records(KIND)), default=None)
    return noted is not None and (newest, currency) != (noted, reporting_currency)


def _note(warehouse: Warehouse, journal: Journal, rates: Rates, reporting_currency: str) -> None:
    if not rates.file.exists() and (known := _known(journal, rates.currency, reporting_currency)):
        return  # a book built anew elsewhere has the journal
    body = _bytes(rates.file)
    about = _about(rates, reporting_currency)
    known = _known(journal, rates.currency, reporting_currency, json.dumps(about, sort_keys=True))
    said = dict(_read(rates.file, body))
    fresh = {day: rate for day, rate in said.items() if known.get(day) != rate} | {
        day: "" for day in known if known[day] and day not in said
    }
    if fresh:
        words = {
            "about": json.dumps(about, sort_keys=True),
            "sha256": hashlib.sha256(body).hexdigest(),
            "rates": json.dumps(fresh, sort_keys=True),
        }
        journal.append(KIND, "configuration", words, warehouse.next_instant())


def _about(rates: Rates, reporting_currency: str) -> dict[str, str | int | bool]:
    told = rates.model_dump(mode="json", exclude={"file"})
    return told | {"reporting_currency": reporting_currency}


def _known(journal: Journal, currency: str, reporting_currency: str, about: str | None = None) -> Quoted:
    """The rates of a pair in force; with `about`, those that were said of just that."""
    found: Quoted = {}
    for record in journal.records(KIND):
        told = json.loads(record.words["about"])
        if (told["currency"], told["reporting_currency"]) == (currency, reporting_currency):
            other = about is not None and record.words["about"] != about
            found |= {day: "another" if other else rate for day, rate in json.loads(record.words["rates"]).items()}
    return found


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as missing:
        raise ConfigError(f"The rates {file} cannot be read: {missing.strerror}.", "Put the file there, or mend [[rates]] file.") from None


def _read(file: Path, body: bytes) -> Iterator[tuple[str, str]]:
    """Dates and rates, each date once, each rate as it was written."""
    try:
        lines = list(csv.reader(body.decode("utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error):
        raise ConfigError(f"The rates {file} are no CSV in UTF-8.", "Save it as one.") from None
    if not lines or [word.strip().lower() for word in lines[0]] != ["date", "rate"]:
        raise ConfigError(f"The rates {file} do not begin with date,rate.", "Write that line first.")
    seen: set[str] = set()
    for number, line in enumerate(lines[1:], 2):
        if line:
            day, rate = _line(f"Line {number} of the rates {file}", line)
            if day in seen:
                raise ConfigError(f"Line {number} of the rates {file} has {day} again.", "Leave one of them.")
            seen.add(day)
            yield day, rate
    if not seen:
        raise ConfigError(f"The rates {file} hold no rate.", "Add at least one.")


def _line(place: str, line: list[str]) -> tuple[str, str]:
    try:
        day, rate = (word.strip() for word in line)
        date.fromisoformat(day)
        if rate in NO_RATE:
            return day, ""
        number = Decimal(rate)
        exponent = number.as_tuple().exponent
        if not (number.is_finite() and 0 < number < 10**18 and isinstance(exponent, int) and exponent >= -18):
            raise ValueError(rate)
    except (ValueError, InvalidOperation):
        raise ConfigError(f"{place} is not a date and a rate.", "Write it as 2025-01-31,1.0353 with at most 18 decimals.") from None
    return day, rate


def _rows(journal: Journal, reporting_currency: str | None) -> Iterator[dict[str, object]]:
    """Each version of each rate into the reporting currency; the one before is retired when the next is recorded."""
    versions: dict[tuple[str, str], dict[str, object]] = {}
    for record in journal.records(KIND):
        told = json.loads(record.words["about"])
        if told["reporting_currency"] != reporting_currency:
            continue
        for day, rate in json.loads(record.words["rates"]).items():
            if before := versions.pop((told["currency"], day), None):
                yield before | {"retired_at": record.recorded_at}
            if rate:
                versions[told["currency"], day] = _row(told, day, rate, record.words["sha256"], record.recorded_at)
    yield from versions.values()


def _row(told: Mapping[str, object], day: str, rate: str, sha256: str, at: datetime) -> dict[str, object]:
    of, quoted = date.fromisoformat(day), Decimal(rate)
    known = day_end(of, ZoneInfo(str(told["timezone"])), time.fromisoformat(str(told["known_at"])))
    plain = {name: told[name] for name in ("currency", "reporting_currency", "document")}
    return plain | {
        "rate_date": of,
        "quoted": quoted,
        "inverse": told["inverse"],
        "known_from": known,
        "last_day": of + timedelta(days=int(str(told["longest"]))),
        "sha256": sha256,
        "recorded_at": at,
    }
