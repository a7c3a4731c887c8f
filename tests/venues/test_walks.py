"""Walking back through a history over a real socket: everything once, no loop, no early end."""

from datetime import timedelta

import pytest

from pipelines import venues
from pipelines.errors import Refused, Unreachable, Unreadable
from pipelines.venues import PriceClient, wire
from tests.ledger_text import D, instant
from tests.venues.serving import HURRIED, NOW, Answer, Venue, desk, perps, prices, run, shop

SINCE = instant("2024-01-03")


def walk(script, portfolio, since=None, account=None, **more):
    async def work():
        async with Venue(script) as venue, venues.connect(portfolio(venue.base_url, **more), HURRIED, lambda: NOW) as client:
            return [page async for page in client.history(account, since)], venue.asked

    return run(work())


def day(n):
    return f"2024-01-{n:02}T00:00:00Z"


def entry(n):
    return {"id": str(n), "created_at": day(n % 28 + 1), "amount": "1", "balance": str(n), "type": "match"}


def ledger(ids, cap=1000):
    def script(asked):
        after = int(asked.query.get("after", 10**9))
        rows = [entry(n) for n in sorted(ids, reverse=True) if n < after][: min(int(asked.query["limit"]), cap)]
        return Answer(rows, headers={"CB-AFTER": rows[-1]["id"], "CB-BEFORE": rows[0]["id"]} if rows else {})

    return script


def test_a_ledger_is_asked_with_both_dates_and_followed_to_its_end():
    pages, asked = walk(ledger(range(1, 26)), desk, account="a1", page_size=10)
    assert [page.request for page in pages] == [f"GET {a.target}" for a in asked]
    assert {(a.path, a.query["start_date"], a.query["end_date"], a.query["limit"]) for a in asked} == {
        ("/accounts/a1/ledger", "2012-01-01T00:00:00Z", "2025-06-02T00:00:00Z", "10")
    }
    assert [a.query.get("after") for a in asked] == [None, "16", "6"]
    assert wire.read_history("coinbase", pages).rows["event_id"].to_list() == [str(n) for n in range(1, 26)]


def test_a_ledger_since_an_instant_includes_the_whole_second_of_it():
    _, asked = walk(ledger([1]), desk, instant("2024-01-03T10:00:00.999999Z"), "a1")
    assert asked[0].query["start_date"] == "2024-01-03T10:00:00Z"
    assert asked[0].query["limit"] == "1000"


def test_a_venue_that_cuts_our_limit_to_a_hundred_does_not_end_the_walk():
    pages, _ = walk(ledger(range(1, 251), cap=100), desk, account="a1")
    assert wire.read_history("coinbase", pages).rows.height == 250


def test_an_empty_ledger_is_one_empty_page():
    pages, asked = walk(ledger([]), desk, account="a1")
    assert [page.body for page in pages] == [b"[]"]
    assert len(asked) == 1


def test_a_cursor_given_twice_is_refused():
    with pytest.raises(Unreadable, match=r"GET /accounts/a1/ledger for portfolio desk at coinbase gave the same cursor twice"):
        walk(lambda _: Answer([entry(1)], headers={"CB-AFTER": "1"}), desk, account="a1", page_size=1)


def event(n):
    return {
        "amount": "1",
        "balance": str(n),
        "pending_balance": "0",
        "event_type": "trade",
        "created_at": int(instant(day(n)).timestamp() * 1000),
    }


def by_cursor(total, **more):
    def script(asked):
        assert asked.query["include_trades"] == "true"
        start = int(asked.query.get("cursor", "c0")[1:])
        rows = [event(n) for n in range(total, 0, -1)][start : start + int(asked.query["limit"])]
        end = start + len(rows)
        return Answer(
            {"success": True, "data": rows, "next_cursor": f"c{end}", "has_more": end < total, "error": None, "code": None} | more
        )

    return script


def read_days(venue, pages):
    return [moment.day for moment in wire.read_history(venue, pages).rows["occurred_at"]]


def test_a_history_by_cursor_is_followed_while_there_is_more():
    pages, asked = walk(by_cursor(7), perps, page_size=3)
    assert read_days("pacifica", pages) == [1, 2, 3, 4, 5, 6, 7]
    assert len(asked) == 3


def test_a_walk_stops_after_the_page_that_shows_something_older():
    pages, asked = walk(by_cursor(9), perps, SINCE, page_size=2)
    assert read_days("pacifica", pages) == [2, 3, 4, 5, 6, 7, 8, 9]
    assert len(asked) == 4


