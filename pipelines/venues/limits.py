"""How fast a venue may be asked: the two rules venues publish, as reservations. No HTTP.

A limiter belongs to what the venue counts (a key, a profile, an address), not to a client: all clients of a process share it,
or the second one would begin with a full allowance that the venue does not grant. Reserving never blocks; whoever asks sleeps.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar, cast

Clock = Callable[[], float]
SPARE = 5  # a fifth of the burst is never used: requests reach the venue closer together than they leave
PAD = 0.5  # seconds a window is held longer than published, for the same reason


class Limiter(Protocol):
    def reserve(self, cost: float = 1) -> float:
        """Take `cost`, in the order of asking; the seconds to wait before using it."""


class TokenBucket:
    """Coinbase's rule: starts full, fills at `rate` a second up to `burst`."""

    def __init__(self, rate: float, burst: int, clock: Clock = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._most = max(1.0, burst - burst // SPARE)
        self._tokens, self._at = self._most, clock()
        self._lock = threading.Lock()

    def reserve(self, cost: float = 1) -> float:
        with self._lock:
            now = self._clock()
            self._tokens = min(self._most, self._tokens + (now - self._at) * self._rate) - cost
            self._at = now
            return max(0.0, -self._tokens / self._rate)


class RollingWindow:
    """Pacifica's and CryptoFuse's rule: at most `quota` in any `seconds`. A leaky bucket at the same rate is refused by it."""

    def __init__(self, quota: float, seconds: float = 60.0, clock: Clock = time.monotonic) -> None:
        self._quota, self._seconds, self._clock = quota, seconds + PAD, clock
        self._spent: deque[tuple[float, float]] = deque()  # (when, cost), oldest first; reservations lie ahead of the clock
        self._lock = threading.Lock()

    def reserve(self, cost: float = 1) -> float:
        with self._lock:
            now = self._forget()
            at = max(now, self._spent[-1][0] if self._spent else now)
            while self._spent and self._used() + cost > self._quota:
                at = max(at, self._spent.popleft()[0] + self._seconds)
            self._spent.append((at, cost))
            return at - now

    def observe(self, used: float) -> None:
        """The venue says so much is used; somebody else may be asking from the same address."""
        with self._lock:
            now = self._forget()
            unseen = used - self._used()
            if unseen > 0 and (not self._spent or self._spent[-1][0] <= now):
                self._spent.append((now, unseen))

    def _forget(self) -> float:
        now = self._clock()
        while self._spent and self._spent[0][0] <= now - self._seconds:
            self._spent.popleft()
        return now

    def _used(self) -> float:
        return sum(cost for _, cost in self._spent)


L = TypeVar("L", bound=Limiter)
_shared: dict[Hashable, Limiter] = {}


def shared(counted: Hashable, make: Callable[[], L]) -> L:
    """The one limiter of this process for what the venue counts."""
    return cast(L, _shared.setdefault(counted, make()))


async def wait(limiter: Limiter | None, cost: float) -> float:
    """Sleep until `cost` may be spent; the seconds slept."""
    seconds = limiter.reserve(cost) if limiter else 0.0
    if seconds:
        await asyncio.sleep(seconds)
    return seconds
