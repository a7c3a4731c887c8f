"""What may be asked, in Coinbase's spelling and ours, and how it is understood."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.reports.directory import profile_id
from tests.reports.house import CLOSE, OFFICIAL, TREASURY, VAULT, Client, House, listening

FORMS = {"pdf": b"%PDF", "csv": b"as_of,known_at", "json": b"{\n", "xlsx": b"PK", "parquet": b"PAR1", "bundle": b"PK"}
SUFFIXES = {"bundle": "zip"}


@pytest.fixture(scope="module")
def house(tmp_path_factory, january_book) -> Iterator[House]:
    with listening(tmp_path_factory.mktemp("house") / "home", january_book) as opened:
        yield opened


@pytest.fixture(scope="module")
def treasury(house) -> Client:
    return house.client("treasury")


@pytest.fixture(scope="module")
def everybody(house) -> Client:
    return house.client()


@pytest.fixture(autouse=True)
def nothing_waits(house) -> Iterator[None]:
    yield
    with house.desk.store.begin() as transaction:
        transaction.exec_driver_sql("UPDATE requests SET status = 'failed' WHERE status = 'pending'")


def asked(client: Client, body: dict) -> dict:
    reply = client.post(body)
    assert reply.status_code == 200, reply.text
    assert reply.json() == {"id": reply.json()["id"], "type": "balance", "status": "pending"}
    return client.report(reply.json()["id"])


def test_the_body_in_coinbases_documentation_works_unchanged(treasury) -> None:
    shown = asked(treasury, OFFICIAL)
    assert (shown["status"], shown["completed_at"], shown["file_url"], shown["file_count"]) == ("pending", None, None, None)
    begun, ends = (datetime.fromisoformat(shown[name]) for name in ("created_at", "expires_at"))
    assert ends - begun == timedelta(days=7)
    assert shown["params"] == {
        "format": "csv", "email": "user1@example.com", "datetime": "2022-02-25T05:00:00Z", "profile_id": TREASURY, "user": {},
        "group_by_profile": True, "group_by": "portfolio", "calendar": "utc", "known_at": None, "new_york_state": False,
        "start_date": None, "end_date": None, "product_id": None, "account_id": None,
    }  # fmt: skip


def test_a_body_with_every_field_of_its_specification_works(treasury) -> None:
    whole = {
        "type": "balance", "year": "2024", "format": "pdf", "email": "", "profile_id": TREASURY,
        "account": {"start_date": "2020-02-25T03:11:42.164Z", "end_date": "2020-03-26T02:11:42.164Z", "account_id": "ALL"},
        "balance": {"datetime": CLOSE, "group_by_profile": True}, "fills": {"product_id": "ALL"}, "otc-fills": {},
        "rfq_fills": {"product_id": "ALL"}, "tax-invoice": {"start_date": ""},
    }  # fmt: skip
    assert asked(treasury, whole)["params"]["datetime"] == CLOSE


def test_the_format_is_pdf_unless_said(treasury) -> None:
    assert asked(treasury, {"type": "balance", "balance": {"datetime": CLOSE}})["params"]["format"] == "pdf"


@pytest.mark.parametrize("balance", [{}, {"datetime": ""}])
def test_without_an_instant_it_is_now(house, treasury, balance) -> None:
    shown = asked(treasury, {"type": "balance", "balance": balance})
    assert abs(datetime.fromisoformat(shown["params"]["datetime"]) - house.clock()) < timedelta(seconds=5)
    assert shown["params"]["datetime"][:19] == shown["created_at"][:19], "the second in which it was asked"


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("2025-01-31T00:00:00Z", "2025-01-31T00:00:00Z"),
        ("2025-01-31T10:34:47.123456Z", "2025-01-31T10:34:47Z"),
        ("2025-01-31T10:34:47", "2025-01-31T10:34:47Z"),  # without a zone: UTC
        ("2025-01-31T01:00:00+01:00", "2025-01-31T00:00:00Z"),
        ("2025-01-31", "2025-01-31T00:00:00Z"),
    ],
)
def test_instants_are_utc_and_whole_seconds(treasury, text, understood) -> None:
    assert asked(treasury, {"type": "balance", "balance": {"datetime": text}})["params"]["datetime"] == understood


@pytest.mark.parametrize(
    ("balance", "top", "by"),
    [
        ({}, {}, "portfolio"),
        ({"group_by": "asset"}, {}, "asset"),
        ({"group_by_profile": False}, {}, "asset"),
        ({"group_by_portfolio_id": True}, {}, "portfolio"),
        ({}, {"group_by_profile": False}, "asset"),
        ({"group_by": "asset", "group_by_portfolio_id": False}, {"group_by_profile": False}, "asset"),
    ],
)
def test_the_grouping_however_it_is_spelled(everybody, balance, top, by) -> None:
    assert asked(everybody, {"type": "balance", "balance": balance, **top})["params"]["group_by"] == by


def test_the_end_of_a_day_in_a_calendar(treasury) -> None:
    shown = asked(treasury, {"type": "balance", "balance": {"day": "2025-01-31", "calendar": "new_york"}})
    assert (shown["params"]["datetime"], shown["params"]["calendar"]) == ("2025-01-31T22:00:00Z", "new_york")


REFUSED = {
    "no type": ({"balance": {}}, "type: Field required"),
    "another type": ({"type": "fills", "fills": {}}, "Reports of type fills are not made here. Ask for type balance."),
    "an unknown type": ({"type": "weather"}, "type: Input should be 'account', 'balance'"),
    "no balance": ({"type": "balance"}, "balance is required for reports of type balance."),
    "an unknown format": ({"type": "balance", "format": "docx", "balance": {}}, "format: Input should be"),
    "the future": ({"type": "balance", "balance": {"datetime": "2125-01-01T00:00:00Z"}}, "balance.datetime lies in the future."),
    "before the epoch": ({"type": "balance", "balance": {"datetime": "0001-01-01T00:00:00Z"}}, "balance.datetime lies before the epoch."),
    "no instant": ({"type": "balance", "balance": {"datetime": "soon"}}, "balance.datetime is not an instant."),
    "a number": ({"type": "balance", "balance": {"datetime": 1}}, "balance.datetime: Input should be a valid string"),
    "known in the future": ({"type": "balance", "balance": {"known_at": "2125-01-01"}}, "balance.known_at lies in the future."),
    "a misspelled field": ({"type": "balance", "balance": {"knwon_at": CLOSE}}, "balance.knwon_at: Extra inputs are not permitted"),
    "an unknown calendar": ({"type": "balance", "balance": {"calendar": "mars"}}, "The book has no calendar of this name; it has new_"),
    "no day": ({"type": "balance", "balance": {"day": "2025-02-30"}}, "balance.day is not a day."),
    "a day that has not ended": ({"type": "balance", "balance": {"day": "2125-02-28"}}, "The end of balance.day lies in the future."),
    "two instants": ({"type": "balance", "balance": {"day": "2025-01-31", "datetime": CLOSE}}, "balance.datetime and balance.day are two"),
    "two groupings": ({"type": "balance", "balance": {"group_by": "asset", "group_by_profile": True}}, "The grouping is said twice"),
    "no address": ({"type": "balance", "balance": {}, "email": "somebody"}, "email: String should match pattern"),
    "two addresses": ({"type": "balance", "balance": {}, "email": "a@b.example,c@d.example"}, "email: String should match pattern"),
    "a header in the address": ({"type": "balance", "balance": {}, "email": "a@b.example\nBcc: c@d.example"}, "email: String should match"),
    "no object": ([], "The body: Input should be a valid dictionary"),
    "no JSON": (b"{", "The body is not JSON."),
    "no UTF-8": (b"\xff\xfe", "The body is not JSON."),
    "a deep hole": (b"[" * 50_000, "There was an error parsing the body"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_answered_says_why(treasury, case) -> None:
    body, message = REFUSED[case]
    reply = treasury.post(body)
    assert reply.status_code == 400
    assert reply.json()["message"].startswith(message)
    assert list(reply.json()) == ["message"]


def test_a_key_of_two_portfolios_says_which(house) -> None:
    client = house.client("treasury", "vault")
    reply = client.post({"type": "balance", "balance": {}})
    assert (reply.status_code, reply.json()["message"]) == (400, "The key opens 2 portfolios of this book. Say which one by profile_id.")
    assert asked(client, {"type": "balance", "balance": {}, "profile_id": VAULT})["params"]["profile_id"] == VAULT


@pytest.mark.parametrize("portfolio", ["treasury", "perps", "shop", "vault"])
def test_every_portfolio_of_every_venue_has_a_profile_id(house, portfolio) -> None:
    own = asked(house.client(portfolio), {"type": "balance", "balance": {}})["params"]["profile_id"]
    assert asked(house.client(), {"type": "balance", "balance": {}, "profile_id": own})["params"]["profile_id"] == own


def test_a_profile_id_is_the_venues_or_never_changes() -> None:
    assert profile_id("treasury", "acme", "coinbase", TREASURY) == TREASURY
    assert profile_id("shop", "acme", "cryptofuse", None) == "79c42e2c-15c0-5f0f-8438-393932c648b5"


def test_every_format_is_made_for_one_and_for_all_portfolios(house, everybody) -> None:
    ids = {form: everybody.ask(datetime=CLOSE, format=form) for form in FORMS}
    assert {row["status"] for row in house.make()} == {"ready"}
    for form, report_id in ids.items():
        reply = everybody.fetch(report_id)
        assert reply.content.startswith(FORMS[form]), form
        assert f"all_portfolio_20250201T000000Z_v1.{SUFFIXES.get(form, form)}" in reply.headers["content-disposition"]


def test_what_was_known_earlier(house, treasury) -> None:
    now, before = treasury.ask(datetime=CLOSE), treasury.ask(datetime=CLOSE, known_at="2025-01-21T00:00:00Z")
    house.make()
    assert treasury.report(before)["params"]["known_at"] == "2025-01-21T00:00:00.000000Z"
    assert len(treasury.fetch(now).text.splitlines()) > 3
    assert treasury.fetch(before).text.splitlines()[1:] == [], "nothing had been recorded yet"


def test_the_list(house, treasury, everybody) -> None:
    first = treasury.report(treasury.ask(datetime=CLOSE))
    second = everybody.report(everybody.ask(datetime=CLOSE))

    def seen(client: Client, query: str = "") -> list[str]:
        return [one["id"] for one in client.get(f"/reports{query}").json()]

    assert seen(everybody)[:2] == [second["id"], first["id"]], "newest first"
    assert seen(treasury)[0] == first["id"]
    assert second["id"] not in seen(treasury), "all portfolios are more than this key opens"
    assert seen(everybody, f"?profile_id={TREASURY}&limit=1") == [first["id"]]
    assert seen(everybody, f"?after={first['created_at']}") == [second["id"]]
    assert seen(everybody, "?type=fills") == []
    assert seen(everybody, "?type=balance&ignore_expired=true&limit=1") == [second["id"]]
    assert everybody.get("/reports?limit=0").status_code == 400
    assert everybody.get("/reports?after=yesterday").json() == {"message": "after is not an instant. Write it as 2025-02-01T00:00:00Z."}


def test_an_address_is_shown_to_the_key_that_gave_it(house, treasury) -> None:
    shown = asked(treasury, OFFICIAL)
    assert house.client("treasury").report(shown["id"])["params"]["email"] is None


def test_before_the_first_publication_the_answer_is_not_yet(house, treasury) -> None:
    target = house.home.publication.readlink()
    house.home.publication.unlink()
    try:
        reply = treasury.post({"type": "balance", "balance": {}})
    finally:
        house.home.publication.symlink_to(target)
    assert (reply.status_code, reply.json()["message"].split(";")[0]) == (503, "Nothing has been published here yet")


def test_a_second_is_utc(treasury) -> None:
    assert datetime.fromisoformat(asked(treasury, OFFICIAL)["created_at"]).tzinfo == UTC
