from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.quality.book import plant, write

Planted = Callable[..., Path]


@pytest.fixture(scope="session")
def book(tmp_path_factory) -> Path:
    """The small correct book; nobody changes this file."""
    return write(tmp_path_factory.mktemp("book") / "candidate.duckdb")


@pytest.fixture
def planted(book, tmp_path) -> Planted:
    """A copy of the correct book with something wrong planted in it."""
    return lambda *statements: plant(Path(shutil.copy(book, tmp_path / "planted.duckdb")), *statements)
