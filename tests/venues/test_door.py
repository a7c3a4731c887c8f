"""The one door: what is asked again, what is not, and what never gets out."""

import asyncio
import logging
import time

import pytest

from pipelines import venues
from pipelines.errors import ConfigError, RateLimited, Refused, Unreachable, Unreadable
from pipelines.venues import Patience
from tests.venues.serving import HURRIED, SECRET, Answer, Venue, desk, perps, run, shop

FINE = Answer([])
GONE = "http://127.0.0.1:9"  # the discard port: nobody listens


async def balances(venue, patience=HURRIED, **more):
    async with venues.connect(desk(venue.base_url, **more), patience) as client:
        return await client.balances()


def ask(script, patience=HURRIED, **more):
    async def work():
        async with Venue(script) as venue:
            try:
                return (await balances(venue, patience, **more))[0], venue.asked
            except Exception as error:
                return error, venue.asked

    return run(work())


@pytest.mark.parametrize(
    "trouble",
    [
        Answer({"message": "slow down"}, 429),
        Answer({"message": "slow down"}, 429, {"Retry-After": "0"}),
        Answer({"message": "slow down"}, 429, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}),
        Answer({"message": "Private rate limit exceeded"}, 400),
        Answer(b"", 408),
        Answer(b"oops", 500),
        Answer(b"<html>", 503),
        Answer([{"id": "a long enough body"}], cut=7),
        Answer([], cut=2),
    ],
    ids=lambda a: f"{a.status} {a.headers or ''} {'cut' if a.cut else ''}",
)
def test_trouble_that_passes_is_asked_again(trouble):
    page, asked = ask([trouble, trouble, FINE])
    assert page.body == b"[]"
    assert len(asked) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 422, 302])
def test_a_no_is_not_asked_again(status):
    error, asked = ask(lambda _: Answer({"message": "Forbidden"}, status, {"Location": "/elsewhere"}))
    assert type(error).__mro__[1] is Refused
    assert str(error).startswith(f"GET /accounts for portfolio desk at coinbase was refused with {status} (Forbidden).")
    assert error.todo
    assert len(asked) == 1


@pytest.mark.parametrize("body", [b"<html>garbage", b'{"a": NaN}', b"[" * 50_000])
def test_garbage_is_not_asked_again(body):
    error, asked = ask(lambda _: Answer(body))
    assert isinstance(error, Unreadable)
    assert len(asked) == 1


def test_a_storm_ends_after_the_attempts_and_says_who_did_not_answer():
    error, asked = ask(lambda _: Answer(b"", 500))
    assert isinstance(error, Unreachable)
    assert error.again
    assert str(error).startswith("GET /accounts for portfolio desk at coinbase answered 500.")
    assert len(asked) == HURRIED.attempts


def test_a_storm_ends_when_the_time_is_up_however_many_attempts_are_left():
    error, asked = ask(lambda _: Answer(b"", 500), Patience(attempts=1_000, total=0.2, first=0.05, longest=0.05, jitter=0.0))
    assert isinstance(error, Unreachable)
    assert 2 <= len(asked) <= 8


def test_waiting_for_our_turn_does_not_use_up_our_patience():
    storm = [Answer(b"", 500), Answer(b"", 500), FINE]
    page, _ = ask(storm, Patience(attempts=3, total=0.15, first=0.01, longest=0.01, jitter=0.0), rate=5.0, burst=1)
    assert page.body == b"[]"


def test_no_more_are_on_the_way_than_the_burst_holds():
    """What reaches a venue while it pauses is counted together."""
    came = []

    def script(_):
        came.append(time.monotonic())
        return Answer([], delay=0.05)

    async def work():
        async with Venue(script) as venue, venues.connect(desk(venue.base_url, rate=1000, burst=3), HURRIED) as client:
            await asyncio.gather(*(client.balances() for _ in range(9)))

    run(work())
    assert all(later - earlier > 0.045 for earlier, later in zip(came, came[3:], strict=False))


