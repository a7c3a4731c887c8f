"""One sandbox over the awkward dataset for all tests of a module that do not change it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.asking import Client, serving, write


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("awkward"))


@pytest.fixture(scope="module")
def ask(dataset: Path) -> Iterator[Client]:
    with serving(dataset) as client:
        yield client
