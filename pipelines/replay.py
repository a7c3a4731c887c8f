"""Archive + journal → warehouse: archived batches and configurations as used, in the order in which they were recorded.

A run that was killed goes on here, a changed configuration takes effect here, a lost warehouse is built anew here: one path, so that
all three give the same facts, with the same recorded_at. Nobody is asked anything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines import configuring, ingest, proving, rates, reach
from pipelines.archive import Archive
from pipelines.config import Config
from pipelines.errors import MachineError
from pipelines.ingest import Ingested
from pipelines.journal import Journal
from pipelines.stages.ledger import EPOCH
from pipelines.warehouse import Warehouse

KIND = "CONFIGURATION"
NOT_KEPT: dict[str, Any] = {
    "book": {"keep", "lock_wait", "reporting_currency"},
    "prices": {"base_url", "rate", "burst", "timeout"},
    **dict.fromkeys(("portfolio", "pull", "reports", "alerts", "mail", "statements", "rates"), True),
}
"""Parts of a configuration that shape no fact, or whose facts the journal has itself: addresses, keys, limits; rates."""


def catch_up(warehouse: Warehouse, archive: Archive, journal: Journal, config: Config) -> list[Ingested]:
    """All that the warehouse has not seen, ending with `config`, which is noted in the journal where it is new; the batches among it."""
    versions = [(record.recorded_at, record.words["configuration"]) for record in journal.records(KIND)]
    applied = warehouse.sql("SELECT max(recorded_at) AS at FROM commits WHERE what = ?", configuring.CONFIGURATION)["at"][0] or EPOCH
    past = [text for at, text in versions if at <= applied] or [text for _, text in versions[:1]]
    in_force, done = recalled(past[-1]) if past else config, []
    pending: list[tuple[datetime, Config | str]] = [(at, recalled(text)) for at, text in versions if at > applied]
    for at, what in sorted([*pending, *_batches(warehouse, archive)], key=lambda pair: pair[0]):
        if isinstance(what, Config):
            configuring.configure(warehouse, what, at)
            in_force = what
        else:
            done.append(ingest.ingest(warehouse, archive.get(what), in_force))
    if not versions or versions[-1][1] != remembered(config):
        _note(warehouse, journal, recalled(versions[-1][1]) if versions else None, config)
    rates.bring_in(warehouse, journal, config)
    proving.catch_up(warehouse)
    return done


def _batches(warehouse: Warehouse, archive: Archive) -> Iterator[tuple[datetime, str]]:
    newest = warehouse.sql("SELECT max(batch) AS name FROM pages")["name"][0] or ""
    for name in archive.names(after=newest):
        try:
            yield datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC), name
        except ValueError:
            raise MachineError(f"The archive holds a file that is not its own: {name}.parquet.", "Move it elsewhere.") from None


def _note(warehouse: Warehouse, journal: Journal, previous: Config | None, config: Config) -> None:
    """It takes effect and is noted at one instant, or neither; with it, what was closed before."""
    at = max(warehouse.next_instant(), (journal.newest() or EPOCH) + timedelta(microseconds=1))
    words = {"configuration": remembered(config), reach.WORD: reach.noted(warehouse, reach.told(journal), previous, config)}
    configuring.configure(warehouse, config, at, last=lambda commit: journal.append(KIND, "configuration", words, commit.recorded_at))


def remembered(config: Config) -> str:
    """What of a configuration shapes the book, as text; no address, no key, no limit."""
    told = config.model_dump(mode="json", by_alias=True, exclude=NOT_KEPT)
    told["portfolio"] = [{"name": p.name, "entity": p.entity, "venue": p.venue, "owner": p.owner} for p in config.portfolio]
    return json.dumps(told, sort_keys=True)


def recalled(text: str) -> Config:
    """A remembered configuration; it can close a book and ask nobody."""
    told = json.loads(text)
    told["portfolio"] = [portfolio | _nobody(portfolio["venue"], portfolio["name"]) for portfolio in told["portfolio"]]
    return Config.model_validate_json(json.dumps(told))


def _nobody(venue: str, name: str) -> dict[str, str]:
    needed = {"coinbase": ("key", "secret", "passphrase"), "cryptofuse": ("client_id", "client_secret"), "pacifica": ("account",)}[venue]
    return {"base_url": "http://127.0.0.1:1"} | dict.fromkeys(needed, hashlib.sha256(name.encode()).hexdigest())
