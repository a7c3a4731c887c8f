"""A balance report is found before it is ordered, ordered once, waited for, and fetched without our key; no person is kept."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from pipelines.errors import Refused, Unreachable, Unreadable, VenueError
from pipelines.venues.coinbase.client import CoinbaseClient
from pipelines.venues.coinbase.reports import Waiting
from pipelines.venues.http import Patience
from tests.ledger_text import instant
from tests.venues.serving import Answer, Venue, desk, run

AT = instant("2025-01-01")
HASTE = Waiting(first=0.01, longest=0.02, total=0.5)
BRIEF = Patience(attempts=2, total=2.0, first=0.01, longest=0.02, jitter=0.01)
CSV = b"currency,balance\nBTC,1\n"
PERSON = {"name": "Pat Doe", "email": "pat@example.com"}


class Desk:
    """A venue that makes reports. `states` are told one after the other, the last one for ever."""

    def __init__(self, states=("ready",), **quirks):
        self.base_url, self.states, self.quirks = "", list(states), quirks
        self.reports: dict[str, str] = {}

    def __call__(self, asked):
        if asked.path == "/reports":
            return self.order(asked) if asked.method == "POST" else Answer([self.told(n, "creating") for n in reversed(self.reports)])
        if asked.path.startswith("/files/"):
            gone = self.quirks.get("gone_files", 0) >= int(asked.path.rpartition("-")[2])
            return Answer(b"<Error/>", 403) if gone or asked.query.get("seal") != "s3cret" else Answer(CSV)
        if (name := asked.path.removeprefix("/reports/")) not in self.reports:
            return Answer({"message": "NotFound"}, 404)
        return Answer(self.told(name, self.states.pop(0) if len(self.states) > 1 else self.states[0]))

    def order(self, asked):
        if self.quirks.get("deaf"):
            return Answer({"message": "down"}, 503)
        name = f"report-{len(self.reports) + 1}"
        self.reports[name] = json.loads(asked.body)["balance"]["datetime"]
        reply = {"id": name, "type": "balance", "status": "pending"}
        return Answer(reply, cut=5) if self.quirks.pop("lost", False) else Answer(reply)

    def told(self, name, status):
        told, quirks = {"id": name, "type": "balance", "status": status, "user_id": "u1"}, self.quirks
        told["created_at"], told["expires_at"] = f"2025-01-02T00:00:0{name[-1]}Z", quirks.get("expires", "2100-01-01T00:00:00Z")
        told["params"] = {"format": quirks.get("form", "csv"), "datetime": self.reports[name], "profile_id": "p", "user": PERSON}
        if status == "ready":
            told["file_url"], told["file_count"] = f"{quirks.get('host', self.base_url)}/files/{name}?seal=s3cret", quirks.get("files", "1")
        return told


def fetched(venue_desk: Desk, at=AT, profile_id="p", waiting=HASTE, **more):
    """The pages, and what the venue was asked."""

    async def work():
        async with Venue(venue_desk) as venue:
            venue_desk.base_url = venue.base_url
            async with CoinbaseClient(desk(venue.base_url, **more), BRIEF) as client:
                return await client.report(at, profile_id, waiting), venue.asked

    return run(work())


def orders(asked):
    return [json.loads(a.body) for a in asked if a.method == "POST"]


def test_a_report_is_ordered_as_csv_waited_for_and_fetched():
    (report, file), asked = fetched(Desk(["pending", "creating", "creating", "ready"]))
    assert orders(asked) == [{"type": "balance", "format": "csv", "balance": {"datetime": "2025-01-01T00:00:00Z"}, "profile_id": "p"}]
    assert [a.path for a in asked if a.path.startswith("/reports/")] == ["/reports/report-1"] * 4
    assert (file.body, file.endpoint, report.endpoint) == (CSV, "report file", "report")


def test_no_person_and_no_secret_is_kept():
    pages, _ = fetched(Desk())
    kept = json.loads(pages[0].body)
    assert kept["params"] == {"datetime": "2025-01-01T00:00:00Z", "format": "csv", "profile_id": "p"}
    assert set(kept) == {"id", "type", "status", "created_at", "expires_at", "file_count", "params"}
    for page in pages:
        for secret in (b"Pat", b"pat@", b"s3cret", b"u1"):
            assert secret not in page.body + page.request.encode()


def test_the_file_is_fetched_without_our_key():
    _, asked = fetched(Desk())
    [file] = [a for a in asked if a.path.startswith("/files/")]
    assert [name for name in file.headers if name.startswith("cb-")] == []
    assert all("cb-access-sign" in a.headers for a in asked if a is not file)


@pytest.mark.parametrize("state", ["pending", "creating", "ready"])
def test_a_report_that_was_made_already_is_not_ordered_again(state: str):
    venue_desk = Desk([state, "ready"])
    venue_desk.reports["report-1"] = "2025-01-01T00:00:00.000Z"
    assert orders(fetched(venue_desk)[1]) == []


@pytest.mark.parametrize(
    ("quirks", "at", "profile_id"),
    [({}, AT + timedelta(seconds=1), "p"), ({"form": "pdf"}, AT, "p"), ({"expires": "2025-01-08T00:00:00Z"}, AT, "p"), ({}, AT, "q")],
    ids=["another instant", "a PDF", "expired", "another profile"],
)
def test_a_report_that_is_not_ours_is_not_taken(quirks, at, profile_id):
    venue_desk = Desk(**quirks)
    venue_desk.reports["report-1"] = "2025-01-01T00:00:00Z"
    date = {"Date": "Sun, 01 Jun 2025 12:00:00 GMT"}
    answer = venue_desk.__call__

    def dated(asked):
        found = answer(asked)
        return Answer(found.body, found.status, date, found.cut)

    async def work():
        async with Venue(dated) as venue:
            venue_desk.base_url = venue.base_url
            async with CoinbaseClient(desk(venue.base_url), BRIEF) as client:
                await client.report(at, profile_id, HASTE)
                return venue.asked

    assert len(orders(run(work()))) == 1


def test_an_order_whose_answer_was_lost_is_found_and_not_given_again():
    pages, asked = fetched(Desk(lost=True))
    assert len(orders(asked)) == 1
    assert pages[1].body == CSV


def test_an_order_that_nobody_heard_is_given_again_but_not_for_ever():
    with pytest.raises(Unreachable, match="POST /reports for portfolio desk at coinbase answered 503"):
        fetched(Desk(deaf=True))


def test_a_report_that_is_gone_before_it_was_fetched_is_ordered_anew():
    pages, asked = fetched(Desk(gone_files=1))
    assert len(orders(asked)) == 2
    assert json.loads(pages[0].body)["id"] == "report-2"
    with pytest.raises(Unreachable, match="Each of 3 balance reports was gone before it was fetched"):
        fetched(Desk(gone_files=9))


@pytest.mark.parametrize(
    ("venue_desk", "error", "complaint"),
    [
        (Desk(["failed"]), Refused, "failed at the venue"),
        (Desk(["pending"]), Unreachable, "was still pending after 0.5 s"),
        (Desk(["hanging"]), Unreadable, "did not reply in the published shape"),
        (Desk(files="2"), Refused, "lies in 2 files"),
        (Desk(host="http://www.example.com"), Refused, "does not lie under an https address"),
        (Desk(host=""), Refused, "does not lie under an https address"),
    ],
    ids=["failed", "never ready", "unknown state", "two files", "in clear", "no host"],
)
def test_what_cannot_be_had_is_said(venue_desk, error: type[VenueError], complaint: str):
    with pytest.raises(error, match=complaint) as told:
        fetched(venue_desk)
    assert "s3cret" not in str(told.value)
