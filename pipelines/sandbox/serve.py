"""Dataset → three venues on one loopback port. What each venue says is its own module's; here they get a socket and a clock."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from pipelines.errors import MachineError, UsageError
from pipelines.sandbox import configuration
from pipelines.sandbox import dataset as datasets
from pipelines.sandbox import faults as faulty
from pipelines.sandbox.clocks import Dated, wire_clock
from pipelines.sandbox.coinbase import Coinbase
from pipelines.sandbox.coinbase_market import Market
from pipelines.sandbox.cryptofuse import Cryptofuse
from pipelines.sandbox.mischief import Mischief
from pipelines.sandbox.pacifica import BASE, Pacifica
from pipelines.sandbox.replay import World
from pipelines.sandbox.settings import Settings
from pipelines.sandbox.values import EPOCH, TICK, micros
from pipelines.sandbox.web import Seen, counted

HOST = "127.0.0.1"  # and no other: the keys are public
PATIENCE = 10.0  # seconds the server may take to start or end


class Sandbox:
    """Coinbase Exchange, CryptoFuse and Pacifica, replaying one dataset, while the `with` block lasts.

    `now` is the data clock and may be set at any time; the wire clock (signatures, tokens, limits) is real, the limits' `limit_scale`
    times as fast. `requests` counts (method, path template, status), `faults_met` the faults on the way by their kind.
    """

    def __init__(
        self,
        dataset: Path,
        port: int = 0,
        now: datetime | None = None,
        faults: Path | None = None,
        settings: Settings = Settings(),  # noqa: B008  # frozen
        limit_scale: float = 1.0,
    ) -> None:
        loaded = datasets.load(dataset)
        self._world = World(loaded, 0, settings, faulty.load(loaded, faults))
        self.now = now or loaded.end_instant
        self.requests: Seen = Seen()
        self.faults_met: Counter[str] = Counter()
        self._port, self._scale = port, limit_scale
        self._server: _Server | None = None

    @property
    def now(self) -> datetime:
        return EPOCH + self._world.now * TICK

    @now.setter
    def now(self, moment: datetime) -> None:
        if moment.tzinfo is None:
            raise UsageError(f"The instant {moment} has no time zone.", "Write it as 2025-01-31T00:00:00Z.")
        self._world.now = micros(moment)

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self._port}"

    @property
    def refused(self) -> int:
        """Requests beyond a limit."""
        return sum(count for (_, _, status), count in self.requests.items() if status == 429)

    def config_text(self) -> str:
        return configuration.text(self._world.dataset, self.base_url)

    def write_config(self, path: Path) -> None:
        configuration.write(path, self.config_text())

    def __enter__(self) -> Self:
        listener = _listen(self._port)
        self._port = listener.getsockname()[1]
        self._world.base_url = self.base_url
        app: ASGIApp = _app(self._world, self.requests, self._scale)
        calm = not self._world.faults.on_the_way
        self._server = _Server(Dated(app, self._world) if calm else Mischief(app, self._world, self.faults_met), listener)
        self._server.begin()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server:
            self._server.end()


def _app(world: World, seen: Seen, scale: float) -> Starlette:
    """All venues behind one port: their paths differ."""

    def clock() -> float:
        return time.monotonic() * scale

    coinbase, pacifica, cryptofuse = Coinbase(world, clock, wire_clock), Pacifica(world, clock, scale), Cryptofuse(world, clock, scale)
    owners = ((f"{BASE}/", pacifica.unknown), ("/o/", cryptofuse.unknown), ("/user/", cryptofuse.unknown), ("/", coinbase.unknown))
    handlers = {prefix: counted(seen, f"{prefix}…", unknown) for prefix, unknown in owners}

    async def unknown(request: Request, _: Exception) -> Response:
        return await next(handler for prefix, handler in handlers.items() if request.url.path.startswith(prefix))(request)

    routes = [*Market(world, clock).routes(seen), *coinbase.routes(seen), *cryptofuse.routes(seen), *pacifica.routes(seen)]
    app = Starlette(routes=routes, exception_handlers={404: unknown, 405: unknown})
    app.router.redirect_slashes = False
    return app


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio leaves replies delayed by 40 ms
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as refused:
        listener.close()
        why = "is in use" if refused.errno == errno.EADDRINUSE else f"cannot be opened ({refused.strerror})"
        raise MachineError(f"Port {port} of {HOST} {why}.", "Name another with --port, or 0 for any free one.") from None
    return listener


class _Server:
    """uvicorn in a thread of this process; quiet."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        options = uvicorn.Config(
            app, log_config=None, log_level="critical", access_log=False, lifespan="off", ws="none", loop="asyncio",
            server_header=False, date_header=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._uvicorn, self._listener = uvicorn.Server(options), listener
        self._thread = threading.Thread(target=self._serve, name="sandbox", daemon=True)

    def _serve(self) -> None:
        asyncio.run(self._uvicorn.serve(sockets=[self._listener]))

    def begin(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + PATIENCE
        while not self._uvicorn.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise MachineError("The sandbox's server did not start.", "Run again with --debug.")
            time.sleep(0.005)

    def end(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(PATIENCE)
        self._listener.close()


def run_forever(dataset: Path, port: int, now: datetime | None, faults: Path | None, write_config: Path | None) -> None:
    """Serve until SIGINT or SIGTERM; the configuration is written once the socket listens."""
    with _stopped_by(signal.SIGINT, signal.SIGTERM) as stopped, Sandbox(dataset, port, now, faults) as sandbox:
        if write_config:
            sandbox.write_config(write_config)
        stopped.wait()


@contextmanager
def _stopped_by(*signals: signal.Signals) -> Iterator[threading.Event]:
    """An event that those signals set, for as long as the block lasts."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in signals}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
