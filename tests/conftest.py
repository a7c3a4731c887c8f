"""Shared: where real data lies, and commands run as a person runs them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.command import run as closebook

__all__ = ["DATA", "ROOT", "closebook"]

settings.register_profile("closebook", deadline=None)  # shared machines are slow now and then; nothing here is a timed test
settings.load_profile("closebook")

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"


@pytest.fixture
def real() -> Path:
    """The real dataset, or a skip that says why."""
    if not (DATA / "real").is_dir():
        pytest.skip("real data is not beside this checkout (../shared/data/real)")
    return DATA / "real"
