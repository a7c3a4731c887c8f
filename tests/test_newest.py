"""What the UI shows of the newest closed day."""

import base64
import re
from pathlib import Path

import pytest

from pipelines.defs import newest
from pipelines.sandbox.serve import Sandbox
from pipelines.tables import DAILY_BALANCES, DAILY_PRICES, DAILY_VALUES
from tests import tiny
from tests.closing_once import House, house


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("newest")
    with Sandbox(tiny.dataset(folder / "data", tiny.OVERDRAWN)) as sandbox, house(folder / "book", sandbox) as book:
        book.run()
        yield book


def shown(told, key):
    return told[key].value


def test_the_rows_that_hold_most_come_first_and_no_digit_is_lost(closed: House) -> None:
    lines = shown(newest.largest(closed.warehouse, DAILY_BALANCES), "largest").split("\n")
    assert lines[0].startswith("| portfolio | native_code | day |")
    assert [line.split(" | ")[:3] for line in lines[2:4]] == [["| desk", "USD", "2025-01-07"], ["| desk", "BTC", "2025-01-07"]]
    values = shown(newest.largest(closed.warehouse, DAILY_VALUES), "largest").split("\n")
    assert "| 125002.54375 |" in values[2]


def test_prices_are_those_of_the_default_method(closed: House) -> None:
    lines = shown(newest.largest(closed.warehouse, DAILY_PRICES), "largest").split("\n")
    assert len([line for line in lines if "| BTC |" in line]) == 1


def test_value_by_portfolio_is_drawn_with_bars_and_a_line_for_each(closed: House) -> None:
    told = shown(newest.by_portfolio(closed.warehouse), "value_by_portfolio")
    assert told.startswith("Indicative value by portfolio, USD, 2025-01-07")
    bars, line = (base64.b64decode(code).decode() for code in re.findall(r"base64,([^)]+)\)", told))
    assert ">desk<" in bars
    assert ">115,002.54<" in bars
    assert ">07 Jan 2025<" in line


def test_a_book_without_a_closed_day_shows_nothing(tmp_path: Path) -> None:
    with Sandbox(tiny.dataset(tmp_path / "data")) as sandbox, house(tmp_path / "book", sandbox) as book:
        assert shown(newest.largest(book.warehouse, DAILY_VALUES), "largest") == ""
        assert shown(newest.by_portfolio(book.warehouse), "value_by_portfolio") == ""
