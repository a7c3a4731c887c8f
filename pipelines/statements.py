"""Snapshot → statement files. A file is never overwritten: other bytes for the same scope and instant are the next version.

What is on a statement is decided by `book`; how it reads, by `exports`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import polars as pl

from pipelines.book import Reader, Snapshot, at
from pipelines.exports import text
from pipelines.home import machine_errors, write_atomically

By = Literal["portfolio", "asset"]
Format = Literal["csv", "json"]


def body(snapshot: Snapshot, by: By, form: Format) -> str:
    """The statement's text."""
    rows = snapshot.rows if by == "portfolio" else snapshot.by_asset()
    if form == "csv":
        return text.csv(rows)
    about = {"publication": snapshot.publication_id, "as_of": snapshot.as_of, "known_at": snapshot.known_at, "by": by}
    return text.to_json(about, rows=rows, subtotals=snapshot.subtotals(), unpriced=snapshot.unpriced())


def write(snapshot: Snapshot, scope: str, by: By, form: Format, folder: Path) -> Path:
    """`<scope>_<by>_<as_of>_v<n>.<ext>`; the file that already says the same is the answer."""
    content = body(snapshot, by, form).encode()
    stem = f"{scope}_{by}_{snapshot.as_of:%Y%m%dT%H%M%SZ}"
    version = 1
    with machine_errors(f"The statement cannot be written to {folder}"):
        while (path := folder / f"{stem}_v{version}.{form}").exists():
            if path.read_bytes() == content:
                return path
            version += 1
        write_atomically(path, content)
    return path


def of_day(source: Reader, as_of: datetime, folder: Path) -> list[Path]:
    """One CSV per portfolio, and one by asset over all of them."""
    everything = at(source, as_of)
    names = sorted(set(everything.rows["portfolio"]))
    single = [(name, replace(everything, rows=everything.rows.filter(pl.col("portfolio") == name))) for name in names]
    return [write(snapshot, name, "portfolio", "csv", folder) for name, snapshot in single] + [
        write(everything, "all", "asset", "csv", folder)
    ]
