"""What proving costs beside reading: order, chain and completeness of a generated book, slice by slice. `python -m benchmarks.prove 10`."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import polars as pl

from benchmarks.generate import LAYOUTS, generate
from pipelines import proving
from pipelines.histories import BEGINNING, moment
from pipelines.stages import chain, completeness
from pipelines.warehouse import Warehouse

MILLION = 1_000_000
TIMES = 3
Process = get_context("spawn").Process


def read(warehouse: Warehouse) -> int:
    """What proving reads, in the same slices, and nothing made of it."""
    columns = ", ".join((*chain.LINKS, "event_id"))
    slices = (
        f"SELECT {columns} FROM postings WHERE retired_at IS NULL AND occurred_at >= {moment(a)} AND occurred_at < {moment(b)}"
        for a, b in edges(warehouse)
    )
    return sum(warehouse.sql(query).height for query in slices)


def edges(warehouse: Warehouse) -> Iterator[tuple[datetime, datetime]]:
    return proving._slices(warehouse, proving.EVERYBODY)


def prove(warehouse: Warehouse, changed: pl.DataFrame) -> int:
    """Breaks, open orders and intervals of every account; → how many."""
    breaks = pl.concat([*proving.breaks(warehouse, changed)])
    return breaks.height + completeness.intervals(proving._facts(warehouse, changed["account_id"]), breaks).height


def best(work: Callable[[], int]) -> tuple[float, float, int]:
    """Seconds and processor seconds of the fastest of three, and what it counted."""

    def runs() -> Iterator[tuple[float, float, int]]:
        for _ in range(TIMES):
            began, busy = time.perf_counter(), time.process_time()
            count = work()
            yield time.perf_counter() - began, time.process_time() - busy, count

    return min(runs())


def main(millions: int) -> None:
    with tempfile.TemporaryDirectory(prefix="closebook-prove-") as folder:
        for layout in LAYOUTS:
            path = Path(folder) / f"{layout}.duckdb"
            generating = Process(target=generate, args=(path, millions * MILLION, layout))  # its memory is not ours
            generating.start()
            generating.join()
            warehouse = Warehouse(path, memory_limit="1GB")
            changed = warehouse.sql("SELECT account_id FROM accounts ORDER BY account_id").with_columns(since=pl.lit(BEGINNING))
            reading, read_busy, rows = best(partial(read, warehouse))
            proving_, busy, found = best(partial(prove, warehouse, changed))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            sys.stdout.write(
                f"{layout:>8}: {rows:,} postings read in {reading:.2f} s, proved in {proving_:.2f} s "
                f"({proving_ / reading:.1f} x; {busy / read_busy:.1f} x in processor time), "
                f"{found:,} breaks and intervals, peak {peak:,} MiB\n"
            )
            warehouse.close()
            path.unlink()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
