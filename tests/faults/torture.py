"""Kill -9 a pull at a random instant, run it again, and compare with a book nobody killed. `python -m tests.faults.torture 50`."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.faults.house import Facts, dataset, house, same, venues

ROOT = Path(__file__).parents[2]
PULL = "from tests.faults.torture import pull; import sys; pull(*sys.argv[1:])"


def pull(folder: str, config: str) -> None:
    """In a process of its own: say that it begins, pull, say that it is done."""
    with house(Path(folder), Path(config).read_text()) as book:
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        book.run()
        sys.stdout.write("done\n")


@dataclass(frozen=True)
class Unharmed:
    """What a book holds that was pulled twice in peace, and how long the first pull took."""

    facts: Facts
    bodies: set[str]
    seconds: float


def unharmed(folder: Path, config: Path) -> Unharmed:
    process, began = _begin(folder, config), time.monotonic()
    assert process.communicate()[0] == "done\n"
    seconds = time.monotonic() - began
    with house(folder, config.read_text()) as book:
        assert book.run() == {}
        return Unharmed(book.facts(), book.bodies(), seconds)


def _begin(folder: Path, config: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PULL, str(folder), str(config)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def killed(folder: Path, config: Path, peace: Unharmed, seed: int) -> bool:
    """True if the kill came before the end. What is pulled afterwards must be what was pulled in peace, page for page."""
    process = _begin(folder, config)
    time.sleep(random.Random(seed).uniform(0, peace.seconds))
    process.send_signal(signal.SIGKILL)
    in_time = "done" not in process.communicate()[0]
    with house(folder, config.read_text()) as book:
        assert book.run() == {}
        assert book.run() == {}
        same(book.facts(), peace.facts)
        assert book.bodies() == peace.bodies, f"{len(book.bodies() ^ peace.bodies)} pages differ"
    return in_time


def main(times: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with venues(dataset(folder / "dataset")) as sandbox:
            config = folder / "closebook.toml"
            sandbox.write_config(config)
            peace = unharmed(folder / "peace", config)
            in_time = sum(killed(folder / f"killed-{seed}", config, peace, seed) for seed in range(times))
        sys.stdout.write(f"killed={times} before_the_end={in_time} differing=0\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
