from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipelines.config import Reports
from tests.exports import january
from tests.reports.house import House, listening


@pytest.fixture(scope="session")
def january_book(tmp_path_factory):
    """The invented January; nobody changes this file."""
    return january.write(tmp_path_factory.mktemp("january") / "000412.duckdb")


@pytest.fixture
def house(tmp_path, january_book) -> Iterator[House]:
    """A home of its own, its API listening."""
    with listening(tmp_path / "home", january_book, Reports(open_requests=5)) as opened:
        yield opened
