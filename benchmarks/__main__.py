"""`make bench`: every work in a process of its own, interleaved, medians; results as JSON, a table and a chart in docs/benchmarks."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import chart
from benchmarks.generate import SAME_ACCOUNTS, generate

DOCS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks"
A_MILLION = 150 * 2**20  # bytes of disk that a million postings, their rows and the peers' rows may take
BARE_SQL = ("sql_asof", "sql_group")
REBUILD = ("floor", "engine", *BARE_SQL, "sql_whole", "polars", "pandas", "hledger")
PLAIN = ("again", "prices_and_values", "floor_values", "one_more_day", "any_second", "publish")
UP_TO = {
    "hledger": 0.02,
    "pandas": 1,
    "polars": 10,
    "sql_group": 10,
    "sql_whole": 10,
}  # millions; beyond it a peer takes minutes, or all memory
A_HISTORY = 1  # millions; below it a book is smaller than the day that is closed on top of it
Result = dict[str, Any]


def main() -> None:
    asked = _arguments()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="closebook-bench-", dir=asked.scratch) as scratch:
        for millions in asked.sizes:
            _require_room(Path(scratch), millions)
            results += _measure(Path(scratch), millions, asked.rounds, asked.layout)
    _write(results, asked.rounds, asked.layout)
    for result in results:
        sys.stdout.write(_line(result) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=float, nargs="+", help="millions of postings")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layout", default="time", help="how the postings lie: time, pulled or accounts")
    parser.add_argument("--scratch", help="a folder with room")
    return parser.parse_args()


def _require_room(folder: Path, millions: float) -> None:
    free, needed = shutil.disk_usage(folder).free, millions * A_MILLION
    if free < needed:
        sys.exit(f"{millions:g} M postings need {needed / 2**30:.0f} GB in {folder}; there are {free / 2**30:.0f}.")


def _measure(folder: Path, millions: float, rounds: int, layout: str) -> list[Result]:
    """Medians of all works at one size; what was generated is deleted."""
    book, postings = folder / "book.duckdb", round(millions * 1_000_000)
    generate(book, postings, layout)
    rebuild = [name for name in REBUILD if millions <= UP_TO.get(name, millions) and _is_here(name)]
    _run("engine", book)  # makes the rows that the floor writes, and warms the file cache for everybody
    taken = [_run(name, book) for _ in range(rounds) for name in rebuild]
    taken.append(_run("prices_and_values", book))  # makes the rows that its floor writes
    taken += [_run(name, book) for n in range(min(rounds, 3)) for name in PLAIN if n or name != "prices_and_values"]
    _clear(folder)
    if millions >= A_HISTORY:
        generate(book, postings, layout, SAME_ACCOUNTS)
        taken.append(_run("same_day", book))
        _clear(folder)
    _require_same_rows([t for t in taken if t["work"] in REBUILD])
    names = dict.fromkeys(t["work"] for t in taken)
    results = [_median([t for t in taken if t["work"] == name]) | {"millions": millions} for name in names]
    _compare(results)
    return results


def _require_same_rows(taken: list[Result]) -> None:
    """A peer that makes other rows is no peer."""
    if len({(t["rows"], Decimal(t["sum"])) for t in taken}) > 1:
        sys.exit("Rows differ: " + "; ".join(sorted({f"{t['work']} {t['rows']} rows, sum {t['sum']}" for t in taken})))


def _is_here(name: str) -> bool:
    here = name != "hledger" or shutil.which(name) is not None
    if not here:
        sys.stderr.write("hledger: left out, for it is not installed here (Debian package hledger).\n")
    return here


def _clear(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def _run(name: str, book: Path) -> Result:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "benchmarks.works", name, str(book)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr}")
    result: Result = json.loads(done.stdout.splitlines()[-1])
    sys.stderr.write(f"{name}: {result['seconds']:.3f} s ({time.perf_counter() - began:.0f} s with preparation)\n")
    return result


def _median(taken: list[Result]) -> Result:
    """The middle run, with the spread of all."""
    ordered = sorted(taken, key=lambda r: float(r["seconds"]))
    middle = ordered[len(ordered) // 2]
    seconds, cpu = (statistics.median(r[name] for r in taken) for name in ("seconds", "cpu"))
    return middle | {
        "seconds": seconds,
        "cpu": cpu,
        "all": [round(r["seconds"], 3) for r in taken],
        "peak_mb": max(r["peak_mb"] for r in taken),
    }


def _compare(results: list[Result]) -> None:
    """Ratios to the floor, to the best SQL that looks at no amount, and to the SQL that makes the same rows in any book.

    Of seconds; `cpu_…` of processor time, which other people's load does not touch.
    """
    by_name = {r["work"]: r for r in results}
    for unit, prefix in (("seconds", ""), ("cpu", "cpu_")):
        best_sql = min(by_name[name][unit] for name in BARE_SQL if name in by_name)
        for result in results:
            if result["work"] in REBUILD:
                result[f"{prefix}ratio_floor"] = result[unit] / by_name["floor"][unit]
                result[f"{prefix}ratio_sql"] = result[unit] / best_sql
                if "sql_whole" in by_name:
                    result[f"{prefix}ratio_whole"] = result[unit] / by_name["sql_whole"][unit]
            if result["work"] == "prices_and_values":
                result[f"{prefix}ratio_floor"] = result[unit] / by_name["floor_values"][unit]
    for result in results:
        if "copy_seconds" in result:
            result["ratio_floor"] = result["seconds"] / result["copy_seconds"]


def _machine() -> Result:
    packages = {name: version(name) for name in ("duckdb", "polars", "numpy", "pandas")}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(memory),
        "system": platform.platform(),
        "python": platform.python_version(),
    } | packages


def _write(results: list[Result], rounds: int, layout: str) -> None:
    """Newly measured sizes replace their old figures; the others stay."""
    DOCS.mkdir(parents=True, exist_ok=True)
    file = DOCS / "results.json"
    fresh = {r["millions"] for r in results}
    stamp = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": _machine(),
        "rounds": rounds,
        "layout": layout,
        "load": round(os.getloadavg()[2], 1),
    }
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    told = sorted([r for r in before if r["millions"] not in fresh] + [r | stamp for r in results], key=lambda r: float(r["millions"]))
    file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    (DOCS / "README.md").write_text(chart.markdown(told), encoding="utf-8")
    (DOCS / "rebuild.svg").write_text(chart.svg([r for r in told if r["work"] in REBUILD and r["millions"] >= A_HISTORY]), encoding="utf-8")


def _line(result: Result) -> str:
    names = ("ratio_floor", "ratio_sql", "ratio_whole")
    ratios = (f"{name}={result[name]:.2f}" if name in result else f"{name}=-" for name in names)
    return f"work={result['work']}@{result['millions']:g}M seconds={result['seconds']:.3f} {' '.join(ratios)} peak_mb={result['peak_mb']}"


if __name__ == "__main__":
    main()
