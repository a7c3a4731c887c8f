"""Kill -9 a whole `closebook run` at a random instant, run again, and compare with a book nobody killed.

`python -m tests.torture.graph 100`. Compared are page bodies, facts, the publication's tables and the statements; not compared is
when something was recorded, asked or published. The data clock moves on one day and meets a late event while the run is killed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl
from rich.progress import track

from tests.command import begin, ended
from tests.faults.house import END, dataset, venues

WHEN = {"recorded_at", "touched_at", "retired_at", "asked_at", "fetched_at", "known_through", "built_at"}
WHEN |= {"page_sha256", "batch", "publication_id"}
TABLES = ("accounts", "candles", "closed_days", "daily_balances", "daily_prices", "daily_values", "openings", "portfolios", "postings")


@dataclass(frozen=True)
class Book:
    """What a home says, without when it learnt it."""

    bodies: frozenset[str]
    tables: dict[str, pl.DataFrame]
    statements: dict[str, str]

    @classmethod
    def of(cls, home: Path) -> Book:
        with duckdb.connect(str((home / "published/closebook.duckdb").resolve()), read_only=True) as con:
            bodies = frozenset(row[0] for row in con.sql("SELECT DISTINCT sha256 FROM pages").fetchall())
            tables = {name: _plain(con.sql(f"SELECT * FROM {name}").pl()) for name in TABLES}
        files = {p.name: _without_known_at(p.read_text()) for p in sorted((home / "statements").iterdir())}
        return cls(bodies, tables, files)

    def differences(self, other: Book) -> list[str]:
        found = ["pages"] if self.bodies != other.bodies else []
        found += [name for name in TABLES if not self.tables[name].equals(other.tables[name])]
        return found + (["statements"] if self.statements != other.statements else [])


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    kept = [c for c in frame.columns if c not in WHEN]
    return frame.select(kept).sort(kept)


def _without_known_at(csv: str) -> str:
    return "\n".join(",".join(c for i, c in enumerate(line.split(",")) if i != 1) for line in csv.splitlines())


def in_peace(folder: Path) -> float:
    """Run to the end; the seconds it took."""
    began = time.monotonic()
    assert ended(begin("run", cwd=folder)) == 0
    return time.monotonic() - began


def _nothing_left_behind(home: Path) -> None:
    """No draft under any name, no run that still counts as running."""
    drafts = [p for folder in ("archive", "published", "statements") for p in (home / folder).rglob(".*")]
    assert drafts == [], drafts
    with sqlite3.connect(home / "dagster/history/runs.db") as runs:
        going_on = runs.execute("SELECT run_id, status FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')").fetchall()
    assert going_on == [], going_on


@dataclass(frozen=True)
class Trials:
    """A book closed up to two days before the end: what becomes of it when it is run in peace, and copies of it that are not."""

    base: Path
    before: Book
    peace: Book
    seconds: float  # that the run in peace took

    def copied(self, to: Path) -> Path:
        shutil.copytree(self.base, to, symlinks=True)
        return to

    def differing(self, folder: Path) -> list[str]:
        """Run the copy again, in peace: what it says then that the undisturbed book does not."""
        in_peace(folder)
        _nothing_left_behind(folder / "data")
        return Book.of(folder / "data").differences(self.peace)


@contextmanager
def trials(folder: Path) -> Iterator[Trials]:
    """The next run has two days, new pages and statements to make."""
    with venues(dataset(folder / "dataset")) as sandbox:
        base, peace = folder / "base", folder / "peace"
        base.mkdir()
        sandbox.write_config(base / "closebook.toml")
        sandbox.now = END - timedelta(days=2)
        in_peace(base)
        sandbox.now = END
        shutil.copytree(base, peace, symlinks=True)
        seconds = in_peace(peace)
        found = Trials(base, Book.of(base / "data"), Book.of(peace / "data"), seconds)
        assert found.peace.tables["daily_values"].height > 20
        assert len(found.peace.statements) > 3
        yield found


def killed(trials: Trials, folder: Path, share: float) -> tuple[bool, list[str]]:
    """Kill the run of a copy after this share of its time; whether that came before its end, and what differs after the next."""
    trials.copied(folder)
    process = begin("run", cwd=folder)
    time.sleep(share * trials.seconds)
    assert process.pid
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)  # it may not lead its group yet
        os.killpg(process.pid, signal.SIGKILL)
    in_time = ended(process) == -signal.SIGKILL
    differing = trials.differing(folder)
    shutil.rmtree(folder)
    return in_time, differing


def main(times: int) -> None:
    with tempfile.TemporaryDirectory() as name, trials(Path(name)) as found:
        chance = random.Random(0)
        done = [killed(found, Path(name) / "killed", chance.uniform(0, 0.9)) for _ in track(range(times), "Killing")]
    differing = [f"{number}: {d}" for number, (_, differences) in enumerate(done) for d in differences]
    sys.stdout.write(
        f"killed={times} before_the_end={sum(in_time for in_time, _ in done)} differing={len(differing)} {' '.join(differing)}\n"
    )
    sys.exit(bool(differing))


if __name__ == "__main__":
    main(int(sys.argv[1]))
