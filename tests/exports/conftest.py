from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines import statements
from pipelines.publications import Publication
from pipelines.statements import Answer, Question
from tests.exports import january

Asked = Callable[..., Answer]


@pytest.fixture(scope="session")
def january_book(tmp_path_factory) -> Path:
    """The invented January; nobody changes this file."""
    return january.write(tmp_path_factory.mktemp("january") / "000412.duckdb")


@pytest.fixture
def published(january_book) -> Iterator[Publication]:
    with Publication(january_book) as source:
        yield source


@pytest.fixture
def asked(published, monkeypatch) -> Asked:
    """asked(by=…, since=…): the answer at the end of January, made by a version of no number."""
    monkeypatch.setattr(statements, "__version__", "of the tests")
    return lambda **question: Answer(published, Question(january.CLOSE, **question))
