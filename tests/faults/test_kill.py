"""A pull that is killed at any instant and run again brings home the same pages and the same facts."""

from __future__ import annotations

from pathlib import Path

from tests.faults.house import dataset, venues
from tests.faults.torture import killed, unharmed

TIMES = 4


def test_killed_at_any_instant_and_run_again_it_is_the_same_book(tmp_path: Path) -> None:
    with venues(dataset(tmp_path / "dataset")) as sandbox:
        config = tmp_path / "closebook.toml"
        sandbox.write_config(config)
        peace = unharmed(tmp_path / "peace", config)
        in_time = sum(killed(tmp_path / f"killed-{seed}", config, peace, seed) for seed in range(TIMES))
        assert in_time >= TIMES / 2, "most kills must come before the end, or nothing was tried"