def test_a_row_at_the_very_instant_does_not_stop_the_walk():
    _, asked = walk(by_cursor(3), perps, SINCE, page_size=1)
    assert len(asked) == 2


def test_a_list_that_is_not_newest_first_is_read_to_its_end():
    def script(asked):
        rows = {None: [event(5), event(9), event(2)], "c1": [event(8), event(1)]}[asked.query.get("cursor")]
        return Answer(
            {
                "success": True,
                "data": rows,
                "next_cursor": None if "cursor" in asked.query else "c1",
                "has_more": "cursor" not in asked.query,
            }
        )

    assert len(walk(script, perps, SINCE)[0]) == 2


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        ({"has_more": True, "next_cursor": "c1"}, "same cursor twice"),
        ({"has_more": True, "next_cursor": "c1", "data": []}, "empty page with a cursor"),
        ({"has_more": True, "next_cursor": ""}, "promised more rows and gave no cursor"),
        ({"data": {}}, "published shape"),
    ],
)
def test_a_walk_that_cannot_end_is_refused(reply, complaint):
    with pytest.raises(Unreadable, match=complaint):
        walk(by_cursor(2, **reply), perps)


def test_the_older_form_without_cursors_is_walked_by_offset():
    def script(asked):
        start = int(asked.query.get("offset", 0))
        return Answer({"success": True, "data": [event(n) for n in range(5, 0, -1)][start : start + 2]})

    pages, asked = walk(script, perps)
    assert read_days("pacifica", pages) == [1, 2, 3, 4, 5]
    assert [a.query.get("offset") for a in asked] == [None, "2", "4", "5"]


@pytest.mark.parametrize(
    "body", [{"success": False, "error": "Account not found", "code": 1}, {"success": True, "data": [], "error": "Beta access required"}]
)
def test_a_failure_under_a_good_status_is_a_refusal(body):
    with pytest.raises(Refused, match=body["error"]):
        walk(lambda _: Answer(body), perps)


def test_a_key_makes_a_page_of_history_cheap_and_without_one_the_address_pays():
    cheap, dear = (_used(by_cursor(2), **more) for more in ({"api_key": "k"}, {}))
    assert (cheap, dear) == (3, 12)


def _used(script, **more):
    async def work():
        async with Venue(script) as venue, venues.connect(perps(venue.base_url, **more), HURRIED) as client:
            [_ async for _ in client.history(None, None)]
            assert venue.asked[0].headers.get("pf-api-key") == more.get("api_key")
            return client._limiter._used()

    return run(work())


class Merchant:
    """CryptoFuse's side: a growing list behind a token."""

    def __init__(self, rows, scopes="read write", lifetime=3600, arrivals=()):
        self.rows = [self.row(n) for n in range(rows, 0, -1)]
        self.scopes, self.lifetime, self.arrivals, self.tokens = scopes, lifetime, list(arrivals), 0

    @staticmethod
    def row(n):
        return {"timestamp": day(n), "currency": "ETH", "type": "deposit", "amount": "1", "balance_after": str(n)}

    def __call__(self, asked):
        if asked.path == "/o/token/":
            return self.token(dict(pair.split("=") for pair in asked.body.decode().split("&")))
        if asked.headers.get("authorization") != f"Bearer t{self.tokens}":
            return Answer({"error": {"code": "authentication_failed", "message": "Token expired"}}, 401)
        return {"/user/balances/": self.balances, "/user/balances/history/": self.history, "/currencies/": self.currencies}[asked.path](
            asked
        )

    def token(self, form):
        assert form["grant_type"] == "client_credentials"
        assert (form["client_id"], form["client_secret"]) == ("shop-id", "shop-secret")
        if not set(form["scope"].split("+")) <= set(self.scopes.split()):
            return Answer({"error": "invalid_scope"}, 400)
        self.tokens += 1
        return Answer({"access_token": f"t{self.tokens}", "token_type": "Bearer", "expires_in": self.lifetime, "scope": form["scope"]})

    def balances(self, _):
        if "write" not in self.scopes:
            return Answer({"error": {"code": "permission_denied", "message": "Needs read and write"}}, 403)
        return Answer({"account": {"ETH": "1"}, "sub_accounts": {}, "statistics": {}})

    def currencies(self, asked):
        assert asked.query == {"full": "true"}
        return Answer({"error": {"code": "not_found"}}, 404)

    def history(self, asked):
        if self.arrivals and self.arrivals.pop(0):
            self.rows.insert(0, self.row(len(self.rows) + 1))
        offset, limit = int(asked.query["offset"]), int(asked.query["limit"])
        return Answer({"history": self.rows[offset : offset + limit], "total": len(self.rows), "limit": limit, "offset": offset})


