"""Shared: where real data lies, and commands run as a person runs them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from pipelines.sandbox.serve import Sandbox
from tests import tiny
from tests.command import run as closebook

__all__ = ["DATA", "ROOT", "closebook"]

settings.register_profile("closebook", deadline=None)  # shared machines are slow now and then; nothing here is a timed test
settings.load_profile("closebook")

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
LONGEST = (
    "test_tutorial", "test_torture", "test_clock", "test_upkeep", "test_browser", "test_surroundings", "test_checks_stop", "test_bad_input",
    "test_closing", "test_real_book", "test_alerts", "test_runs", "test_storm", "test_ui",
)  # fmt: skip
"""Files that run whole commands: they begin, so that no worker is left alone with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def closed_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small book that one `closebook run` closed, and its venues, for as long as tests run; nobody changes it."""
    folder = tmp_path_factory.mktemp("closed")
    with Sandbox(tiny.dataset(tmp_path_factory.mktemp("venues") / "dataset", tiny.OVERDRAWN)) as sandbox:
        sandbox.write_config(folder / "closebook.toml")
        done = closebook("run", cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        yield folder


@pytest.fixture
def closed(closed_once: Path, tmp_path: Path) -> Path:
    """A copy of that book, to do with as one likes."""
    shutil.copytree(closed_once, tmp_path, dirs_exist_ok=True, symlinks=True)
    return tmp_path


@pytest.fixture
def real() -> Path:
    """The real dataset, or a skip that says why."""
    if not (DATA / "real").is_dir():
        pytest.skip("real data is not beside this checkout (../shared/data/real)")
    return DATA / "real"