def test_a_wait_longer_than_our_patience_is_not_begun():
    error, asked = ask(lambda _: Answer({}, 429, {"Retry-After": "3600"}))
    assert isinstance(error, RateLimited)
    assert error.retry_after == 3600
    assert len(asked) == 1


def test_a_venue_that_tells_when_to_come_back_is_believed():
    async def work():
        async with Venue([Answer({}, 429, {"Retry-After": "0.3"}), FINE]) as venue:
            began = asyncio.get_running_loop().time()
            await balances(venue)
            return asyncio.get_running_loop().time() - began

    assert run(work()) >= 0.3


def test_nobody_at_home_is_unreachable():
    async def work():
        async with venues.connect(desk(GONE), HURRIED) as client:
            await client.balances()

    with pytest.raises(Unreachable, match="no connection"):
        run(work())


def test_a_call_has_a_deadline_over_all_of_its_parts():
    error, asked = ask(lambda _: Answer([], delay=1.0), Patience(attempts=1), timeout=0.1)
    assert isinstance(error, Unreachable)
    assert "did not answer within 0.1 s" in str(error)
    assert len(asked) == 1


def test_a_body_without_end_is_refused(monkeypatch):
    monkeypatch.setattr("pipelines.venues.http.MAX_BODY", 10)
    error, asked = ask(lambda _: Answer(b" " * 11))
    assert isinstance(error, Unreadable)
    assert len(asked) == 1


def test_a_key_that_http_cannot_carry_is_refused_without_being_printed():
    for key in ("line\nbreak", "schlüssel"):
        error, asked = ask(lambda _: FINE, key=key)
        assert isinstance(error, Refused)
        assert key not in everything_said(error)
        assert not asked


def test_a_secret_that_is_not_base64_is_a_configuration_error_without_being_printed():
    with pytest.raises(ConfigError) as caught:
        venues.connect(desk(GONE, secret="not base64!"))
    assert "not base64!" not in everything_said(caught.value)


def everything_said(error):
    """The error and whatever hangs on it, shown by a traceback or not."""
    chain = [error]
    while chain[-1].__context__:
        chain.append(chain[-1].__context__)
    return " ".join(f"{e!r} {e} {vars(e)}" for e in chain)


PORTFOLIOS = {
    "coinbase": (desk, [SECRET, "desk-key", "desk-phrase"], {}),
    "pacifica": (perps, ["pf-key-1234"], {"api_key": "pf-key-1234"}),
    "cryptofuse": (shop, ["shop-id", "shop-secret", "bearer-token-77"], {}),
}


@pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
@pytest.mark.parametrize("venue", PORTFOLIOS)
def test_secrets_are_in_no_error_repr_request_or_log_even_when_the_venue_prints_them(venue, status, caplog):
    caplog.set_level(logging.DEBUG)
    portfolio, secrets, more = PORTFOLIOS[venue]
    shout = " ".join(secrets)
    said = []

    def script(asked):
        if asked.path == "/o/token/":
            return Answer({"access_token": "bearer-token-77", "expires_in": 3600})
        return Answer({"message": shout, "error": {"code": shout, "message": shout} if "user" in asked.path else shout}, status)

    async def work():
        async with Venue(script) as served, venues.connect(portfolio(served.base_url, **more), HURRIED) as client:
            said.append(f"{client!r} {vars(client)!r} {vars(client._door)!r}".replace(repr(client._door._secrets), ""))
            for question in (client.balances(), anext(client.history("a1", None))):
                try:
                    page = await question
                    said.append(str(page[0].request))
                except Exception as error:
                    said.append(everything_said(error))

    run(work())
    assert len(said) == 3
    assert not [secret for secret in secrets if secret in " ".join(said)]
    assert not [secret for secret in secrets if secret in caplog.text]
    assert status == 200 or "***" in said[-1]
