"""`closebook reports …` as a person types it: keys, a drain by hand, an API that survives its end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import pytest

from pipelines import cli, doctor
from pipelines.config import Config
from pipelines.home import Home
from pipelines.reports.desk import Desk
from pipelines.reports.keys import NewKey
from pipelines.reports.making import show_life
from pipelines.reports.requests import Wanted
from pipelines.reports.store import Store
from tests.conftest import closebook
from tests.reports.house import CLOSE, OFFICIAL, TREASURY, Client, publish

CONFIG = Config.model_validate(
    {
        "book": {"start": date(2025, 1, 1)},
        "portfolio": [{"name": "perps", "venue": "pacifica", "base_url": "http://127.0.0.1:9", "account": "abc"}],
    }
)


class Done(NamedTuple):
    code: int
    out: str
    err: str


Reports = Callable[..., Done]


@pytest.fixture
def home(tmp_path, january_book) -> Home:
    made = Home(tmp_path / "home")
    made.move_in("book")
    publish(made, january_book)
    return made


@pytest.fixture
def reports(home, capsys, monkeypatch) -> Reports:
    """The command in this process: its exit code, what it printed and what it complained of."""
    monkeypatch.chdir(home.root.parent)

    def run(*words: str) -> Done:
        code = cli._guarded(["reports", *words, "--home", str(home.root)], debug=False)
        return Done(code, *capsys.readouterr())

    return run


def new_key(reports: Reports, *words: str) -> NewKey:
    done = reports("key", "add", *words)
    assert done.code == 0, done.err
    return NewKey(*(re.search(rf"^{name} +(\S+)$", done.out, re.M)[1] for name in ("key", "secret", "passphrase")))


@contextmanager
def serving(home: Home, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The API in a process of its own, and its address; killed at the end if it still lives."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("CLOSEBOOK_", "DAGSTER_"))}
    command = [sys.executable, "-c", "from pipelines.cli import main; main()", "reports", "serve", "--home", str(home.root)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    api = subprocess.Popen([*command, "--port", str(port)], cwd=home.root.parent, env=clean, text=True, **pipes)
    try:
        line = next(said for said in api.stdout if said.startswith("Reports API"))
        yield api, re.search(r"http://\S+:\d+", line)[0]
    finally:
        if api.poll() is None:
            api.kill()
        api.wait(20)
        api.stdout.close()


def ended(client: Client, report_id: str) -> dict:
    deadline = time.monotonic() + 60
    while (shown := client.report(report_id))["status"] in ("pending", "creating"):
        assert time.monotonic() < deadline, shown
        time.sleep(0.05)
    return shown


def test_keys_are_made_listed_and_revoked(home, reports) -> None:
    key = new_key(reports, "--portfolio", "treasury", "--portfolio", "shop", "--label", "auditor")
    listed = reports("key", "list").out
    assert f"{key.id}  view  shop,treasury  auditor  since" in listed
    assert key.secret not in listed
    assert key.passphrase not in listed
    assert reports("key", "revoke", key.id).code == 0
    assert "revoked" in reports("key", "list").out
    again = reports("key", "revoke", key.id)
    assert (again.code, again.err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("key", "add"), "Which portfolios does the key open?"),
        (("key", "add", "--all", "--portfolio", "shop"), "Which portfolios does the key open?"),
        (("key", "add", "--portfolio", "nobody"), "There is no portfolio 'nobody' in this book."),
        (("serve", "--config", "none.toml"), "There is no configuration at none.toml."),
    ],
)
def test_a_wrong_command_says_what_to_do(home, reports, words, said) -> None:
    done = reports(*words)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert done.err.startswith(f"closebook: {said}")


def test_every_portfolio_has_its_profile_id(home, reports) -> None:
    listed = dict(reversed(line.split()) for line in reports("profiles").out.splitlines())
    assert (listed["treasury"], sorted(listed)) == (TREASURY, ["perps", "shop", "treasury", "vault"])


def test_without_a_book_there_are_no_reports(tmp_path) -> None:
    done = closebook("reports", "work", "--home", tmp_path / "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stderr.split(".")[0]) == (2, f"closebook: There is no book at {tmp_path / 'nowhere'}")
    assert not (tmp_path / "nowhere").exists()


def test_serving_makes_reports_where_no_daemon_lives_prints_no_secret_and_ends_when_told(home, reports) -> None:
    key = new_key(reports, "--all")
    with serving(home) as (api, url):
        client = Client(url, key)
        shown = ended(client, client.ask(datetime=CLOSE))
        assert client.fetch(shown["id"]).text.startswith("as_of,")
        taken = reports("serve", "--port", url.rsplit(":", 1)[1])
        assert (taken.code, "is taken" in taken.err) == (4, True)
        client.close()
        api.send_signal(signal.SIGTERM)
        assert api.wait(20) == 0
        printed = api.stdout.read()
    assert "No daemon lives at this home: reports are made here." in printed
    for secret in (key.secret, key.passphrase, shown["file_url"].rsplit("/", 1)[1]):
        assert secret not in printed


def test_with_a_daemon_requests_wait_for_it_and_work_makes_them_by_hand(home, reports) -> None:
    key = new_key(reports, "--portfolio", "treasury")
    show_life(home)
    with serving(home) as (_, url):
        client = Client(url, key)
        asked = client.ask(datetime=CLOSE)
        time.sleep(2.5)  # longer than it looks away
        assert client.report(asked)["status"] == "pending"
        done = reports("work")
        assert done.out == f"{asked}  ready  treasury  {CLOSE}  csv\n"
        assert client.report(asked)["status"] == "ready"
        client.close()


def test_a_killed_api_loses_nothing_and_a_repeated_post_is_refused_by_the_next(home, reports) -> None:
    key = new_key(reports, "--portfolio", "treasury")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    show_life(home)
    body = b'{"type":"balance","balance":{"datetime":"2025-02-01T00:00:00Z"}}'
    with serving(home, port) as (api, url):
        client = Client(url, key)
        signed = client.headers("POST", "/reports", body)
        asked = client.send("POST", "/reports", body, signed).json()["id"]
        api.kill()
        api.wait(20)
    (home.reports / "daemon").unlink()
    with serving(home, port) as (api, url):
        assert client.send("POST", "/reports", body, signed).status_code == 401
        assert ended(client, asked)["status"] == "ready"
        assert client.post(OFFICIAL).status_code == 200
        client.close()


def test_doctor_says_when_nobody_makes_reports_and_when_the_key_file_is_open(home, reports) -> None:
    assert list(doctor._reports(home, CONFIG)) == []
    key = new_key(reports, "--all")
    assert list(doctor._reports(home, CONFIG)) == [doctor.Finding("reports", "keys in use: 1; nothing is overdue")]
    old = Desk(home, CONFIG.reports, Store(home), lambda: datetime.now(UTC) - timedelta(minutes=2))
    old.requests.accept(key.id, Wanted(None, None, "csv", CLOSE, "portfolio", "utc", None, None), "http://x", 9, timedelta(days=7))
    old.store.close()
    [late] = doctor._reports(home, CONFIG)
    assert (late.said.split(".")[0], late.exit_code) == ("Requests wait for more than a minute and nobody makes them", 4)
    (home.reports / "key").chmod(0o644)
    [open_to_all] = doctor._reports(home, CONFIG)
    assert ("can be read by others" in open_to_all.said, open_to_all.exit_code) == (True, 2)
