"""Mail to a real server on this machine: when ready or failed, once, with the link and without a figure."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from pipelines import filing
from pipelines.config import Mail
from tests.reports.house import CLOSE, House, listening

DAY = timedelta(days=1)


class Post:
    """Keeps what it is handed; `refuses` answers instead."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []
        self.refuses = ""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuses:
            return self.refuses
        self.mails.append((envelope.rcpt_tos, BytesParser(policy=default).parsebytes(envelope.content)))
        return "250 taken"


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """Of localhost, signed by itself; whoever trusts this file trusts the server."""
    now = datetime.now(UTC)
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - DAY, now + DAY)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    own = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(own + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def server(post, certificate, monkeypatch) -> Iterator[Controller]:
    """Speaks to nobody without STARTTLS and a password."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    wants: dict[str, Any] = {"tls_context": tls, "require_starttls": True, "auth_required": True, "authenticator": authenticate}
    controller = Controller(post, hostname="127.0.0.1", port=port, **wants)
    controller.start()
    yield controller
    if controller.server:
        controller.stop()


def authenticate(_server: object, _session: object, _envelope: object, _mechanism: str, said: Any) -> AuthResult:
    return AuthResult(success=(said.login, said.password) == (b"closebook", b"open sesame"))


@pytest.fixture
def house(tmp_path, january_book, server) -> Iterator[House]:
    who: dict[str, Any] = {"sender": "closebook@example.com", "user": "closebook", "password": SecretStr("open sesame")}
    with listening(tmp_path / "home", january_book, mail=Mail(host="localhost", port=server.port, **who)) as opened:
        yield opened


def ask(house: House, email: str | None = "controller@example.com") -> tuple[Any, str]:
    client = house.client("treasury")
    reply = client.post({"type": "balance", "format": "csv", "email": email, "balance": {"datetime": CLOSE}})
    return client, reply.json()["id"]


def test_a_ready_report_is_announced_once_with_its_link_and_no_figure(house, post) -> None:
    client, asked = ask(house)
    house.make()
    house.make()
    [(to, mail)] = post.mails
    assert (to, mail["To"], mail["From"]) == (["controller@example.com"], "controller@example.com", "closebook@example.com")
    assert mail["Subject"] == "Closebook: your report is ready"
    words = mail.get_content()
    link = client.report(asked)["file_url"]
    assert link in words
    for row in client.fetch(asked).text.splitlines()[1:]:
        balance, price, value = (row.split(",")[place] for place in (8, 10, 13))
        assert not [figure for figure in (balance, price, value) if len(figure) > 3 and figure in words]
    assert httpx.get(link, trust_env=False).status_code == 200


def test_a_failed_report_is_announced_with_its_reason(house, post, monkeypatch) -> None:
    monkeypatch.setattr(filing, "write", lambda *_: {}["a bug"])
    ask(house)
    house.make()
    [(_, mail)] = post.mails
    assert mail["Subject"] == "Closebook: your report is not possible"
    assert "A bug of ours: KeyError." in mail.get_content()
    assert "/files/" not in mail.get_content()


@pytest.mark.parametrize("email", [None, ""])
def test_nobody_to_tell_is_nobody_told(house, post, email) -> None:
    ask(house, email)
    house.make()
    assert post.mails == []


def test_a_server_that_says_later_is_asked_again_later(house, post) -> None:
    post.refuses = "451 not now"
    client, asked = ask(house)
    house.make()
    assert client.report(asked)["status"] == "ready", "the report does not wait for the mail"
    post.refuses = ""
    house.make()
    assert post.mails == [], "a minute has not passed"
    house.clock.ahead += timedelta(minutes=2)
    house.make()
    assert len(post.mails) == 1


def test_a_server_that_is_away_stops_nothing(house, post, server) -> None:
    server.stop()
    client, asked = ask(house)
    house.make()
    assert client.report(asked)["status"] == "ready"
    for waited in (1, 5, 30, 120, 720):
        house.clock.ahead += timedelta(minutes=waited)
        house.make()
    assert house.desk.requests.pending() == 0, "at last nobody is told"


def test_without_a_server_nobody_is_told(tmp_path, january_book) -> None:
    with listening(tmp_path / "home", january_book) as house:
        ask(house)
        house.make()
        assert house.desk.requests.pending() == 0


def test_a_server_nobody_vouches_for_is_told_nothing(house, post, monkeypatch, tmp_path) -> None:
    (tmp_path / "none.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    client, asked = ask(house)
    house.make()
    assert client.report(asked)["status"] == "ready"
    assert post.mails == []
