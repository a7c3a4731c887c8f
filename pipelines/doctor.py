"""`closebook doctor`: what is wrong and what to do. It asks, and changes nothing."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines import publications, venues
from pipelines.config import Config, Portfolio, load
from pipelines.errors import ClosebookError, ConfigError, MachineError, Refused, UsageError
from pipelines.home import LEAST_FREE, Home, holder
from pipelines.warehouse import now


@dataclass(frozen=True)
class Finding:
    """One thing looked at; exit code 0 when it is well."""

    subject: str
    said: str
    exit_code: int = 0


def examine(config_path: Path, home: Home) -> Iterator[Finding]:
    """Configuration, home, disk, lock, publication, venues, in this order."""
    yield from _home(home)
    try:
        config = load(config_path)
    except ConfigError as error:
        yield Finding("configuration", str(error), error.exit_code)
        return
    yield Finding("configuration", f"{config_path}: {len(config.portfolio)} portfolios, from {config.book.start}")
    yield from asyncio.run(_venues(config))
    yield from _unpriced(home)


def _home(home: Home) -> Iterator[Finding]:
    kind = home.kind()
    yield Finding("home", f"{home.root} is a {kind}'s" if kind else f"{home.root} is not in use yet")
    if not home.root.exists():
        return
    free = shutil.disk_usage(home.root).free
    yield Finding("disk", f"{free >> 20} MiB free", 0 if free > LEAST_FREE else MachineError.exit_code)
    yield Finding("lock", f"held by {who}" if (who := holder(home)) else "free")
    try:
        with publications.newest(home) as newest:
            yield Finding("publication", f"number {newest.facts()['publication_id']}, knows all up to {newest.facts()['known_through']}")
    except UsageError as error:
        yield Finding("publication", str(error))


async def _venues(config: Config) -> list[Finding]:
    return [await _prices(config), *[await _portfolio(p) for p in config.portfolio]]


async def _prices(config: Config) -> Finding:
    try:
        async with venues.PriceClient(config.prices) as client:
            skew = abs((await client.time() - now()).total_seconds())
    except ClosebookError as error:
        return Finding("prices", str(error), error.exit_code)
    late = f"; its clock differs from this machine's by {skew:.0f} s, and signatures expire after 30 s" if skew > 5 else ""
    return Finding("prices", f"{config.prices.base_url} answers{late}")


async def _portfolio(portfolio: Portfolio) -> Finding:
    subject = f"{portfolio.venue} {portfolio.name}"
    try:
        async with venues.connect(portfolio) as client:
            await client.balances()
    except Refused as error:
        if portfolio.venue == "cryptofuse":
            return Finding(subject, f"live balances are refused, history may still be read: {error}")
        return Finding(subject, str(error), error.exit_code)
    except ClosebookError as error:
        return Finding(subject, str(error), error.exit_code)
    return Finding(subject, "its key opens it")


def _unpriced(home: Home) -> Iterator[Finding]:
    """Assets held without a price, and the policy that would price a stablecoin."""
    if not home.publication.exists():
        return
    with publications.newest(home) as newest:
        held = newest.sql(
            "SELECT DISTINCT asset, reason FROM holdings_now WHERE reason IS NOT NULL AND asset IS NOT NULL ORDER BY asset"
        ).rows()
        stable = set(newest.sql("SELECT DISTINCT asset FROM accounts WHERE asset_class = 'stable'")["asset"])
    for asset, reason in held:
        policy = f'; [[policy]] asset = "{asset}", price = "1", currency = "USD", approver = "…" would price it' if asset in stable else ""
        yield Finding("unpriced", f"{asset}: {reason}{policy}")
