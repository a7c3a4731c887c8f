"""`closebook doctor`: what is wrong and what to do. It asks, and changes nothing."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from pipelines import lateness, publications, venues
from pipelines.archive import Archive
from pipelines.config import Config, Portfolio, is_loopback, load
from pipelines.errors import ClosebookError, ConfigError, MachineError, Outdated, Refused, UsageError
from pipelines.home import LEAST_FREE, Home, holder
from pipelines.reports.desk import Desk
from pipelines.reports.keys import KeyRing
from pipelines.reports.store import DATABASE, Store
from pipelines.venues import wire
from pipelines.warehouse import batches, now

BRIEF = venues.Patience(attempts=2)  # somebody is waiting for the answer


@dataclass(frozen=True)
class Finding:
    """One thing looked at; exit code 0 when it is well."""

    subject: str
    said: str
    exit_code: int = 0


def examine(config_path: Path, home: Home) -> Iterator[Finding]:
    """Configuration, home, disk, lock, publication, venues, reports, in this order."""
    yield from _home(home)
    try:
        config = load(config_path)
    except ConfigError as error:
        yield Finding("configuration", str(error), error.exit_code)
        return
    yield Finding("configuration", f"{config_path}: {len(config.portfolio)} portfolios, from {config.book.start}")
    yield from asyncio.run(_venues(home, config))
    yield from _unpriced(home)
    yield from _reports(home, config)


def _home(home: Home) -> Iterator[Finding]:
    try:
        kind = home.owner()
    except ClosebookError as error:
        yield Finding("home", str(error), error.exit_code)
        return
    yield Finding("home", f"{home.root} is a {kind}'s" if kind else f"{home.root} is not in use yet")
    if not home.root.exists():
        return
    free = shutil.disk_usage(home.root).free
    yield Finding("disk", f"{free >> 20} MiB free", 0 if free > LEAST_FREE else MachineError.exit_code)
    yield Finding("lock", f"held by {who}" if (who := holder(home)) else "free")
    try:
        with publications.newest(home) as newest:
            yield Finding("publication", f"number {newest.facts()['publication_id']}, knows all up to {newest.facts()['known_through']}")
    except (UsageError, Outdated) as error:
        yield Finding("publication", str(error))
    if told := lateness.ahead(home, now()):
        yield Finding("clock", told, MachineError.exit_code)
    yield from _kept(home)
    yield from _archive(home)


def _kept(home: Home) -> Iterator[Finding]:
    """The publications that days were locked with: there, and readable."""
    for number in sorted(map(int, publications.locked(home))):
        try:
            with publications.version(home, number):
                pass
        except ClosebookError as error:
            yield Finding("locked days", str(error), error.exit_code)


def _archive(home: Home) -> Iterator[Finding]:
    """Every batch of it, read and held against its hash; and whether all are there that the newest publication was made from."""
    archive, made_from = Archive(home.archive), batches(home.publication)  # in this order: a run may add to both
    faults = [Finding("archive", str(fault), fault.exit_code) for fault in archive.faults(made_from)]
    yield from faults or [Finding("archive", f"{len(list(archive.names()))} batches, each as it was written")]


def _reports(home: Home, config: Config) -> Iterator[Finding]:
    """The Reports API, where it has been used: its keys, its key file, and whether somebody makes what is asked for."""
    if not (home.reports / DATABASE).exists():
        return
    with Store(home) as store:
        desk = Desk(home, config.reports, store)
        keys = [key for key in KeyRing(store, desk.vault).all() if key.revoked_at is None]
        waiting = desk.requests.overdue(timedelta(minutes=1))
    try:
        desk.vault.check()
    except ClosebookError as error:
        yield Finding("reports", str(error), error.exit_code)
        return
    if waiting:
        todo = "Start `closebook reports serve` or `closebook ui`, or run `closebook reports work`."
        yield Finding("reports", f"Requests wait for more than a minute and nobody makes them. {todo}", MachineError.exit_code)
    else:
        yield Finding("reports", f"keys in use: {len(keys)}; nothing is overdue")


async def _venues(home: Home, config: Config) -> list[Finding]:
    seen = await asyncio.gather(*(_portfolio(p) for p in config.portfolio))
    return [*await _prices(home, config), *(f for s in seen for f in s.findings), *_twice(seen), *_not_configured(seen)]


@dataclass(frozen=True)
class _Seen:
    """What a portfolio's key showed: its own id at the venue, and what else its owner holds there."""

    findings: list[Finding]
    subject: str = ""
    venue_id: str | None = None
    siblings: Mapping[str, str] = field(default_factory=dict)


