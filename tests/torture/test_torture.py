"""The sweeps of `make torture`, small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture import disk, graph, readers


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[graph.Trials]:
    with graph.trials(tmp_path_factory.mktemp("trials")) as found:
        yield found


def test_a_run_killed_anywhere_and_run_again_is_the_same_book(trials: graph.Trials, tmp_path: Path) -> None:
    assert graph.killed(trials, tmp_path / "killed", share=0.5) == (True, [])


@pytest.mark.skipif(not disk.may_mount(), reason="nobody but root may mount a small disk")
def test_a_run_whose_disk_fills_up_or_cannot_be_written_leaves_what_was_there(trials: graph.Trials, tmp_path: Path) -> None:
    assert disk.full(trials, tmp_path / "full", share=0.5) == (True, [])
    assert disk.locked(trials, tmp_path / "locked", "published") == (True, [])


def test_readers_meet_no_half_published_version_though_publishers_die(tmp_path: Path) -> None:
    seen = readers.sweep(tmp_path / "home", readers=2, versions=8, kills=2)
    assert seen.wrong == []
    assert seen.publications >= 8
    assert seen.reads > 20