def test_a_history_by_offset_is_read_from_the_head_to_its_count():
    pages, asked = walk(Merchant(5), shop, page_size=3)
    assert read_days("cryptofuse", pages) == [1, 2, 3, 4, 5]
    assert [a.query.get("offset") for a in asked[1:]] == ["0", "2"], "each page begins with the last row of the one before"


def test_a_walk_by_offset_stops_after_something_older():
    pages, _ = walk(Merchant(9), shop, SINCE, page_size=2)
    assert read_days("cryptofuse", pages) == [2, 3, 4, 5, 6, 7, 8, 9]


def test_rows_that_arrive_at_the_head_during_the_walk_are_met_again_and_read_once():
    pages, asked = walk(Merchant(9, arrivals=[False, True]), shop, page_size=4)
    assert read_days("cryptofuse", pages) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert [a.query.get("offset") for a in asked[1:]] == ["0", "3", "6"]


class Reshuffled(Merchant):
    """Something happens to the list between its first page and its second, in the first walk only."""

    def __init__(self, change):
        super().__init__(5)
        self.change = change

    def history(self, asked):
        if asked.query["offset"] != "0" and self.change:
            self.change(self.rows)
            self.change = None
        return super().history(asked)


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda rows: rows.pop(0), [1, 2, 3, 4]),
        (lambda rows: rows.insert(4, Merchant.row(9)), [1, 9, 2, 3, 4, 5]),
    ],
    ids=["a row is taken away", "a row is put in further down"],
)
def test_a_list_that_moved_elsewhere_is_walked_again_from_its_head(change, left):
    pages, asked = walk(Reshuffled(change), shop, page_size=3)
    assert [a.query.get("offset") for a in asked[1:]][:3] == ["0", "2", "0"]
    assert read_days("cryptofuse", pages) == left


@pytest.mark.parametrize("shown", [[5, 5, 4, 3], [5, 5, 4]], ids=["beside the others", "pushing another out"])
def test_a_row_shown_twice_on_a_page_makes_the_walk_begin_again(shown):
    merchant = Merchant(5)

    def script(asked):
        if asked.query.get("offset") == "0" and shown:
            rows = [Merchant.row(n) for n in shown]
            shown.clear()
            return Answer({"history": rows, "total": 5, "limit": 3, "offset": 0})
        return merchant(asked)

    assert read_days("cryptofuse", walk(script, shop, page_size=3)[0]) == [1, 2, 3, 4, 5]


def test_a_list_that_never_stands_still_is_given_up():
    with pytest.raises(Unreachable, match="during each of 5 walks"):
        walk(Merchant(5, arrivals=[True] * 100), shop, page_size=2)


def test_rows_promised_and_not_given_are_not_a_smaller_book():
    def script(asked):
        return Answer({"access_token": "t"}) if asked.method == "POST" else Answer({"history": [], "total": 3, "limit": 2, "offset": 0})

    with pytest.raises(Unreachable, match="during each of 5 walks"):
        walk(script, shop)


def with_shop(merchant, work, **more):
    async def doing():
        async with Venue(merchant) as venue, venues.connect(shop(venue.base_url, **more), HURRIED) as client:
            return await work(client), venue.asked

    return run(doing())


def test_a_token_is_asked_for_once_and_again_when_refused():
    merchant = Merchant(1)

    async def work(client):
        await client.balances()
        merchant.tokens += 1  # the venue forgets our token
        return await client.balances()

    _, asked = with_shop(merchant, work)
    assert [a.path for a in asked] == ["/o/token/", "/user/balances/", "/user/balances/", "/o/token/", "/user/balances/"]


def test_a_token_refused_twice_is_a_refusal():
    def script(asked):
        return Answer({"access_token": "t"}) if asked.method == "POST" else Answer({"error": {"message": "no"}}, 401)

    with pytest.raises(Refused, match="token is not accepted"):
        with_shop(script, lambda client: client.balances())


def test_a_token_about_to_end_is_renewed_before_it_does(monkeypatch):
    merchant = Merchant(1, lifetime=90)
    now = [1000.0]
    monkeypatch.setattr("pipelines.venues.cryptofuse.client.time.monotonic", lambda: now[0])

    async def work(client):
        await client.balances()
        now[0] += 44
        await client.balances()
        now[0] += 2
        return await client.balances()

    _, asked = with_shop(merchant, work)
    assert [a.method for a in asked] == ["POST", "GET", "GET", "POST", "GET"]


