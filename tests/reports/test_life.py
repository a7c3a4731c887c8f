"""pending → creating → ready or failed; a ready one expires. Whoever dies, and wherever, each is made, and the evidence stays."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import httpx
import pytest

from pipelines import filing, publications, statements
from pipelines.errors import MachineError
from pipelines.reports import making
from pipelines.reports.making import drain, workshop
from tests.exports import january
from tests.reports.house import CLOSE, OFFICIAL, TREASURY, publish

WEEK = timedelta(days=7)


def test_a_report_is_made_and_fetched(house) -> None:
    client = house.client("treasury")
    asked = client.ask(datetime=CLOSE)
    assert house.desk.requests.claim()["id"] == asked
    assert client.report(asked)["status"] == "creating"
    house.make()  # the first maker is gone, this one takes over
    shown = client.report(asked)
    assert (shown["status"], shown["file_count"], shown["reason"]) == ("ready", "1", None)
    assert shown["created_at"] < shown["completed_at"] < shown["expires_at"]
    reply = client.fetch(asked)
    with publications.newest(house.home) as newest:
        expected = filing.form_of(statements.Answer(newest, statements.Question(january.CLOSE, portfolio="treasury")), "csv")
    assert reply.content == expected
    assert reply.headers["cache-control"] == "private, no-store"
    assert reply.headers["content-disposition"] == 'attachment; filename="treasury_portfolio_20250201T000000Z_v1.csv"'


def test_after_a_week_the_link_is_gone_and_the_evidence_is_not(house) -> None:
    client = house.client("treasury")
    asked = client.ask(datetime=CLOSE, format="pdf")
    house.make()
    link, before = client.report(asked)["file_url"], client.fetch(asked).content
    house.clock.ahead = WEEK - timedelta(minutes=1)
    assert httpx.get(link, trust_env=False).content == before
    house.clock.ahead = WEEK + timedelta(minutes=1)
    gone = httpx.get(link, trust_env=False)
    assert (gone.status_code, gone.json()["message"].split(" at ")[0]) == (410, "This link expired")
    shown = client.report(asked)
    assert (shown["status"], shown["file_url"]) == ("expired", None)
    assert asked not in [one["id"] for one in client.get("/reports?ignore_expired=true").json()]
    assert asked in [one["id"] for one in client.get("/reports").json()]
    stored = list(house.desk.folder.iterdir())
    again = client.ask(datetime=CLOSE, format="pdf")
    house.make()
    assert client.fetch(again).content == before
    assert list(house.desk.folder.iterdir()) == stored


def test_the_same_question_is_answered_with_the_stored_bytes(house, monkeypatch) -> None:
    client, other = house.client("treasury"), house.client()
    client.ask(datetime=CLOSE)
    house.make()
    body = OFFICIAL | {"balance": {"datetime": CLOSE}, "profile_id": TREASURY}
    monkeypatch.setattr(filing, "write", None)  # nothing is made any more, it is found
    again, same = client.ask(datetime=CLOSE), other.post(body)
    house.make()
    assert client.report(again)["status"] == other.report(same.json()["id"])["status"] == "ready"


def test_a_new_publication_is_a_new_answer_and_the_old_one_stays(house, tmp_path) -> None:
    client = house.client("treasury")
    old = client.ask(datetime=CLOSE)
    house.make()
    later = january.PUBLICATIONS.with_columns(publication_id=413)
    less = january.POSTINGS.filter(~((january.POSTINGS["account_id"] == 1) & (january.POSTINGS["event_id"] == "2")))
    publish(house.home, january.write(tmp_path / "000413.duckdb", publications=later, postings=less))
    new = client.ask(datetime=CLOSE)
    house.make()
    assert sorted(path.name for path in house.desk.folder.iterdir()) == [f"treasury_portfolio_20250201T000000Z_v{n}.csv" for n in (1, 2)]
    assert client.fetch(old).content != client.fetch(new).content


def test_a_stored_file_that_was_changed_is_not_handed_out_and_is_made_again(house) -> None:
    client = house.client("treasury")
    asked = client.ask(datetime=CLOSE)
    house.make()
    issued = client.fetch(asked).content
    path = next(house.desk.folder.iterdir())
    path.write_bytes(issued.replace(b"12.5", b"13.5", 1))
    assert client.fetch(asked).status_code == 503
    again = client.ask(datetime=CLOSE)
    house.make()
    assert client.fetch(again).content == issued
    assert client.fetch(asked).content == issued


def test_a_revoked_keys_links_are_gone(house) -> None:
    client = house.client("treasury")
    asked = client.ask(datetime=CLOSE)
    house.make()
    link = client.report(asked)["file_url"]
    house.ring.revoke(client.key.id)
    assert httpx.get(link, trust_env=False).status_code == 410


def test_what_cannot_be_made_fails_with_its_reason(house) -> None:
    client = house.client("treasury")
    asked, fine = client.ask(datetime=CLOSE), client.ask(datetime=CLOSE)
    with house.desk.store.begin() as transaction:
        transaction.exec_driver_sql(f"UPDATE requests SET portfolio = 'gone' WHERE id = '{asked}'")
    everybody = house.client()
    house.make()
    shown = everybody.report(asked)
    assert (shown["status"], shown["file_url"]) == ("failed", None)
    assert shown["reason"].startswith("There is no portfolio 'gone' in this book.")
    assert client.report(fine)["status"] == "ready"


def test_what_may_pass_is_tried_three_times(house, monkeypatch) -> None:
    client, tries = house.client("treasury"), []

    def full_disk(*_: object) -> None:
        tries.append(1)
        raise MachineError("The disk is full.", "Make room.")

    monkeypatch.setattr(filing, "write", full_disk)
    asked = client.ask(datetime=CLOSE)
    house.make()
    assert (client.report(asked)["status"], client.report(asked)["reason"], len(tries)) == ("failed", "The disk is full. Make room.", 3)


def test_a_bug_of_ours_tells_no_secret(house, monkeypatch) -> None:
    monkeypatch.setattr(filing, "write", lambda *_: {}[f"{house.home.root}"])
    client = house.client("treasury")
    asked = client.ask(datetime=CLOSE)
    house.make()
    assert client.report(asked)["reason"] == "A bug of ours: KeyError."


def test_a_request_whose_maker_always_dies_is_given_up(house) -> None:
    client = house.client("treasury")
    asked = client.ask(datetime=CLOSE)
    for _ in range(3):
        house.desk.requests.recover()
        assert house.desk.requests.claim()["id"] == asked
    house.make()
    assert client.report(asked)["status"] == "failed"
    assert client.report(asked)["reason"].startswith("Its maker ended without a word three times")


def test_one_maker_at_a_time(house) -> None:
    client = house.client("treasury")
    client.ask(datetime=CLOSE)
    with workshop(house.home) as mine:
        assert mine
        assert drain(house.desk) is None
    assert len(drain(house.desk) or []) == 1


def test_makers_that_meet_make_each_once(house, monkeypatch) -> None:
    made: list[str] = []
    really = making._make
    monkeypatch.setattr(making, "_make", lambda desk, row, say: (made.append(row["id"]), really(desk, row, say))[1])
    asked = [house.client("treasury").ask(datetime=f"2025-01-{day:02}T00:00:00Z") for day in range(2, 7)]

    def work() -> None:
        while house.desk.requests.pending():
            drain(house.desk)
            time.sleep(0.02)

    makers = [threading.Thread(target=work) for _ in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert sorted(made) == sorted(asked)


def test_a_key_has_so_many_open_requests_and_no_more(house) -> None:
    client, other = house.client("treasury"), house.client("treasury")
    for _ in range(5):
        client.ask(datetime=CLOSE)
    reply = client.post(OFFICIAL)
    assert (reply.status_code, reply.json()) == (429, {"message": "The key has 5 open requests; wait until one has ended."})
    other.ask(datetime=CLOSE)
    house.make()
    client.ask(datetime=CLOSE)


def test_the_limit_holds_for_requests_that_come_at_once(house) -> None:
    client = house.client("treasury")
    said: list[int] = []
    askers = [threading.Thread(target=lambda: said.append(client.post(OFFICIAL).status_code)) for _ in range(16)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert sorted(said) == [200] * 5 + [429] * 11


@pytest.mark.parametrize("form", ["csv", "bundle"])
def test_a_publication_that_goes_away_meanwhile_changes_nothing(house, form) -> None:
    client = house.client("treasury")
    asked = client.ask(datetime=CLOSE, format=form)
    house.home.publication.unlink()
    house.make()
    assert client.report(asked)["status"] == "failed"
    assert client.report(asked)["reason"].startswith("Nothing has been published here yet.")
