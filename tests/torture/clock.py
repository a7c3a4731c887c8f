"""A schedule of 400 days with outages of random length, beside a book closed all at once: `python -m tests.torture.clock 400`.

The data clock moves on as a machine's would: a run at twenty past midnight, on most days; now and then none for days, or two in a row.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from pipelines.sandbox.generate import generate
from pipelines.sandbox.serve import Sandbox
from pipelines.tables import CLOSED_DAYS, DIRTY
from tests.closing_once import DAILY, house

TICK = timedelta(minutes=20)
OUTAGES = (1, 1, 1, 1, 1, 1, 0, 2, 3, 9, 20)
"""Days from one run to the next."""


def ticks(first: datetime, end: datetime, seed: int) -> Iterator[datetime]:
    chance, at = random.Random(seed), first + timedelta(days=1)
    while at < end:
        yield at + TICK
        at += timedelta(days=chance.choice(OUTAGES))
    yield end


def sweep(folder: Path, days: int, seed: int = 0) -> tuple[int, list[str]]:
    """How often the book was run, and what is wrong with it in the end."""
    generate(folder / "dataset", days)
    wrong: list[str] = []
    with Sandbox(folder / "dataset") as sandbox, house(folder / "steps", sandbox) as steps, house(folder / "once", sandbox) as once:
        runs = 0
        for sandbox.now in ticks(sandbox.now - timedelta(days=days), sandbox.now, seed):  # noqa: B020  # the sandbox's clock is what moves
            wrong += [f"{sandbox.now}: {o.subject} {o.error}" for o in steps.run() if o.error]
            runs += 1
        once.run()
        wrong += [f"{t.name} differs" for t in DAILY if not steps.table(t).equals(once.table(t))]
        wrong += ["days are missing"] if steps.table(CLOSED_DAYS).height != days else []
        wrong += ["days are left dirty"] if steps.table(DIRTY).height else []
    return runs, wrong


def main(days: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        runs, wrong = sweep(Path(name), days)
    sys.stdout.write(f"days={days} runs={runs} wrong={len(wrong)}\n" + "".join(f"{w}\n" for w in wrong[:10]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(int(sys.argv[1]))
