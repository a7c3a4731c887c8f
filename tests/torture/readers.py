"""Readers open the published link again and again while versions come and publishers die: `python -m tests.torture.readers 10 300 20`."""

from __future__ import annotations

import multiprocessing
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import duckdb
import polars as pl

from pipelines import publications
from pipelines.home import Home
from pipelines.tables import CALENDARS
from pipelines.warehouse import Warehouse

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["pipelines.publications"])
ROWS = 2_000
KEEP = 5


def publish_on(root: str, until: int) -> None:
    """Publish version after version; each holds its own number in every row of one table."""
    home = Home(Path(root))
    while (newest := _newest(home)) < until:
        warehouse = Warehouse(home.warehouse)
        said = pl.DataFrame({"calendar": [f"c{n}" for n in range(ROWS)], "timezone": ["UTC"] * ROWS, "cut_off": [str(newest + 1)] * ROWS})
        with warehouse.commit("another") as commit:
            commit.replace(CALENDARS, said)
        built = publications.build(home, warehouse, date(2025, 1, 1), None)
        publications.publish(home, built, KEEP)
        warehouse.close()


def _newest(home: Home) -> int:
    return int(home.publication.resolve().stem) if home.publication.exists() else 0


def read_on(root: str, told: multiprocessing.Queue[tuple[int, list[str]]], stop: multiprocessing.synchronize.Event) -> None:
    """Open the link, read, close; every reading must be of one whole version, and none older than the last."""
    link, reads, wrong, last = Home(Path(root)).publication, 0, [], 0
    while not stop.is_set():
        try:
            with duckdb.connect(str(link), read_only=True) as con:
                number = con.execute("SELECT publication_id FROM publications").fetchall()
                said = con.execute("SELECT count(*), min(cut_off), max(cut_off) FROM calendars").fetchall()
        except duckdb.Error as error:
            wrong.append(f"failed: {error}")
            continue
        reads += 1
        if len(number) != 1 or said[0][0] != ROWS or said[0][1] != said[0][2]:
            wrong.append(f"torn: {number} {said}")
        elif number[0][0] < last:
            wrong.append(f"went back from {last} to {number[0][0]}")
        last = max(last, number[0][0])
    told.put((reads, wrong))


@dataclass(frozen=True)
class Seen:
    """What the readers saw."""

    publications: int
    kills: int
    reads: int
    wrong: list[str]


def sweep(root: Path, readers: int, versions: int, kills: int, seed: int = 0) -> Seen:
    """`readers` poll while `versions` come; the publisher is killed `kills` times at random instants and begins again."""
    home = Home(root)
    home.move_in("book")
    _ended(_publisher(root, 1))
    told: multiprocessing.Queue[tuple[int, list[str]]] = FORKS.Queue()
    stop = FORKS.Event()
    people = [FORKS.Process(target=read_on, args=(str(root), told, stop)) for _ in range(readers)]
    for reader in people:
        reader.start()
    for number in range(kills):
        _killed(root, versions * (number + 1) // (kills + 1), random.Random(seed + number))
    _ended(_publisher(root, versions))
    stop.set()
    seen = [told.get(timeout=60) for _ in people]
    for reader in people:
        reader.join(60)
    return Seen(_newest(home), kills, sum(reads for reads, _ in seen), [w for _, wrong in seen for w in wrong])


def _publisher(root: Path, until: int) -> ForkServerProcess:
    process = FORKS.Process(target=publish_on, args=(str(root), until))
    process.start()
    return process


def _killed(root: Path, until: int, chance: random.Random) -> None:
    """Let it publish up to `until`, then a little into the next, and kill it."""
    process = _publisher(root, sys.maxsize)
    while _newest(Home(root)) < until and process.is_alive():
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 0.4))
    process.kill()
    process.join(60)


def _ended(process: ForkServerProcess) -> None:
    process.join(600)
    assert process.exitcode == 0


def main(readers: int, versions: int, kills: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        seen = sweep(Path(name) / "home", readers, versions, kills)
    sys.stdout.write(f"readers={readers} publications={seen.publications} kills={seen.kills} reads={seen.reads} wrong={len(seen.wrong)}\n")
    sys.stdout.write("".join(f"{w}\n" for w in seen.wrong[:10]))
    sys.exit(bool(seen.wrong))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
