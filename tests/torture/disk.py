"""A disk that fills up while a run goes on, and folders that cannot be written: `python -m tests.torture.disk 40`, by who may mount.

At a random instant somebody else's file takes all that is left; or one folder of the home is read-only from the beginning. Each time
the run leaves with one sentence, what is published is whole, and with room again the same book is closed as if nothing had been.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import track

from tests.command import begin, ended
from tests.torture.graph import Book, Trials, trials

SIZE = 512 * 2**20
FOLDERS = (".", "archive", "journal", "published", "statements", "dagster", "reports", "runs")
OF_THE_MACHINE = 4
Tried = tuple[bool, list[str]]


@contextmanager
def disk(folder: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "closebook", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)  # whoever still copies a log out of it may end in its own time
        folder.rmdir()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)  # whoever still copies a log out of it may end in its own time


def may_mount() -> bool:
    with tempfile.TemporaryDirectory() as name:
        tried = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "closebook", name], capture_output=True, check=False)
    return tried.returncode == 0


def _fill(folder: Path) -> Path:
    """A file that takes all the room there is."""
    stuff = folder / "stuff"
    with stuff.open("wb") as file:
        while free := shutil.disk_usage(folder).free:
            try:
                file.write(bytes(min(free, 2**20)))
                file.flush()
            except OSError:
                break
    return stuff


def full(trials: Trials, folder: Path, share: float) -> Tried:
    """Fill the disk after this share of the run's time; whether the run met that, and what is wrong."""
    with disk(folder) as at:
        book = trials.copied(at / "book")
        process = begin("run", cwd=book, said=folder.parent)
        time.sleep(share * trials.seconds)
        stuff = _fill(at)
        code = ended(process)
        stuff.unlink()
        return _judged(trials, f"full after {share:.2f}", book, code, folder.parent)


def locked(trials: Trials, folder: Path, name: str) -> Tried:
    """The same where a folder of the home cannot be written from the beginning."""
    book = trials.copied(folder)
    with read_only(book / "data" / name):
        code = ended(begin("run", cwd=book, said=folder.parent))
    tried = _judged(trials, f"read-only {name}", book, code, folder.parent)
    shutil.rmtree(folder)
    return tried


def _judged(trials: Trials, trial: str, book: Path, code: int, said: Path) -> Tried:
    told = (said / "out").read_text() + (said / "err").read_text()
    wrong = [] if code in (0, OF_THE_MACHINE) and "Traceback" not in told else [f"exit {code}: {told[-600:]}"]
    wrong += [f"after it {d}" for d in _neither(trials, Book.of(book / "data"))]
    wrong += [f"with room {d}" for d in trials.differing(book)]
    return code == OF_THE_MACHINE, [f"{trial}: {w}" for w in wrong]


def _neither(trials: Trials, book: Book) -> list[str]:
    """What stands neither as before the run nor as after one in peace: a run may be stopped after it published."""
    published = min((set(book.differences(end)) - {"statements"} for end in (trials.before, trials.peace)), key=len)
    ends = (trials.before.statements, trials.peace.statements)
    return sorted(published) + [name for name, text in book.statements.items() if text not in [end.get(name) for end in ends]]


def main(times: int) -> None:
    if not may_mount():
        sys.exit("A disk of its own takes the right to mount: run it as root.")
    with tempfile.TemporaryDirectory() as name, trials(Path(name)) as found:
        at = Path(name) / "tried"
        chance = random.Random(0)
        done = [full(found, at, chance.uniform(0, 0.9)) for _ in track(range(times), "Filling up")]
        done += [locked(found, at, folder) for folder in FOLDERS if (found.base / "data" / folder).exists()]
    wrong = [w for _, all_wrong in done for w in all_wrong]
    sys.stdout.write(f"trials={len(done)} stopped={sum(stopped for stopped, _ in done)} wrong={len(wrong)}\n")
    sys.stdout.write("".join(f"{w}\n" for w in wrong[:20]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(int(sys.argv[1]))
