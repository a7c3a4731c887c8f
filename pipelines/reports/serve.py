"""The Reports API on one port, and beside it a maker that works while no daemon does."""

from __future__ import annotations

import errno
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from pipelines.config import is_loopback
from pipelines.errors import MachineError
from pipelines.reports.api import application
from pipelines.reports.desk import Desk
from pipelines.reports.making import Say, daemon_lives, drain

LOOK = 2.0  # seconds between two looks for work, where nobody hurries the maker
OVERDUE = timedelta(seconds=20)  # a daemon that lives and is busy with a closing is not waited for any longer
PATIENCE = 10.0  # seconds server and maker have to end


def serve(desk: Desk, host: str, port: int, say: Say) -> None:
    """Until SIGINT or SIGTERM."""
    listener = _listen(host, port)
    url = desk.settings.url or _url(host, listener.getsockname()[1])
    hurry = threading.Event()
    server = _Server(_quiet(application(desk, url, hurry.set)))
    say(f"Reports API on {_url(host, listener.getsockname()[1])}, described at /docs.")
    if not is_loopback(_url(host, port)):
        say("This address is open to others and speaks plain HTTP: put a TLS proxy before it and set [reports] url.")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.stop)
    with making(desk, hurry, say):
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """Ends when told to, and lets the process end in its own time."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self, *_: object) -> None:
        self.should_exit = True


@contextmanager
def making(desk: Desk, hurry: threading.Event, say: Say) -> Iterator[None]:
    """A maker for the block. It leaves requests to the daemon as long as one looks for them."""
    ended = threading.Event()
    maker = threading.Thread(target=_make_while_nobody_does, args=(desk, hurry, ended, say), daemon=True)
    maker.start()
    try:
        yield
    finally:
        ended.set()
        hurry.set()
        maker.join(PATIENCE)


def _make_while_nobody_does(desk: Desk, hurry: threading.Event, ended: threading.Event, say: Say) -> None:
    alone: bool | None = None
    while not ended.is_set():
        if alone != (alone := not daemon_lives(desk.home)):
            say(_NOBODY if alone else "A daemon lives at this home: its sensor makes the reports.")
        if alone or desk.requests.overdue(OVERDUE):
            _make(desk, say)
        hurry.wait(LOOK)
        hurry.clear()


_NOBODY = "No daemon lives at this home: reports are made here. With `closebook ui` its sensor makes them, and shows them."


def _make(desk: Desk, say: Say) -> None:
    """What goes wrong here is said, and tried again at the next look."""
    try:
        if desk.requests.pending():
            drain(desk, say)
    except Exception as error:
        say(f"No reports are made just now: {type(error).__name__}: {error}")


def _quiet(app: ASGIApp) -> uvicorn.Config:
    """No access log: a link in it would open the file it leads to."""
    calm: dict[str, Any] = {"access_log": False, "log_level": "warning", "server_header": False, "proxy_headers": False}
    calm |= {"lifespan": "off", "timeout_graceful_shutdown": 3}
    return uvicorn.Config(app, **calm)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        taken = error.errno == errno.EADDRINUSE
        why = "is taken" if taken else f"cannot be used: {error.strerror}"
        raise MachineError(f"The address {host}:{port} {why}.", "Name another with --port, or in [reports].") from None
    return listener


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
