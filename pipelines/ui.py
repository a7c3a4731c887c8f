"""`closebook ui`: Dagster's webserver and daemon on loopback, for one book. A demo's venues are started beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg

from pipelines.config import is_loopback, load
from pipelines.defs import runs
from pipelines.demo import Demo
from pipelines.errors import ConfigError
from pipelines.home import Home


def serve(home: Home, config: Path, port: int) -> int:
    """Until stopped; the exit code is Dagster's."""
    home.move_in(home.kind() or "book")
    runs.prepare(home)
    with dg.DagsterInstance.get() as instance:
        runs.release_orphans(instance, home)
    environment = os.environ | {"CLOSEBOOK_CONFIG": str(config.absolute()), "CLOSEBOOK_HOME": str(home.root)}
    command = [sys.executable, "-m", "dagster", "dev", "-m", "pipelines.definitions", "-h", "127.0.0.1", "-p", str(port)]
    with ExitStack() as beside:
        if home.kind() == "demo":
            beside.enter_context(Demo(home).sandbox(_port(config)))
        process = subprocess.Popen(command, env=environment, cwd=home.root)
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()
            return process.wait()


def _port(config: Path) -> int:
    """Where the demo's configuration expects its venues."""
    base_url = load(config).prices.base_url
    if not is_loopback(base_url):
        raise ConfigError(f"The demo's configuration {config} does not point at this machine.", "Run `closebook demo` again.")
    return urlsplit(base_url).port or 80
