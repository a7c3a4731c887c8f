"""A home with the invented January in it, its Reports API on a socket, and a client that signs as Coinbase's do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from pipelines.config import Mail, Reports
from pipelines.home import Home
from pipelines.reports.api import application
from pipelines.reports.desk import Desk
from pipelines.reports.keys import KeyRing, NewKey
from pipelines.reports.making import drain

CLOSE = "2025-02-01T00:00:00Z"
TREASURY = "75da88c5-05bf-4f54-bc85-5c775bd68254"  # the profile's id at the venue
VAULT = "86602c68-306a-4500-ac73-4ce56a91d83c"
OFFICIAL = {"balance": {"datetime": "2022-02-25T05:00:00.000Z"}, "email": "user1@example.com", "format": "csv", "type": "balance"}
"""The body in Coinbase's documentation, as it stands there."""


class Clock:
    """The real time, and whatever is added to it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Client:
    """One key's client; `call` signs, `get` and `post` say the path."""

    def __init__(self, url: str, key: NewKey, clock: Clock | None = None) -> None:
        self.url, self.key, self._clock = url, key, clock or Clock()
        self._http = httpx.Client(trust_env=False, timeout=30)

    def close(self) -> None:
        self._http.close()

    def headers(self, method: str, target: str, body: bytes = b"", timestamp: str | None = None) -> dict[str, str]:
        at = timestamp or f"{self._clock().timestamp():.6f}"
        digest = hmac.digest(base64.b64decode(self.key.secret), f"{at}{method}{target}".encode() + body, hashlib.sha256)
        signed = {"KEY": self.key.id, "SIGN": base64.b64encode(digest).decode(), "TIMESTAMP": at, "PASSPHRASE": self.key.passphrase}
        return {f"CB-ACCESS-{name}": value for name, value in signed.items()} | {"Content-Type": "application/json"}

    def send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        told = {name: value.encode("latin-1") for name, value in headers.items()}
        return self._http.request(method, self.url + target, content=body, headers=told)

    def get(self, target: str) -> httpx.Response:
        return self.send("GET", target, b"", self.headers("GET", target))

    def post(self, body: object, target: str = "/reports") -> httpx.Response:
        told = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", target, told, self.headers("POST", target, told))

    def ask(self, **balance: object) -> str:
        """The id of an accepted request for a CSV."""
        reply = self.post({"type": "balance", "format": balance.pop("format", "csv"), "balance": balance})
        assert reply.status_code == 200, reply.text
        return str(reply.json()["id"])

    def report(self, report_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/reports/{report_id}").json()
        return found

    def fetch(self, report_id: str) -> httpx.Response:
        """The file, as anybody fetches it: without a header of ours."""
        return httpx.get(self.report(report_id)["file_url"], trust_env=False)


class House:
    """The home, its desk, and the API while it listens."""

    def __init__(self, root: Path, publication: Path, settings: Reports, mail: Mail | None) -> None:
        self.home, self.clock = Home(root), Clock()
        self.home.move_in("book")
        publish(self.home, publication)
        self.desk = Desk.of(self.home, settings, self.clock, mail)
        self.ring = KeyRing(self.desk.store, self.desk.vault, self.clock)
        self.url = ""
        self._clients: list[Client] = []

    def client(self, *portfolios: str) -> Client:
        """Of a new key that opens these, or all where none is named."""
        self._clients.append(Client(self.url, self.ring.add("", portfolios or None), self.clock))
        return self._clients[-1]

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.desk.store.close()

    def make(self) -> list[Any] | None:
        return drain(self.desk)


def publish(home: Home, publication: Path) -> None:
    version = home.published / "versions" / publication.name
    version.symlink_to(publication)
    home.publication.unlink(missing_ok=True)
    home.publication.symlink_to(version)


@contextmanager
def listening(root: Path, publication: Path, settings: Reports = Reports(), mail: Mail | None = None) -> Iterator[House]:  # noqa: B008  # frozen
    house = House(root, publication, settings, mail)
    listener = socket.create_server(("127.0.0.1", 0))
    house.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    options = uvicorn.Config(application(house.desk, house.url), log_level="critical", access_log=False, lifespan="off", ws="none")
    server = uvicorn.Server(options)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield house
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
        house.close()
