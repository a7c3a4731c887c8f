"""How often a venue lets itself be asked: the two published rules. A refused request costs nothing. No HTTP."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Clock = Callable[[], float]
T = TypeVar("T")


class TokenBucket:
    """Starts full, fills at `rate` a second up to `burst`; one token a request."""

    def __init__(self, rate: float, burst: int, clock: Clock) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens, self._at = float(burst), clock()

    def take(self) -> bool:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class RollingWindow:
    """At most `quota` in any `seconds`."""

    def __init__(self, quota: float, seconds: float, clock: Clock) -> None:
        self.quota, self.seconds, self._clock = quota, seconds, clock
        self._spent: deque[tuple[float, float]] = deque()

    def take(self, cost: float = 1) -> bool:
        if self.left() < cost:
            return False
        self._spent.append((self._clock(), cost))
        return True

    def left(self) -> float:
        now = self._clock()
        while self._spent and self._spent[0][0] <= now - self.seconds:
            self._spent.popleft()
        return self.quota - sum(cost for _, cost in self._spent)

    def wait(self, cost: float = 1) -> float:
        """Seconds until `cost` may be spent; until all is free for what never may."""
        missing, now = cost - self.left(), self._clock()
        for at, spent in self._spent if missing > 0 else ():
            missing -= spent
            if missing <= 0:
                return at + self.seconds - now
        return self.full_in() if missing > 0 else 0.0

    def full_in(self) -> float:
        """Seconds until nothing is spent."""
        return max(0.0, self._spent[-1][0] + self.seconds - self._clock()) if self._spent else 0.0


class PerCaller(Generic[T]):
    """One limit for each whom the venue counts: an address, a profile, a key."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._limits: dict[str, T] = {}

    def __getitem__(self, caller: str) -> T:
        if caller not in self._limits:
            self._limits[caller] = self._make()
        return self._limits[caller]
