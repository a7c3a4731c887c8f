"""Requests from many keys at once, while API and daemon are killed in the middle: none lost, none made twice.

`python -m tests.reports.storm` does it with 200 requests over 20 keys and Dagster's own daemon, and prints what it saw.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from pipelines.config import Reports
from pipelines.home import Home
from pipelines.reports.desk import Desk
from pipelines.reports.keys import KeyRing
from tests.exports import january
from tests.reports.house import Client, publish
from tests.test_ui import group_of

PORTFOLIOS = ("treasury", "perps", "shop", "vault")
FIRST = datetime(2025, 1, 2, tzinfo=UTC)
PATIENCE = 600.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@dataclass
class Process:
    """A command of ours that can be killed with all it started, and started again."""

    words: tuple[str, ...]
    home: Home
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("CLOSEBOOK_", "DAGSTER_"))}
        command = [sys.executable, "-c", "from pipelines.cli import main; main()", *self.words, "--home", str(self.home.root)]
        self.running = subprocess.Popen(command, cwd=self.home.root.parent, env=clean, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        if self.running is not None and self.running.poll() is None:
            for pid in [self.running.pid, *group_of(self.running.pid)]:
                os.kill(pid, signal.SIGKILL)
            self.running.wait(20)


@dataclass
class Storm:
    """`count` requests with distinct instants, shared out over `keys` keys."""

    home: Home
    keys: int
    count: int
    port: int = field(default_factory=free_port)
    asked: dict[str, str] = field(default_factory=dict)  # instant → report
    trouble: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.url = f"http://127.0.0.1:{self.port}"
        desk = Desk.of(self.home, Reports())
        ring = KeyRing(desk.store, desk.vault)
        self.clients = [Client(self.url, ring.add(f"key {n}", [PORTFOLIOS[n % len(PORTFOLIOS)]])) for n in range(self.keys)]
        desk.store.close()

    def blow(self, gate: threading.Barrier, place: int) -> None:
        """One request, from the moment all are there until it is known to be accepted."""
        client, moment = self.clients[place % self.keys], f"{FIRST + timedelta(minutes=7 * place):%Y-%m-%dT%H:%M:%SZ}"
        gate.wait()
        deadline = time.monotonic() + PATIENCE
        while (found := self._ask(client, moment)) is None:
            assert time.monotonic() < deadline, f"{moment} was never accepted"
            time.sleep(0.3)
        self.asked[moment] = found

    def _ask(self, client: Client, moment: str) -> str | None:
        """What an honest client does who cannot know whether a lost POST arrived: look first, then ask again."""
        try:
            for report in client.get("/reports?limit=1000").json():
                if report["params"]["datetime"] == moment:
                    return str(report["id"])
            reply = client.post({"type": "balance", "format": "csv", "balance": {"datetime": moment}})
        except httpx.TransportError as lost:
            self.trouble[type(lost).__name__] += 1
            return None
        if reply.status_code != 200:
            self.trouble[f"status {reply.status_code}"] += 1
            return None
        return str(reply.json()["id"])

    def rows(self) -> list[dict[str, Any]]:
        """The requests as they stand in the file."""
        with sqlite3.connect(f"file:{self.home.reports / 'requests.sqlite'}?mode=ro", uri=True) as read:
            read.row_factory = sqlite3.Row
            rows = [dict(row) for row in read.execute("SELECT * FROM requests ORDER BY number")]
        read.close()
        return rows

    def wait(self, count: int, *statuses: str) -> None:
        """Until so many requests are written down, or are in one of these states."""
        deadline = time.monotonic() + PATIENCE
        while sum(n for status, n in self.states().items() if not statuses or status in statuses) < count:
            assert time.monotonic() < deadline, self.states()
            time.sleep(0.02)

    def check(self) -> dict[str, Any]:
        """Each instant exactly once, ready, and its file of that instant and portfolio."""
        rows = self.rows()
        assert Counter(row["as_of"] for row in rows) == Counter(dict.fromkeys(self.asked, 1)), "lost, or asked twice"
        assert {row["status"] for row in rows} == {"ready"}
        assert len(self.asked) == self.count
        for row in rows:
            client = next(c for c in self.clients if c.key.id == row["key_id"])
            lines = client.fetch(row["id"]).text.splitlines()
            assert lines[0].startswith("as_of,known_at,entity,venue,portfolio")
            assert {(line.split(",")[0], line.split(",")[4]) for line in lines[1:]} == {(row["as_of"], row["portfolio"])}
        files = sorted((self.home.statements / "reports").iterdir())
        assert len(files) == self.count
        assert all(path.stem.endswith("_v1") for path in files), "made twice, and differently"
        return {
            "requests": len(rows),
            "files": len(files),
            "attempts": dict(Counter(row["attempts"] for row in rows)),
            "met": dict(self.trouble),
        }

    def states(self) -> dict[str, int]:
        return dict(Counter(row["status"] for row in self.rows()))

    def rage(self, api: Process, maker: Process, strikes: tuple[int, int], say: Callable[[str, object], None] = lambda *_: None) -> None:
        """All at once; the API is killed when so many are accepted, API and maker when so many are ready, and started again."""
        gate = threading.Barrier(self.count)
        with ThreadPoolExecutor(self.count) as crowd:
            waiting = [crowd.submit(self.blow, gate, place) for place in range(self.count)]
            self.wait(strikes[0])
            api.kill()
            say("the API is killed", self.states())
            api.start()
            self.wait(strikes[1], "ready")
            api.kill()
            maker.kill()
            say("API and maker are killed", self.states())
            api.start()
            maker.start()
            for one in waiting:
                one.result()
        self.wait(self.count, "ready")

    def close(self) -> None:
        for client in self.clients:
            client.close()


def house(root: Path, publication: Path) -> Home:
    home = Home(root)
    home.move_in("book")
    publish(home, publication)
    return home


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = house(Path(folder) / "home", january.write(Path(folder) / "000412.duckdb"))
        storm = Storm(home, keys=20, count=200)
        api = Process(("reports", "serve", "--port", str(storm.port)), home)
        daemon = Process(("ui", "--port", str(free_port())), home)
        begun = time.monotonic()

        def say(what: str, seen: object) -> None:
            sys.stdout.write(f"{time.monotonic() - begun:5.0f} s  {what}: {seen}\n")

        try:
            api.start()
            daemon.start()
            while not (home.reports / "daemon").exists():
                time.sleep(0.2)
            say("the daemon looks for work", "200 requests go out")
            storm.rage(api, daemon, strikes=(90, 60), say=say)
            say("all are ready", storm.check())
        finally:
            api.kill()
            daemon.kill()
            storm.close()
        with sqlite3.connect(home.dagster / "history" / "runs.db") as runs:
            counted = runs.execute("SELECT status, count(*) FROM runs WHERE pipeline_name = 'reports' GROUP BY status").fetchall()
        say("runs of the sensor", dict(counted))


if __name__ == "__main__":
    main()
