"""The sweeps of `make torture`, small."""

from __future__ import annotations

from pathlib import Path

from tests.torture import graph, readers


def test_a_run_killed_anywhere_and_run_again_is_the_same_book(tmp_path: Path) -> None:
    in_time, differing = graph.sweep(tmp_path, times=1)
    assert differing == []
    assert in_time, "a kill must come before the end, or nothing was tried"


def test_readers_meet_no_half_published_version_though_publishers_die(tmp_path: Path) -> None:
    seen = readers.sweep(tmp_path / "home", readers=2, versions=8, kills=2)
    assert seen.wrong == []
    assert seen.publications >= 8
    assert seen.reads > 20
