"""`closebook ui`: Dagster's webserver and daemon on loopback, for one book. A demo's venues are started beside it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg

from pipelines.config import is_loopback, load
from pipelines.defs import runs
from pipelines.demo import Demo
from pipelines.errors import ConfigError, MachineError
from pipelines.home import Home

KINDLY = 10.0  # seconds Dagster has to end by itself


def serve(home: Home, config: Path, port: int, read_only: bool = False) -> int:
    """Until stopped; the exit code is Dagster's. `read_only`: to look at; nobody can start or change anything, and nothing is scheduled."""
    _require_free(port)
    home.move_in(home.kind() or "book")
    runs.prepare(home, config)
    with dg.DagsterInstance.get() as instance:
        runs.release_orphans(instance, home)
    program = ["dagster_webserver", "--read-only"] if read_only else ["dagster", "dev"]
    command = [sys.executable, "-W", "ignore", "-m", *program, "-m", "pipelines.definitions", "-h", "127.0.0.1", "-p", str(port)]
    with ExitStack() as beside:
        if home.kind() == "demo" and not read_only:
            beside.enter_context(Demo(home).sandbox(_port(config)))
        return _until_stopped(command, home.root)


def _require_free(port: int) -> None:
    """Dagster's webserver would fall over and its daemon go on, so that nobody would notice."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as refused:
            why = "is in use" if refused.errno == errno.EADDRINUSE else f"cannot be opened ({refused.strerror})"
            raise MachineError(f"Port {port} of 127.0.0.1 {why}.", "Name another with --port.") from None


def _until_stopped(command: list[str], folder: Path) -> int:
    """Run until the command ends or we are told to: SIGINT and SIGTERM end its whole group, kindly and then for certain."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # set before the child starts, so that it ignores neither
        signal.signal(number, lambda *_: stop.set())
    process = subprocess.Popen(command, cwd=folder, start_new_session=True)
    while process.poll() is None and not stop.wait(0.2):
        pass
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(KINDLY)
    return 0 if stop.is_set() else process.returncode


def _port(config: Path) -> int:
    """Where the demo's configuration expects its venues."""
    base_url = load(config).prices.base_url
    if not is_loopback(base_url):
        raise ConfigError(f"The demo's configuration {config} does not point at this machine.", "Run `closebook demo` again.")
    return urlsplit(base_url).port or 80
