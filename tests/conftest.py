"""Shared: where real data lies, and commands run as a person runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("closebook", deadline=None)  # shared machines are slow now and then; nothing here is a timed test
settings.load_profile("closebook")

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def real() -> Path:
    """The real dataset, or a skip that says why."""
    if not (DATA / "real").is_dir():
        pytest.skip("real data is not beside this checkout (../shared/data/real)")
    return DATA / "real"


def closebook(*words: object, cwd: Path, room: int | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; `room`: no file it writes may grow beyond so many bytes."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("CLOSEBOOK_", "DAGSTER_"))}
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room})); " if room else ""
    command = [sys.executable, "-c", f"{limit}from pipelines.cli import main; main()", *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=clean | env, capture_output=True, text=True, check=False, timeout=240)
