"""Who is let in: every way to be somebody else is refused, in Coinbase's words, and nothing is written down for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.reports.signing import Asked, Gate, Refusal
from tests.reports.house import OFFICIAL, TREASURY, VAULT, Client, House, listening

BODY = json.dumps(OFFICIAL).encode()
NOBODY = "8058d771-2d88-4f0f-ab6e-299c153d4308"
Send = Callable[[House, Client], object]


@pytest.fixture(scope="module")
def house(tmp_path_factory, january_book) -> Iterator[House]:
    """One for all: every case brings a key of its own."""
    with listening(tmp_path_factory.mktemp("house") / "home", january_book) as opened:
        yield opened


def post(client: Client, body: bytes = BODY, target: str = "/reports", **changed: str | None) -> object:
    """A signed POST with some headers put in other words, or left out."""
    headers = client.headers("POST", "/reports", BODY) | {f"CB-ACCESS-{name}": value for name, value in changed.items()}
    return client.send("POST", target, body, {name: value for name, value in headers.items() if value is not None})


def aged(client: Client, seconds: float) -> object:
    at = f"{client._clock().timestamp() - seconds:.3f}"
    return client.send("POST", "/reports", BODY, client.headers("POST", "/reports", BODY, at))


def replayed(house: House, client: Client, after: timedelta = timedelta(0)) -> object:
    headers = client.headers("POST", "/reports", BODY)
    assert client.send("POST", "/reports", BODY, headers).status_code == 200
    house.clock.ahead += after
    return client.send("POST", "/reports", BODY, headers)


def revoked(house: House, client: Client) -> object:
    house.ring.revoke(client.key.id)
    return post(client)


def other(house: House) -> Client:
    return house.client("vault")


def unmade(house: House, client: Client) -> object:
    row = house.desk.requests.find(client.ask())
    return client.send("GET", house.desk.link(row).removeprefix(house.url), b"", {})


CASES: dict[str, tuple[int, str, Send]] = {
    # missing
    "no key": (401, "CB-ACCESS-KEY header is required", lambda h, c: post(c, KEY=None)),
    "no signature": (400, "CB-ACCESS-SIGN header is required", lambda h, c: post(c, SIGN=None)),
    "no timestamp": (400, "CB-ACCESS-TIMESTAMP header is required", lambda h, c: post(c, TIMESTAMP=None)),
    "no passphrase": (400, "CB-ACCESS-PASSPHRASE header is required", lambda h, c: post(c, PASSPHRASE=None)),
    "nothing signed, unknown path": (401, "CB-ACCESS-KEY header is required", lambda h, c: c.send("GET", "/nowhere", b"", {})),
    # forged
    "unknown key": (401, "Invalid API Key", lambda h, c: post(c, KEY="f" * 32)),
    "a made-up signature": (401, "invalid signature", lambda h, c: post(c, SIGN="AAAA")),
    "a signature that is not ASCII": (401, "invalid signature", lambda h, c: post(c, SIGN="\xe9")),
    "another body": (401, "invalid signature", lambda h, c: post(c, BODY.replace(b"csv", b"pdf"))),
    "no body": (401, "invalid signature", lambda h, c: post(c, b"")),
    "another query": (401, "invalid signature", lambda h, c: post(c, target="/reports?profile_id=x")),
    "another method": (401, "invalid signature", lambda h, c: c.send("GET", "/reports", b"", c.headers("POST", "/reports"))),
    "another's passphrase": (401, "Invalid Passphrase", lambda h, c: post(c, PASSPHRASE=other(h).key.passphrase)),
    "another's key": (401, "invalid signature", lambda h, c: post(c, KEY=other(h).key.id)),
    "another's timestamp": (401, "invalid signature", lambda h, c: post(c, TIMESTAMP=f"{h.clock().timestamp():.3f}0")),
    "a revoked key": (401, "Invalid API Key", revoked),
    # expired
    "a minute old": (401, "request timestamp expired", lambda h, c: aged(c, 60)),
    "a minute early": (401, "request timestamp expired", lambda h, c: aged(c, -60)),
    "31 seconds old": (401, "request timestamp expired", lambda h, c: aged(c, 31)),
    "no number": (400, "invalid timestamp", lambda h, c: post(c, TIMESTAMP="yesterday")),
    "not a number": (400, "invalid timestamp", lambda h, c: post(c, TIMESTAMP="nan")),
    "milliseconds": (400, "invalid timestamp", lambda h, c: post(c, TIMESTAMP="1700000000000")),
    # replayed
    "sent twice": (401, "request was sent before; sign it again with a new timestamp", replayed),
    "sent again at the window's edge": (
        401, "request was sent before; sign it again with a new timestamp", lambda h, c: replayed(h, c, timedelta(seconds=29)),
    ),
    "sent again after the window": (401, "request timestamp expired", lambda h, c: replayed(h, c, timedelta(seconds=62))),
    # foreign
    "another's portfolio": (403, "Forbidden: profile_id is not the key's own.", lambda h, c: c.post(OFFICIAL | {"profile_id": VAULT})),
    "nobody's portfolio": (
        403, "Forbidden: profile_id is not the key's own.", lambda h, c: c.post(OFFICIAL | {"profile_id": NOBODY}),
    ),
    "another's report": (404, "NotFound", lambda h, c: c.get(f"/reports/{other(h).ask()}")),
    "a report of all portfolios": (404, "NotFound", lambda h, c: c.get(f"/reports/{h.client().ask()}")),
    "a file by a guessed link": (404, "NotFound", lambda h, c: c.send("GET", f"/files/{c.ask()}/{'0' * 64}", b"", {})),
    "a file that is not made": (404, "The report is pending; there is no file.", unmade),
    # too much
    "a huge body": (413, "The body is larger than 65536 bytes.", lambda h, c: c.post(b" " * 70_000)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_refused(house, case) -> None:
    status, message, send = CASES[case]
    client = house.client("treasury")
    reply = send(house, client)
    assert (reply.status_code, reply.json()) == (status, {"message": message})
    mine = [row for row in house.desk.requests.newest(limit=999) if row["key_id"] == client.key.id]
    assert len(mine) == ("sent" in case or "file" in case), "a refused request was written down"


def test_let_in(house) -> None:
    client = house.client("treasury")
    assert aged(client, 29).status_code == 200
    assert aged(client, -29).status_code == 200
    assert client.post(OFFICIAL | {"profile_id": TREASURY}).status_code == 200
    assert client.post(OFFICIAL | {"profile_id": TREASURY.replace("-", "").upper()}).status_code == 200


def test_an_honest_get_may_repeat_within_a_second_and_a_post_may_not_be_repeated_after_a_restart(house) -> None:
    client = house.client("treasury")
    headers = client.headers("GET", "/reports")
    assert [client.send("GET", "/reports", b"", headers).status_code for _ in range(3)] == [200] * 3
    signed = client.headers("POST", "/reports", BODY)
    asked = Asked("POST", "/reports", {name.lower(): value for name, value in signed.items()}, BODY)
    assert Gate(house.ring, house.clock).admit(asked).id == client.key.id
    with pytest.raises(Refusal, match="sent before"):
        Gate(house.ring, house.clock).admit(asked)  # a new process knows what the old one took


def test_any_change_of_what_was_signed_is_refused(house) -> None:
    client, gate = house.client("treasury"), Gate(house.ring, house.clock)
    signed = {name.lower(): value for name, value in client.headers("GET", "/reports?limit=5").items()}
    words = ("cb-access-sign", "cb-access-timestamp", "cb-access-passphrase", "cb-access-key", "target")

    @settings(max_examples=60)
    @given(st.sampled_from(words), st.integers(min_value=0), st.sampled_from("0a/=Z?%+"))
    def changed_anywhere(word: str, place: int, letter: str) -> None:
        told = signed | {"target": "/reports?limit=5"}
        text = told[word]
        told[word] = text[: place % len(text)] + letter + text[place % len(text) + 1 :]
        asked = Asked("GET", told.pop("target"), told, b"")
        if told == signed and asked.target == "/reports?limit=5":
            assert gate.admit(asked).id == client.key.id
        else:
            with pytest.raises(Refusal):
                gate.admit(asked)

    changed_anywhere()


def test_secrets_are_nowhere_in_clear(house) -> None:
    client = house.client("treasury")
    client.ask()
    assert (house.home.reports / "key").stat().st_mode & 0o777 == 0o600
    stored = b"".join(path.read_bytes() for path in house.home.reports.iterdir())
    house.make()
    for secret in (client.key.secret, client.key.passphrase, client.report(client.ask())["id"].encode().hex()):
        assert secret.encode() not in stored


def test_a_key_file_that_others_may_read_opens_nothing(tmp_path, january_book) -> None:
    with listening(tmp_path / "home", january_book) as house:
        client = house.client("treasury")
        (house.home.reports / "key").chmod(0o644)
        reply = client.post(OFFICIAL)
        assert reply.status_code == 503
        assert str(tmp_path) not in reply.text
