"""The sweep of `make torture-clock`, small."""

from __future__ import annotations

from pathlib import Path

from tests.torture import clock


def test_a_schedule_misses_no_day_and_ends_as_a_book_closed_at_once(tmp_path: Path) -> None:
    runs, wrong = clock.sweep(tmp_path, days=2)
    assert wrong == []
    assert runs > 1
