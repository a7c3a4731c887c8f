"""How late it is in the book: what a venue proves, and never what this machine's clock hopes."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from pipelines.config import Config
from pipelines.pull import book_time
from tests.ledger_text import instant
from tests.venues.serving import HURRIED, Answer, Venue, run

TRUE = instant("2025-06-01T12:00:00Z")
AHEAD = TRUE + timedelta(days=9)
LAST = instant("2025-05-30")
DATE = {"Date": "Sun, 01 Jun 2025 12:00:00 GMT"}
NOBODY = "http://127.0.0.1:9"
TOLD = Answer({"iso": "2025-06-01T12:00:00.504Z", "epoch": 1748779200.504})
DOWN = {"error": "down"}


def told(answer: Answer, clock=AHEAD, prices: bool = True, last=None):
    """The book's time, where one venue answers everything so, and the price venue is that one or is not there."""

    async def work():
        async with Venue(lambda _: answer) as venue:
            perps = {"name": "perps", "venue": "pacifica", "base_url": venue.base_url, "account": "a"}
            written = {"book": {"start": "2025-01-01"}, "portfolio": [perps], "prices": {"base_url": venue.base_url if prices else NOBODY}}
            return await book_time(Config.model_validate(written), lambda: clock, HURRIED, last)

    return run(work())


def test_a_clock_that_is_ahead_is_held_back_by_the_venue_s():
    assert told(TOLD) == TRUE


def test_a_clock_that_is_behind_is_believed():
    assert told(TOLD, clock=TRUE - timedelta(hours=1)) == TRUE - timedelta(hours=1)


@pytest.mark.parametrize("status", [503, 404, 200])
def test_a_venue_that_does_not_tell_the_time_proves_it_by_the_date_of_its_reply(status: int):
    assert told(Answer(DOWN, status, DATE)) == TRUE


@pytest.mark.parametrize("status", [503, 404])
def test_where_the_price_venue_is_not_there_any_other_venue_proves_it(status: int):
    assert told(Answer(DOWN, status, DATE), prices=False) == TRUE


def test_where_nothing_is_proven_it_is_no_later_than_it_was():
    assert told(Answer(DOWN, 503), last=LAST) == LAST
    assert told(Answer(DOWN, 503), prices=False, last=LAST) == LAST


def test_a_venue_that_is_down_is_not_waited_for_with_all_patience():
    began = time.monotonic()

    async def work():
        perps = {"name": "perps", "venue": "pacifica", "base_url": NOBODY, "account": "a"}
        written = {"book": {"start": "2025-01-01"}, "portfolio": [perps], "prices": {"base_url": NOBODY}}
        return await book_time(Config.model_validate(written), lambda: TRUE, None, LAST)

    assert run(work()) == LAST
    assert time.monotonic() - began < 4
