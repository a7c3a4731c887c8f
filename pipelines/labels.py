"""(venue, native code) → asset, network, class: from the map, never from cutting suffixes. No I/O but the shipped map.

Configuration wins over assets.toml, which wins over what the venue itself says of its codes; at Coinbase a code that its own
product list trades is its own asset. A code that nothing maps keeps its postings and stays unpriced.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Protocol

import polars as pl

from pipelines.config import Config
from pipelines.tables import TEXT


class Reader(Protocol):
    def sql(self, query: str) -> pl.DataFrame: ...


@dataclass(frozen=True)
class Label:
    asset: str | None = None
    network: str | None = None
    asset_class: str = "unknown"


@dataclass(frozen=True)
class Map:
    """What each code of each venue means."""

    labels: Mapping[tuple[str, str], Label]

    @classmethod
    def of(cls, config: Config, warehouse: Reader) -> Map:
        """The map in force: the venues' own words, overlaid by ours, overlaid by the configuration's."""
        traded = warehouse.sql("SELECT DISTINCT base FROM products ORDER BY base")["base"]
        said = warehouse.sql("SELECT venue, native_code, asset, network FROM venue_codes")
        labels = {("coinbase", code): Label(code, None, "crypto") for code in traded}
        labels |= {(r["venue"], r["native_code"]): Label(r["asset"], r["network"], _class_of(r["asset"])) for r in said.to_dicts()}
        labels |= _shipped()
        labels |= {(a.venue, a.native_code): Label(a.asset, a.network, a.asset_class) for a in config.asset}
        return cls(labels)

    def __getitem__(self, key: tuple[str, str]) -> Label:
        return self.labels.get(key, Label())


@cache
def _shipped() -> dict[tuple[str, str], Label]:
    read = tomllib.loads(files("pipelines").joinpath("assets.toml").read_text(encoding="utf-8"))
    return {
        (venue, code): Label(entry["asset"], entry.get("network"), entry["class"])
        for venue, codes in read.items()
        for code, entry in codes.items()
    }


def _class_of(asset: str) -> str:
    return _shipped().get(("coinbase", asset), Label(asset_class="crypto")).asset_class


def columns(venue: str, codes: Iterable[str], known: Map) -> list[pl.Series]:
    """asset, network and asset_class for codes of one venue, in their order."""
    found = [known[venue, code] for code in codes]
    return [pl.Series(f, [getattr(label, f) for label in found], dtype=TEXT) for f in ("asset", "network", "asset_class")]
