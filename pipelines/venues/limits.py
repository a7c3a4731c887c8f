"""How fast a venue may be asked: the two rules venues publish, as reservations. No HTTP.

A limiter belongs to what the venue counts (a key, a profile, an address), not to a client: all clients of a process share it,
or the second one would begin with a full allowance that the venue does not grant. Reserving never blocks; whoever asks sleeps.
The venue counts a request when it arrives, which is some time between its leaving and its answer: until then it counts as both.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

Clock = Callable[[], float]
SPARE = 10  # a tenth of the burst is never used: requests reach the venue closer together than they leave
PAD = 0.5  # seconds a window is held longer than published, for the same reason


class Limiter(Protocol):
    def reserve(self, cost: float = 1) -> float:
        """Take `cost`, in the order of asking; the seconds to wait before using it."""

    def answered(self) -> None:
        """What was reserved longest ago has been answered, or given up: by now the venue has counted it."""


class TokenBucket:
    """Coinbase's rule: starts full, fills at `rate` a second up to `burst`. Never refused while no more than `burst` are on the way."""

    def __init__(self, rate: float, burst: int, clock: Clock = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._most = max(1.0, burst - burst // SPARE)
        self._tokens, self._at, self._on_the_way = self._most, clock(), 0
        self._lock = threading.Lock()

    def reserve(self, cost: float = 1) -> float:
        with self._lock:
            self._fill()
            self._tokens -= cost
            self._on_the_way += 1
            return max(0.0, -self._tokens / self._rate)

    def answered(self) -> None:
        with self._lock:
            self._fill()
            self._on_the_way = max(0, self._on_the_way - 1)

    def _fill(self) -> None:
        """While requests are on the way, the venue's bucket may stand full and waste what ours would gain."""
        now = self._clock()
        full = min(self._most, self._burst - self._on_the_way)
        self._tokens = max(self._tokens, min(full, self._tokens + (now - self._at) * self._rate))
        self._at = now


@dataclass
class _Spent:
    at: float
    cost: float


class RollingWindow:
    """Pacifica's and CryptoFuse's rule: at most `quota` in any `seconds`. A leaky bucket at the same rate is refused by it."""

    def __init__(self, quota: float, seconds: float = 60.0, clock: Clock = time.monotonic) -> None:
        self._quota, self._seconds, self._clock = quota, seconds + PAD, clock
        self._spent: deque[_Spent] = deque()  # oldest first; reservations lie ahead of the clock
        self._on_the_way: deque[_Spent] = deque()
        self._sum = 0.0
        self._lock = threading.Lock()

    def reserve(self, cost: float = 1) -> float:
        with self._lock:
            now = self._forget()
            at = self.room(cost, max(now, self._spent[-1].at if self._spent else now))
            self.spend(cost, at)
            return at - now

    def room(self, cost: float, at: float) -> float:
        """The first instant from `at` on that has room for `cost`; what has to leave the window first is forgotten."""
        while self._spent and self._used() + cost > self._quota:
            at = max(at, self._leave() + self._seconds)
        return at

    def spend(self, cost: float, at: float) -> None:
        self._spent.append(_Spent(at, cost))
        self._on_the_way.append(self._spent[-1])
        self._sum += cost

    def answered(self) -> None:
        with self._lock:
            if self._on_the_way:
                spent = self._on_the_way.popleft()
                spent.at = max(spent.at, self._clock())

    def observe(self, used: float) -> None:
        """The venue says so much is used; somebody else may be asking from the same address."""
        with self._lock:
            now = self._forget()
            unseen = used - self._used()
            if unseen > 0 and (not self._spent or self._spent[-1].at <= now):
                self._spent.append(_Spent(now, unseen))
                self._sum += unseen

    def _forget(self) -> float:
        now = self._clock()
        while self._spent and self._spent[0].at <= now - self._seconds:
            self._leave()
        return now

    def _leave(self) -> float:
        spent = self._spent.popleft()
        self._sum = self._sum - spent.cost if self._spent else 0.0
        return spent.at

    def _used(self) -> float:
        return self._sum


class Windows:
    """Several rolling windows at once, as in 100 a minute and 1,000 an hour: a request counts in each when it leaves."""

    def __init__(self, limits: Iterable[tuple[float, float]], clock: Clock = time.monotonic) -> None:
        self._windows = [RollingWindow(quota, seconds, clock) for quota, seconds in limits]
        self._clock, self._last = clock, 0.0
        self._lock = threading.Lock()

    def reserve(self, cost: float = 1) -> float:
        with self._lock:
            now = self._clock()
            at = max(now, self._last)
            for window in self._windows:
                at = window.room(cost, at)
            for window in self._windows:
                window.spend(cost, at)
            self._last = at
            return at - now

    def answered(self) -> None:
        for window in self._windows:
            window.answered()


L = TypeVar("L", bound=Limiter)
_shared: dict[Hashable, Limiter] = {}


def shared(counted: Hashable, make: Callable[[], L]) -> L:
    """The one limiter of this process for what the venue counts."""
    return cast(L, _shared.setdefault(counted, make()))


async def wait(limiter: Limiter | None, cost: float) -> None:
    """Sleep until `cost` may be spent."""
    if limiter and (seconds := limiter.reserve(cost)):
        await asyncio.sleep(seconds)
