"""The web UI comes up on loopback, knows the graph, and ends with everything it started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

WIPE = 'mutation { wipeAssets(assetPartitionRanges: [{assetKey: {path: ["publication"]}}]) { __typename } }'
QUERY = "{ assetNodes { assetKey { path } } }"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def group_of(pid: int) -> list[int]:
    """Processes of the sessions that `pid` started."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout.split("\n")
    parents = {int(p): int(pp) for p, pp, *stat in (line.split() for line in listed if line) if not stat[0].startswith("Z")}
    found, frontier = [], [pid]
    while frontier:
        frontier = [child for child, parent in parents.items() if parent in frontier]
        found += frontier
    return found


@contextmanager
def served(folder: Path, *words: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """`closebook ui`, its graph loaded; whatever of it is left at the end is killed."""
    port = free_port()
    command = [sys.executable, "-c", "from pipelines.cli import main; main()", "ui", "--home", "home", "--port", str(port), *words]
    ui = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert {"daily_values", "publication"} <= wait_for_graph(port)
        yield port, ui
    finally:
        if ui.poll() is None:
            for pid in [*group_of(ui.pid), ui.pid]:
                os.kill(pid, signal.SIGKILL)
            ui.wait()


def test_the_ui_shows_the_graph_and_one_interrupt_ends_all_of_it(tmp_path: Path) -> None:
    with served(tmp_path) as (_, ui):
        children = group_of(ui.pid)
        assert children
        ui.send_signal(signal.SIGINT)
        assert ui.wait(40) == 0
        assert [pid for pid in children if alive(pid)] == []


def test_the_read_only_ui_shows_all_and_lets_nobody_do_anything(tmp_path: Path) -> None:
    with served(tmp_path, "--read-only") as (port, ui):
        reply = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": WIPE}, timeout=10, trust_env=False).json()
        assert reply["data"]["wipeAssets"]["__typename"] == "UnauthorizedError"
        assert not [pid for pid in group_of(ui.pid) if "dagster-daemon" in Path(f"/proc/{pid}/cmdline").read_text()]


def wait_for_graph(port: int) -> set[str]:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            reply = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": QUERY}, timeout=10, trust_env=False).json()
            if nodes := reply["data"]["assetNodes"]:
                return {node["assetKey"]["path"][-1] for node in nodes}
        except (httpx.HTTPError, KeyError, ValueError, TypeError):
            pass
        time.sleep(0.5)
    pytest.fail("the UI did not come up within 90 seconds")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z"
    except OSError:
        return False
