"""`closebook …` in a process of its own, as a person runs it. What is slow to import was imported once, by the server that forks it."""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from pipelines import cli

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.preloaded"])
LONGEST = 240.0  # seconds


def begin(*words: object, cwd: Path, said: Path | None = None, room: int | None = None, **env: str) -> ForkServerProcess:
    """Start the command in a process group of its own; what it prints goes to the files `out` and `err` in `said`.

    `room`: no file it writes may grow beyond so many bytes.
    """
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("CLOSEBOOK_", "DAGSTER_"))}
    process = FORKS.Process(target=_run, args=([str(w) for w in words], str(cwd), str(said or ""), room, clean | env))
    process.start()
    return process


def run(*words: object, cwd: Path, room: int | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """The command's exit code and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        process = begin(*words, cwd=cwd, said=Path(folder), room=room, **env)
        code = ended(process)
        return subprocess.CompletedProcess(words, code, *((Path(folder) / name).read_text(encoding="utf-8") for name in ("out", "err")))


def ended(process: ForkServerProcess) -> int:
    """Its exit code; minus the signal that ended it."""
    process.join(LONGEST)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"The command did not end within {LONGEST:.0f} seconds.")
    return process.exitcode


def _run(words: list[str], cwd: str, said: str, room: int | None, env: dict[str, str]) -> None:
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, name in ((1, "out"), (2, "err")):
        to = os.open(Path(said) / name if said else os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(to, number)
    if room is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    sys.argv = ["closebook", *words]
    cli.main()