def _twice(seen: list[_Seen]) -> Iterator[Finding]:
    """One portfolio under two names, through keys that do not look the same."""
    first: dict[str, str] = {}
    for s in seen:
        if s.venue_id and (other := first.setdefault(s.venue_id, s.subject)) != s.subject:
            yield Finding(s.subject, f"it opens the same as {other} ({s.venue_id}): a pull refuses one of them", Refused.exit_code)


def _not_configured(seen: list[_Seen]) -> Iterator[Finding]:
    """What exists at the venues and is in nobody's book."""
    known = {s.venue_id for s in seen}
    missing = {venue_id: name for s in seen for venue_id, name in s.siblings.items() if venue_id not in known}
    for venue_id, name in sorted(missing.items(), key=lambda item: item[1]):
        yield Finding("coinbase", f"the profile {name!r} ({venue_id}) exists and is not configured: it is not in the book")


async def _prices(home: Home, config: Config) -> list[Finding]:
    """The venue whose clock is the book's: whether it answers, and what its time says of this machine and of the publication."""
    try:
        async with venues.PriceClient(config.prices, BRIEF) as client:
            at = await client.time()
    except ClosebookError as error:
        return [Finding("prices", str(error), error.exit_code)]
    answers = Finding("prices", f"{config.prices.base_url} answers{_differs(config, at)}")
    late = lateness.behind(home, config, at)
    return [answers, Finding("publication", late, MachineError.exit_code)] if late else [answers]


def _differs(config: Config, at: datetime) -> str:
    skew = abs((at - now()).total_seconds())
    if skew <= 5:
        return ""
    if is_loopback(config.prices.base_url):
        return f"; it is on this machine, a sandbox, and keeps its own time: {at:%Y-%m-%d %H:%M} UTC"
    return f"; its clock differs from this machine's by {skew:.0f} s, and signatures expire after 30 s"


async def _portfolio(portfolio: Portfolio) -> _Seen:
    subject = f"{portfolio.venue} {portfolio.name}"
    try:
        async with venues.connect(portfolio, BRIEF) as client:
            return await _opened(client, portfolio.venue, subject)
    except ClosebookError as error:
        return _Seen([Finding(subject, str(error), error.exit_code)])


async def _opened(client: venues.Client, venue: str, subject: str) -> _Seen:
    try:
        pages = await client.balances()
    except venues.MissingRight as error:
        await anext(client.history(None, now()))
        told = Finding(subject, f"NO_BALANCE_SCOPE, its history may be read and nothing is tied out: {error}")
        return _Seen([told], subject, client.identity)
    findings = [Finding(subject, "its key opens it")]
    if "write" in client.rights:
        findings.append(Finding(subject, f"its key may do more than read ({client.rights}): whoever finds it can move money"))
    try:
        siblings = dict(wire.read_population(await client.population()).rows.iter_rows())
    except Refused:
        siblings = {}
    return _Seen(findings, subject, wire.read_balances(venue, pages)[0] or client.identity, siblings)


def _unpriced(home: Home) -> Iterator[Finding]:
    """Assets held without a price, and the policy that would price a stablecoin."""
    if publications.known_through(home) is None:
        return
    with publications.newest(home) as newest:
        held = newest.sql(
            "SELECT DISTINCT asset, reason FROM holdings_now WHERE reason IS NOT NULL AND asset IS NOT NULL ORDER BY asset"
        ).rows()
        stable = set(newest.sql("SELECT DISTINCT asset FROM accounts WHERE asset_class = 'stable'")["asset"])
    for asset, reason in held:
        policy = f'; [[policy]] asset = "{asset}", price = "1", currency = "USD", approver = "…" would price it' if asset in stable else ""
        yield Finding("unpriced", f"{asset}: {reason}{policy}")
