"""A schedule of 400 days with outages of random length, beside a book closed all at once: `python -m tests.torture.clock 400`.

The data clock moves on as a machine's would: `closebook run` at twenty past midnight, on most days; now and then none for days, or
two in a row.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
from rich.progress import track

from pipelines.sandbox.generate import LATE_DAYS, generate
from pipelines.sandbox.serve import Sandbox
from tests.closing_once import DAILY
from tests.command import run

TICK = timedelta(minutes=20)
OUTAGES = (1, 1, 1, 1, 1, 1, 0, 2, 3, 9, 20)
"""Days from one run to the next."""
TABLES = ("closed_days", "dirty", *(table.name for table in DAILY))
PROOFS = ("balance_status", "movements_status", "status_reasons")
Tables = dict[str, pl.DataFrame]


def ticks(first: datetime, end: datetime, seed: int) -> Iterator[datetime]:
    chance, at = random.Random(seed), first + timedelta(days=1)
    while at < end:
        yield at + TICK
        at += timedelta(days=chance.choice(OUTAGES))
    yield end


def sweep(folder: Path, days: int, seed: int = 0) -> tuple[int, list[str]]:
    """How often the book was run, and what is wrong with it in the end."""
    generate(folder / "dataset", days)
    with Sandbox(folder / "dataset") as sandbox:
        steps, once = (_moved_in(folder / name, sandbox) for name in ("steps", "once"))
        runs, wrong, before = 0, _closed(once), {name: pl.DataFrame() for name in TABLES}
        settled = sandbox.now - timedelta(days=LATE_DAYS + 1)  # from here on an entry that the venue books late moves days
        for sandbox.now in track([*ticks(sandbox.now - timedelta(days=days), sandbox.now, seed)], "Running"):  # noqa: B020  # the sandbox's clock is what moves
            wrong += _closed(steps)
            now = _tables(steps)
            wrong += [f"{sandbox.now}: {name} has changed" for name in _changed(before, now, settled)]
            runs, before = runs + 1, now
    whole = _tables(once)
    wrong += [f"{name} differs" for name in TABLES if not before[name].equals(whole[name])]
    wrong += ["days are missing"] if before["closed_days"].height != days else []
    wrong += ["days are left dirty"] if before["dirty"].height else []
    return runs, wrong + _unclean(steps, runs)


def _moved_in(folder: Path, sandbox: Sandbox) -> Path:
    folder.mkdir()
    sandbox.write_config(folder / "closebook.toml")
    return folder


def _closed(folder: Path) -> list[str]:
    done = run("run", cwd=folder)
    return [f"exit {done.returncode}: {done.stdout}{done.stderr}"] if done.returncode else []


def _tables(folder: Path) -> Tables:
    """What is published, without when it was written."""
    with duckdb.connect(str((folder / "data/published/closebook.duckdb").resolve()), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        accounts = con.sql("SELECT account_id, portfolio, native_code FROM accounts").pl()
        frames = {name: con.sql(f"SELECT * FROM {name}").pl() for name in TABLES}
    named = (frame.join(accounts, on="account_id") if "account_id" in frame.columns else frame for frame in frames.values())
    plain = (frame.drop("account_id", "recorded_at", "touched_at", strict=False) for frame in named)
    return {name: frame.sort(frame.columns) for name, frame in zip(TABLES, plain, strict=True)}


def _changed(before: Tables, now: Tables, settled: datetime) -> list[str]:
    """Daily tables of which a number that stood is another now. A price may still have been to come, and more be proved of a balance."""
    stood = {t.name: before[t.name].filter(pl.col("as_of") < settled).drop(PROOFS, strict=False) for t in DAILY if before[t.name].height}
    final = {name: rows.filter(pl.col("reason").is_null()) if "reason" in rows.columns else rows for name, rows in stood.items()}
    return [name for name, rows in final.items() if rows.join(now[name], on=rows.columns, how="anti", nulls_equal=True).height]


def _unclean(folder: Path, runs: int) -> list[str]:
    """Runs in the history that did not succeed, and any too many or too few."""
    with sqlite3.connect(folder / "data/dagster/history/runs.db") as history:
        ended = [status for (status,) in history.execute("SELECT status FROM runs")]
    found = [f"{ended.count(status)} runs are {status}" for status in sorted(set(ended) - {"SUCCESS"})]
    return found + ([] if len(ended) == runs else [f"{len(ended)} runs in the history of {runs}"])


def main(days: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        runs, wrong = sweep(Path(name), days)
    sys.stdout.write(f"days={days} runs={runs} wrong={len(wrong)}\n" + "".join(f"{w}\n" for w in wrong[:10]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(int(sys.argv[1]))
