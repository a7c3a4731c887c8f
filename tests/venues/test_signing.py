"""Coinbase's signature: the published rule, on vectors of our own."""

import base64

import pytest

from pipelines import venues
from pipelines.venues.coinbase.client import signature
from tests.ledger_text import instant
from tests.venues.serving import HURRIED, SECRET, Answer, Venue, desk, run

KEY = bytes(range(64))
LEDGER = b"/accounts/71452118-efc7-4cc4-8780-a5e22d4baa53/ledger?start_date=2024-01-01T00%3A00%3A00Z&limit=100"
REPORT = b'{"type":"balance","format":"csv","balance":{"datetime":"2024-01-01T00:00:00.000Z"}}'


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", b"/accounts", b"", "rGG1JqXQ+E6pZei33vupSfjDznqIYp7EiYs3JKWtKIw="),
        ("GET", LEDGER, b"", "XZPUUCK4fI47aqq7eCLVls+rMkM20Zxjpo75Th3D+6o="),
        ("POST", b"/reports", REPORT, "AaISeVIfdVD/mQTZuYH30EsK4n78eY67Qj2RLtjrQoI="),
    ],
)
def test_the_signature_covers_timestamp_method_path_query_and_body(method, path, body, expected):
    assert signature(KEY, "1700000000", method, path, body) == expected


def test_what_is_signed_is_what_is_sent():
    async def work():
        async with Venue(lambda _: Answer([])) as venue, venues.connect(desk(venue.base_url), HURRIED) as client:
            [_ async for _ in client.history("a b/c", instant("2024-01-01T00:00:00.9Z"))]
            return venue.asked[0]

    asked = run(work())
    sent = asked.headers
    assert asked.target.startswith("/accounts/a%20b%2Fc/ledger?start_date=2024-01-01T00%3A00%3A00Z&end_date=")
    assert sent["cb-access-sign"] == signature(base64.b64decode(SECRET), sent["cb-access-timestamp"], "GET", asked.target.encode(), b"")
    assert (sent["cb-access-key"], sent["cb-access-passphrase"]) == ("desk-key", "desk-phrase")


def test_an_expired_timestamp_is_signed_afresh_once_by_the_venue_s_clock():
    answers = [Answer({"message": "request timestamp expired"}, 401), Answer({"iso": "2031-01-01T00:00:00Z", "epoch": 1.0}), Answer([])]

    async def work():
        async with Venue(answers) as venue, venues.connect(desk(venue.base_url), HURRIED) as client:
            await client.balances()
            return venue.asked

    first, clock, second = run(work())
    assert clock.path == "/time"
    assert "cb-access-key" not in clock.headers
    assert abs(float(second.headers["cb-access-timestamp"]) - instant("2031-01-01").timestamp()) < 5
    assert float(first.headers["cb-access-timestamp"]) != float(second.headers["cb-access-timestamp"])


def test_the_date_of_the_refusal_is_the_clock_that_signatures_are_held_against():
    late = {"Date": "Tue, 01 Jan 2030 00:00:00 GMT"}
    answers = [Answer({"message": "request timestamp expired"}, 401, late), Answer([])]

    async def work():
        async with Venue(answers) as venue, venues.connect(desk(venue.base_url), HURRIED) as client:
            await client.balances()
            return venue.asked

    assert abs(float(run(work())[1].headers["cb-access-timestamp"]) - instant("2030-01-01").timestamp()) < 5
