"""The tutorial, typed as written: its sh blocks in one shell, in what looks like a fresh clone; its text blocks are the answers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
CLONED = ("pipelines", "sql", "docs", "Makefile", "pyproject.toml", "requirements.txt", "workspace.yaml")
BLOCKS = BLOCK.findall(TUTORIAL.read_text(encoding="utf-8"))
MARK = "--- block {} ended with"
PATIENCE = 600  # seconds, where many share two cores


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A clone whose .venv is the one that runs this test."""
    folder = tmp_path_factory.mktemp("clone")
    for name in CLONED:
        (folder / name).symlink_to(ROOT / name)
    (folder / "data").mkdir()
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (folder / ".venv" / ".ready").touch()
    return folder


@pytest.fixture(scope="module")
def typed(clone) -> list[tuple[str, int]]:
    """What each block printed, and the exit code of its last command."""
    lines = ["exec 2>&1"]
    for number, (block, _) in enumerate(BLOCKS):
        lines += [block.rstrip("\n"), f'echo "{MARK.format(number)} $?"']
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("CLOSEBOOK_", "DAGSTER_", "VIRTUAL_ENV"))}
    with (clone / "said").open("w+") as out:
        shell = subprocess.Popen(["bash", "-c", "\n".join(lines)], cwd=clone, env=clean, stdout=out, start_new_session=True)
        with suppress(subprocess.TimeoutExpired):
            shell.wait(PATIENCE)
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    said = (clone / "said").read_text()
    found = re.split(r"^--- block \d+ ended with (\d+)\n", said, flags=re.MULTILINE)
    return [*((text, int(code)) for text, code in zip(found[::2], found[1::2], strict=False)), (found[-1], -1)]


def pattern(expected: str) -> str:
    """`…` alone on a line stands for any lines, within a line for any text."""
    lines = [r"(?:.*\n)*?" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + "\n" for line in expected.splitlines()]
    return "".join(lines)


@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=lambda n: BLOCKS[n][0].splitlines()[0][:40])
def test_each_block_does_what_the_tutorial_says(typed, number):
    said, code = typed[min(number, len(typed) - 1)]
    expected = BLOCKS[number][1]
    assert code == 0, said
    assert not expected or re.fullmatch(pattern(expected), said), f"expected\n{expected}\ngot\n{said}"


def test_the_tutorial_is_not_empty():
    assert len(BLOCKS) > 12
    assert sum(bool(expected) for _, expected in BLOCKS) > 10


def test_text_that_differs_is_found():
    assert re.fullmatch(pattern("a\n…\nc …\n"), "a\nb\nb\nc d\n")
    assert re.fullmatch(pattern("a\n…\nc\n"), "a\nc\n")
    assert not re.fullmatch(pattern("a\n…\nc\n"), "a\nb\n")
    assert not re.fullmatch(pattern("1.5\n"), "1x5\n")