def test_wrong_credentials_are_refused_at_once():
    with pytest.raises(Refused, match=r"POST /o/token/ for portfolio shop at cryptofuse was refused with 401 .invalid_client"):
        with_shop(lambda _: Answer({"error": "invalid_client"}, 401), lambda client: client.balances())


def test_a_key_that_only_reads_gives_history_but_no_live_balances():
    async def work(client):
        pages = [page async for page in client.history(None, None)]
        with pytest.raises(Refused, match="Needs read and write"):
            await client.balances()
        return pages, await client.currencies()

    (pages, currencies), _ = with_shop(Merchant(3, scopes="read"), work)
    assert read_days("cryptofuse", pages) == [1, 2, 3]
    assert currencies == []


T0 = instant("2024-01-01")


def hours(script, since, until):
    async def work():
        async with Venue(script) as venue, PriceClient(prices(venue.base_url), HURRIED) as client:
            return [page async for page in client.candles("BTC-USD", since, until)], venue.asked

    return run(work())


def market(asked):
    """Inclusive at both ends, at most 300 steps, newest first, as published."""
    start, end = (int(instant(asked.query[name]).timestamp()) for name in ("start", "end"))
    if (end - start) / 3600 > 300:
        return Answer({"message": "Count of aggregations requested exceeds 300"}, 400)
    return Answer([[at, 1, 2, 1, 2, at % 7] for at in range(start, end + 1, 3600)][::-1])


def test_candles_are_asked_in_windows_that_share_no_hour():
    pages, asked = hours(market, T0, T0 + timedelta(hours=700))
    assert [(a.query["start"], a.query["end"]) for a in asked] == [
        ("2024-01-01T00:00:00Z", "2024-01-13T11:00:00Z"),
        ("2024-01-13T12:00:00Z", "2024-01-25T23:00:00Z"),
        ("2024-01-26T00:00:00Z", "2024-01-30T03:00:00Z"),
    ]
    starts = wire.read_candles(pages).rows["start"].to_list()
    assert starts == [T0 + timedelta(hours=n) for n in range(700)]


def test_bounds_off_the_hour_ask_for_the_hours_that_start_between_them():
    _, asked = hours(market, T0 + timedelta(minutes=1), T0 + timedelta(hours=2, minutes=1))
    assert [(a.query["start"], a.query["end"]) for a in asked] == [("2024-01-01T01:00:00Z", "2024-01-01T02:00:00Z")]


def test_an_empty_answer_is_asked_once_more():
    answers = [Answer([]), Answer([[1704067200, 1, 2, 1, 2, 3]])]
    pages, _ = hours(answers, T0, T0 + timedelta(hours=1))
    assert wire.read_candles(pages).rows["volume"].to_list() == [D(3)]
    pages, asked = hours(lambda _: Answer([]), T0, T0 + timedelta(hours=1))
    assert (len(pages), len(asked)) == (2, 2)


def with_hole(asked):
    """Every hour but one traded, and the venue forgets a second one in its first answer."""
    gone = {3, 5} if len(FORGOTTEN) == 0 else {3}
    FORGOTTEN.append(asked)
    return Answer([[int((T0 + timedelta(hours=n)).timestamp()), 1, 2, 1, 2, 3] for n in range(24) if n not in gone])


FORGOTTEN = []


def test_a_hole_in_a_liquid_market_is_asked_once_more_and_what_comes_is_added():
    FORGOTTEN.clear()
    pages, asked = hours(with_hole, T0, T0 + timedelta(hours=24))
    assert len(asked) == 2
    assert wire.read_candles(pages).rows.height == 23


def test_gaps_of_a_market_that_seldom_trades_are_believed():
    _, asked = hours(lambda _: Answer([[int(T0.timestamp()), 1, 2, 1, 2, 3]]), T0, T0 + timedelta(hours=24))
    assert len(asked) == 1


def test_no_hours_are_no_question():
    assert hours(market, T0, T0) == ([], [])


def test_the_venue_s_clock_and_its_products():
    async def work():
        answers = [Answer({"iso": "2024-01-01T00:00:00.504Z", "epoch": 1704067200.504}), Answer([]), Answer({"message": "?"})]
        async with Venue(answers) as venue, PriceClient(prices(venue.base_url), HURRIED) as client:
            now, products = await client.time(), await client.products()
            with pytest.raises(Unreadable, match="message"):
                await client.products()
            return now, products

    now, products = run(work())
    assert now == instant("2024-01-01T00:00:00.504Z")
    assert (products.request, products.portfolio) == ("GET /products", "")
