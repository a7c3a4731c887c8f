"""What is wrong is told once per cause, by mail and webhook, and again only after it was gone."""

from __future__ import annotations

import errno
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dagster as dg
import httpx
import pytest
from aiosmtpd.controller import Controller
from pydantic import SecretStr

from pipelines import alerts
from pipelines.config import Alerts, Mail
from pipelines.defs.alerts import closed, failed
from pipelines.errors import MachineError
from pipelines.home import Home
from pipelines.sandbox.serve import Sandbox
from tests import tiny
from tests.conftest import closebook

DOWN, FULL = {"pull desk": "Not pulled: desk."}, {"step pages": "The step pages failed: the disk is full."}


@contextmanager
def webhook(status: int = 204) -> Iterator[tuple[str, list[str]]]:
    """An address and the texts that were posted to it."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "book")
    made.move_in("book")
    return made


def test_a_cause_is_told_once_and_again_only_after_it_was_gone(home: Home) -> None:
    with webhook() as (url, heard):
        to = Alerts(webhook=url)
        told = [alerts.tell(home, to, None, causes) for causes in (DOWN, DOWN, DOWN | FULL, FULL, {}, DOWN)]
    assert told == [["pull desk"], [], ["step pages"], [], [], ["pull desk"]]
    assert [text.split("\n")[-1] for text in heard] == [DOWN["pull desk"], FULL["step pages"], DOWN["pull desk"]]


def test_what_nobody_heard_is_told_at_the_next_occasion(home: Home) -> None:
    with webhook(500) as (url, _), pytest.raises(httpx.HTTPStatusError):
        alerts.tell(home, Alerts(webhook=url), None, DOWN)
    with webhook() as (url, heard):
        assert alerts.tell(home, Alerts(webhook=url), None, DOWN) == ["pull desk"]
    assert len(heard) == 1


def test_a_way_that_fails_repeats_nothing_on_the_other_and_one_added_later_is_told_all(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    mails: list[str] = []
    monkeypatch.setattr(alerts, "_send", lambda _to, _mail, _subject, text: mails.append(text))
    for _ in range(2):
        with webhook(500) as (url, _heard), pytest.raises(httpx.HTTPStatusError):
            alerts.tell(home, Alerts(email="ops@acme.example", webhook=url), None, DOWN)
    with webhook() as (url, heard):
        assert alerts.tell(home, Alerts(email="ops@acme.example", webhook=url), None, DOWN) == ["pull desk"]
    assert (len(mails), len(heard)) == (1, 1)


def test_a_mail_server_that_is_dead_silences_no_webhook_and_is_said(home: Home) -> None:
    dead = Mail(host="127.0.0.1", port=9, security="none", sender="book@acme.example")
    with webhook() as (url, heard), pytest.raises(ConnectionRefusedError):
        alerts.tell(home, Alerts(email="ops@acme.example", webhook=url), dead, DOWN)
    assert [text.split("\n")[-1] for text in heard] == [DOWN["pull desk"]]


def test_a_disk_that_is_full_silences_nobody(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    mails: list[str] = []
    monkeypatch.setattr(alerts, "_send", lambda _to, _mail, _subject, text: mails.append(text))
    monkeypatch.setattr(alerts, "write_atomically", full)
    alerts.remember(home, Alerts(email="ops@acme.example"), None)
    with webhook() as (url, heard), pytest.raises(MachineError, match="No space left"):
        alerts.tell(home, Alerts(email="ops@acme.example", webhook=url), None, FULL)
    assert (len(mails), len(heard)) == (1, 1)


def test_who_is_told_is_remembered_without_a_secret(home: Home) -> None:
    mail = Mail(host="mail.example", sender="book@acme.example", user="book", password="in clear")
    alerts.remember(home, Alerts(email="ops@acme.example", webhook="https://hooks.example/token"), mail)
    kept = home.root / alerts.REMEMBERED
    assert (kept.stat().st_mode & 0o077, "in clear" in kept.read_text(), "token" in kept.read_text()) == (0, False, False)
    to = Alerts(webhook="env:HOOK", timeout=5)
    alerts.remember(home, to, mail.model_copy(update={"password": SecretStr("file:/etc/pass")}))
    told, by = alerts.remembered(home)
    assert (told, by and by.password) == (to, SecretStr("file:/etc/pass"))
    alerts.remember(home, Alerts(), None)
    assert alerts.remembered(home) == (Alerts(), None)


def test_mail_goes_to_whom_it_concerns(home: Home) -> None:
    letters: list[str] = []

    class Box:
        async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:
            letters.append(envelope.content.decode())  # type: ignore[attr-defined]
            return "250 OK"

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    post = Controller(Box(), hostname="127.0.0.1", port=port)
    post.start()
    try:
        server = Mail(host="127.0.0.1", port=port, security="none", sender="book@acme.example")
        alerts.tell(home, Alerts(email="ops@acme.example"), server, FULL)
    finally:
        post.stop()
    assert "To: ops@acme.example" in letters[0]
    assert "the disk is full" in letters[0]


def evaluate(sensor: dg.SensorDefinition) -> None:
    """The sensor looks at the newest run."""
    with dg.DagsterInstance.get() as instance:
        run = instance.get_runs(limit=1)[0]
        kind = dg.DagsterEventType.RUN_FAILURE if sensor is failed else dg.DagsterEventType.RUN_SUCCESS
        event = next(e.dagster_event for e in instance.all_logs(run.run_id) if e.dagster_event and e.dagster_event.event_type == kind)
        context = dg.build_run_status_sensor_context(sensor.name, event, instance, run)
        sensor(context.for_run_failure() if sensor is failed else context)


def test_a_portfolio_that_was_not_pulled_and_a_run_that_broke_are_told_from_the_run_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox(tiny.dataset(tmp_path / "d")) as sandbox, webhook() as (url, heard):
        text = sandbox.config_text() + f'\n[alerts]\nwebhook = "{url}"\n'
        config = tmp_path / "closebook.toml"
        monkeypatch.setenv("CLOSEBOOK_CONFIG", str(config))
        monkeypatch.setenv("CLOSEBOOK_HOME", str(tmp_path / "data"))
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "data/dagster"))
        config.write_text(text.replace('passphrase = "', 'passphrase = "wrong'))
        assert closebook("run", cwd=tmp_path).returncode == 3
        evaluate(closed)
        evaluate(closed)
        config.write_text(text)
        assert closebook("run", cwd=tmp_path).returncode == 0
        evaluate(closed)
        damaged = next((tmp_path / "data/archive").rglob("*.parquet"))
        damaged.write_bytes(damaged.read_bytes()[:100])
        (tmp_path / "data/warehouse.duckdb").unlink()
        assert closebook("run", cwd=tmp_path).returncode == 4
        evaluate(failed)
    assert len(heard) == 2
    assert "Not pulled: desk" in heard[0]
    assert "The step pages failed: " in heard[1]
    assert damaged.stem in heard[1]
