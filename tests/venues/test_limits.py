"""Two rules, each held against the venue's own arithmetic, with requests that arrive late and unevenly."""

import heapq
import random
from collections import deque

import pytest

from pipelines.venues.limits import RollingWindow, TokenBucket, Windows, shared


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


def arrivals(limiter, clock, costs, latency):
    """When each request reaches the venue, if every one is sent as soon as the limiter lets it."""
    seen = []
    for cost in costs:
        clock.now += limiter.reserve(cost)
        seen.append((clock.now + latency(), cost))
    return sorted(seen)


def refused_by_window(seen, quota, seconds=60.0):
    window, refused = deque(), 0
    for at, cost in seen:
        while window and window[0][0] <= at - seconds:
            window.popleft()
        if sum(c for _, c in window) + cost > quota:
            refused += 1
        else:
            window.append((at, cost))
    return refused


def refused_by_bucket(seen, rate, burst):
    tokens, last, refused = float(burst), seen[0][0], 0
    for at, _ in seen:
        tokens, last = min(burst, tokens + (at - last) * rate), at
        refused += tokens < 1
        tokens -= tokens >= 1
    return refused


@pytest.mark.parametrize(("quota", "cost"), [(300, 3), (100, 12), (100, 1)])
def test_a_rolling_window_never_refuses_us_and_we_use_95_percent_of_it(quota, cost):
    clock, jitter = Clock(), random.Random(1)
    seen = arrivals(RollingWindow(quota, clock=clock), clock, [cost] * (quota // cost) * 10 + [cost], lambda: jitter.uniform(0, 0.4))
    assert refused_by_window(seen, quota) == 0
    assert (len(seen) - 1) * cost / (seen[-1][0] - seen[0][0]) >= 0.95 * quota / 60


class Lanes:
    """So many ask side by side, each again when it is answered; a question counts some time after it left, and is answered later still.

    One in `pauses` makes the venue pause: what arrives meanwhile is counted together when it goes on.
    """

    def __init__(self, rate, burst, lanes, latency, pauses=0, asks=400):
        self.clock, self.jitter, self.events = Clock(), random.Random(1), []
        self.limiter = TokenBucket(rate, burst, self.clock)
        self.latency, self.pauses, self.left, self.resumes = latency, pauses, asks, 0.0
        self.seen, self.began = [], self.clock.now
        for _ in range(lanes):
            self.at(self.clock.now, self.ask)

    def at(self, when, what):
        heapq.heappush(self.events, (when, len(self.events) + self.jitter.random(), what))

    def run(self):
        while self.events:
            self.clock.now, _, happens = heapq.heappop(self.events)
            happens(self.clock.now)
        return self.seen, self.clock.now - self.began

    def ask(self, now):
        if self.left:
            self.left -= 1
            self.at(now + self.limiter.reserve(), self.leave)

    def leave(self, now):
        if self.pauses and self.jitter.randrange(self.pauses) == 0:
            self.resumes = now + self.jitter.uniform(0.5, 3)
        self.at(max(self.resumes, now + self.jitter.expovariate(1 / self.latency)), self.arrive)

    def arrive(self, now):
        self.seen.append((now, 1))
        self.at(now + self.jitter.expovariate(1 / self.latency), self.answer)

    def answer(self, now):
        self.limiter.answered()
        self.ask(now)


@pytest.mark.parametrize("latency", [0.002, 0.05])
@pytest.mark.parametrize(("rate", "burst", "lanes"), [(15, 30, 16), (15, 30, 30), (10, 15, 15)])
def test_a_token_bucket_never_refuses_us_and_we_use_97_percent_of_it(rate, burst, lanes, latency):
    seen, seconds = Lanes(rate, burst, lanes, latency).run()
    assert refused_by_bucket(seen, rate, burst) == 0
    assert (len(seen) - burst) / rate >= 0.97 * seconds


@pytest.mark.parametrize("latency", [0.002, 0.05, 0.5])
@pytest.mark.parametrize(("rate", "burst", "lanes"), [(15, 30, 16), (15, 30, 30), (10, 15, 15), (2, 3, 3)])
def test_what_a_pausing_venue_counts_together_overflows_nothing_while_no_more_than_the_burst_are_on_the_way(rate, burst, lanes, latency):
    seen, _ = Lanes(rate, burst, lanes, latency, pauses=50).run()
    assert refused_by_bucket(seen, rate, burst) == 0


def test_with_more_on_the_way_than_the_burst_it_would():
    seen, _ = Lanes(10, 15, 40, 0.05, pauses=50).run()
    assert refused_by_bucket(seen, 10, 15) > 0


def test_a_venue_that_stalls_counts_late_and_still_refuses_nothing():
    """Eight side by side, a hundred answers a second, and four times a pause of two seconds in which all eight wait at the venue."""
    clock, limiter, seen = Clock(), None, []
    limiter = TokenBucket(15, 30, clock)
    for turn in range(120):
        waits = [limiter.reserve() for _ in range(8)]
        clock.now += max(waits) + (2.0 if turn % 30 == 5 else 0.01)
        seen += [(clock.now, 1)] * 8
        for _ in range(8):
            limiter.answered()
    assert refused_by_bucket(seen, 15, 30) == 0


def test_a_request_counts_from_its_answer_for_it_may_have_arrived_late():
    clock = Clock()
    window = RollingWindow(1, 60, clock)
    assert window.reserve() == 0
    clock.now += 20
    window.answered()
    assert window.reserve() == 60.5


def test_a_leaky_bucket_at_the_same_rate_would_be_refused_by_the_window():
    clock = Clock()
    assert refused_by_window(arrivals(TokenBucket(100 / 60, 100, clock), clock, [1] * 300, lambda: 0.0), 100) > 0


def test_those_who_wait_are_served_in_order_and_each_pays():
    clock = Clock()
    window = RollingWindow(2, 10, clock)
    assert [window.reserve() for _ in range(5)] == [0, 0, 10.5, 10.5, 21]


def test_the_minute_the_hour_and_the_day_are_all_kept():
    clock = Clock()
    seen = arrivals(Windows([(100, 60), (1000, 3600), (5000, 86400)], clock), clock, [1] * 6000, lambda: 0.0)
    for quota, seconds in ((100, 60.0), (1000, 3600.0), (5000, 86400.0)):
        assert refused_by_window(seen, quota, seconds) == 0
    assert seen[999][0] - seen[0][0] == pytest.approx(9 * 60.5), "a thousand go as fast as the minute lets them"
    assert seen[4999][0] - seen[0][0] < 5 * 3600


def test_what_somebody_else_used_from_the_same_address_counts():
    clock = Clock()
    window = RollingWindow(10, 10, clock)
    window.reserve(2)
    window.observe(9)
    assert window.reserve(1) == 0
    assert window.reserve(1) > 0


def test_clients_of_one_key_share_one_allowance():
    assert shared(("a", 1), lambda: TokenBucket(1, 1)) is shared(("a", 1), lambda: TokenBucket(1, 1))
    assert shared(("a", 1), lambda: TokenBucket(1, 1)) is not shared(("b", 1), lambda: TokenBucket(1, 1))
