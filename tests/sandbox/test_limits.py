"""The two rules of limits, by a clock that stands still until it is moved."""

from __future__ import annotations

import pytest

from pipelines.sandbox.limits import PerCaller, RollingWindow, TokenBucket


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(bucket: TokenBucket) -> int:
    """How many may be taken at once."""
    return next(n for n in range(1000) if not bucket.take())


def test_a_bucket_starts_full_fills_at_its_rate_and_never_overflows(clock: Clock) -> None:
    bucket = TokenBucket(rate=10, burst=15, clock=clock)
    assert taken(bucket) == 15
    clock.now += 0.5
    assert taken(bucket) == 5
    clock.now += 3600
    assert taken(bucket) == 15


def test_what_is_refused_costs_nothing(clock: Clock) -> None:
    bucket = TokenBucket(rate=1, burst=1, clock=clock)
    assert [bucket.take() for _ in range(100)] == [True] + [False] * 99
    clock.now += 1
    assert bucket.take()
    window = RollingWindow(10, 60, clock)
    assert [window.take(8), window.take(8), window.take(2)] == [True, False, True]


def test_a_window_rolls_spending_by_spending(clock: Clock) -> None:
    window = RollingWindow(100, 60, clock)
    for at in (0, 10, 20):
        clock.now = at
        assert window.take(30)
    assert (window.left(), window.wait(10), window.wait(11), window.wait(41), window.full_in()) == (10, 0, 40, 50, 60)
    clock.now = 59.999
    assert not window.take(12)
    clock.now = 60
    assert (window.left(), window.take(40), window.take(1)) == (40, True, False)
    clock.now = 1000
    assert (window.left(), window.wait(100), window.full_in()) == (100, 0, 0)


def test_each_caller_has_a_limit_of_its_own(clock: Clock) -> None:
    limits = PerCaller(lambda: TokenBucket(1, 1, clock))
    assert [limits["a"].take(), limits["a"].take(), limits["b"].take()] == [True, False, True]
