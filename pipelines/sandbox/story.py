"""What happens to the demo's six portfolios: acts at instants → rows, in time order. Seeded; no file, no clock.

An act posts rows and may plan others, so the two legs of a transfer can lie apart. Amounts follow from what is held: no spot
balance goes below zero.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from functools import partial
from random import Random
from typing import NamedTuple

from pipelines.sandbox.market import Prices
from pipelines.sandbox.values import DAY, SECOND

D = Decimal
MINUTE = 60 * SECOND
VENUE_OF = {
    "treasury": "coinbase",
    "trading": "coinbase",
    "payroll": "coinbase",
    "perps": "pacifica",
    "perps-alpha": "pacifica",
    "shop": "cryptofuse",
}
OPENINGS = {"treasury": {"USD": D("250000.00"), "REN": D("12000.00000000")}}
GRAIN = {"coinbase": 1, "pacifica": 1_000, "cryptofuse": SECOND}
FEE = D("0.004")
COINS = ("BTC", "ETH", "SOL")
SALES: dict[str, Decimal] = {"USDTERC20": D(900), "USDTTRC20": D(1400), "USDCERC20": D(700), "ETH": D("0.4"), "BTC": D("0.012")}
"""What a large sale brings, in units."""
SWEPT = {"USDTERC20": "USDT", "USDCERC20": "USDC", "BTC": "BTC"}
"""What the shop sends to the treasury, and as what it arrives."""


class Row(NamedTuple):
    """One row of ledger.csv; `at` in microseconds."""

    portfolio: str
    code: str
    at: int
    kind: str
    amount: Decimal
    balance: Decimal
    pending: Decimal | None
    event_id: str


class Story:
    """The days from `start` (microseconds) on."""

    def __init__(self, seed: int, start: int, days: int, prices: Prices, delisted_at: int) -> None:
        self._random, self._prices = Random(f"{seed}/story"), prices
        self._start, self._end, self._delisted_at = start, start + days * DAY, delisted_at * SECOND
        self._held = {(name, code): amount for name, codes in OPENINGS.items() for code, amount in codes.items()}
        self._pending: dict[str, Decimal] = {}
        self._acts: list[tuple[int, int, Callable[[int], None]]] = []
        self._planned, self._last_id = 0, 40_000_000
        self.rows: list[Row] = []

    def tell(self) -> list[Row]:
        for day in range((self._end - self._start) // DAY):
            self._plan_day(day)
        while self._acts:
            at, _, act = heapq.heappop(self._acts)
            act(at)
        return self.rows

    # when

    def _plan(self, at: int, act: Callable[[int], None]) -> None:
        """Nothing happens at or after the end."""
        if at < self._end:
            self._planned += 1
            heapq.heappush(self._acts, (at, self._planned, act))

    def _plan_day(self, day: int) -> None:
        """The first day funds everybody; later days repeat on a weekly rhythm."""
        for every, first, hour, act in self._rhythm():
            if day >= first and (day - first) % every == 0:
                self._plan(self._time(day, hour), act)
        for portfolio, most, act in self._habits():
            for _ in range(self._random.randint(max(1, most // 2), most)):
                self._plan(self._time(day, self._random.randint(6, 22), GRAIN[VENUE_OF[portfolio]]), act)
        for hour in (0, 8, 16):
            self._plan(self._start + day * DAY + hour * 60 * MINUTE + 12_000, self._funding)

    def _time(self, day: int, hour: int, grain: int = SECOND) -> int:
        offset = hour * 60 * MINUTE + self._random.randrange(60 * MINUTE)
        return self._start + day * DAY + offset // grain * grain

    def _rhythm(self) -> tuple[tuple[int, int, int, Callable[[int], None]], ...]:
        """(every so many days, from this day on, at this hour, act)."""
        return (
            (7, 0, 1, lambda at: self._post("treasury", "USD", at, "transfer", self._money(180_000, 320_000))),
            (14, 0, 2, lambda at: self._post("treasury", "EUR", at, "transfer", self._money(5_000, 20_000))),
            (7, 0, 3, lambda at: self._between("treasury", "trading", "USD", at, D("0.2"))),
            (7, 0, 4, lambda at: self._between("treasury", "payroll", "USD", at, D("0.15"))),
            (7, 0, 5, lambda at: self._convert("treasury", at, D("0.25"))),
            (7, 1, 9, lambda at: self._buy("treasury", "BTC", at, D("0.1"))),
            (30, 1, 10, self._buy_the_delisted),
            (7, 2, 11, lambda at: self._convert("payroll", at, D("0.5"))),
            (7, 3, 12, self._pay_wages),
            (9, 1, 13, self._fund_perps),
            (9, 6, 14, self._perps_home),
            (6, 2, 15, self._to_subaccount),
            (11, 7, 16, self._pending_deposit),
            (6, 5, 18, self._sweep),
        )

    def _habits(self) -> tuple[tuple[str, int, Callable[[int], None]], ...]:
        """(portfolio, at most so often a day, act)."""
        return (
            ("trading", 5, self._trade),
            ("perps", 3, lambda at: self._perp_trade("perps", at)),
            ("perps-alpha", 2, lambda at: self._perp_trade("perps-alpha", at)),
            ("shop", 5, self._sale),
        )

    # what: spot

    def _trade(self, at: int) -> None:
        coin = self._random.choice(COINS)
        if self._random.random() < 0.6 or not self._has("trading", coin):
            self._buy("trading", coin, at, D(self._random.randint(2, 6)) / 100)
        else:
            self._sell("trading", coin, at, D(self._random.randint(10, 60)) / 100)

    def _buy(self, portfolio: str, coin: str, at: int, share: Decimal) -> None:
        price = self._prices.at(coin, at // SECOND)
        size = _cut(self._has(portfolio, "USD") * share / price, 8)
        self._match(portfolio, coin, at, size, -size * price)

    def _sell(self, portfolio: str, coin: str, at: int, share: Decimal) -> None:
        size = _cut(self._has(portfolio, coin) * share, 8)
        self._match(portfolio, coin, at, -size, size * self._prices.at(coin, at // SECOND))

    def _match(self, portfolio: str, coin: str, at: int, size: Decimal, funds: Decimal) -> None:
        """Two accounts move and a fee is taken, all in one instant."""
        if size:
            self._post(portfolio, coin, at, "match", size)
            self._post(portfolio, "USD", at, "match", funds)
            self._post(portfolio, "USD", at, "fee", -_cut(abs(funds) * FEE, 10))

    def _buy_the_delisted(self, at: int) -> None:
        if at < self._delisted_at:
            self._buy("treasury", "OMG", at, D("0.02"))

    def _between(self, origin: str, target: str, code: str, at: int, share: Decimal) -> None:
        """Both legs in one instant: the venue moves it between its own profiles."""
        amount = _cut(self._has(origin, code) * share, 2)
        self._post(origin, code, at, "transfer", -amount)
        self._post(target, code, at, "transfer", amount)

    def _convert(self, portfolio: str, at: int, share: Decimal) -> None:
        amount = _cut(self._has(portfolio, "USD") * share, 2)
        self._post(portfolio, "USD", at, "conversion", -amount)
        self._post(portfolio, "USDC", at, "conversion", amount)

    def _pay_wages(self, at: int) -> None:
        for code in ("USD", "USDC"):
            self._post("payroll", code, at, "transfer", -_cut(self._has("payroll", code) * D("0.7"), 2))

    # what: perpetuals

    def _fund_perps(self, at: int) -> None:
        """Leaves the treasury now, arrives minutes later: in transit in between."""
        amount = _cut(self._has("treasury", "USDC") * D("0.4"), 2)
        self._post("treasury", "USDC", at, "transfer", -amount)
        self._plan(at + 17 * MINUTE, lambda later: self._post("perps", "USDC", later, "deposit", amount))

    def _perps_home(self, at: int) -> None:
        amount = _cut(self._has("perps", "USDC") * D("0.2"), 2)
        self._post("perps", "USDC", at, "withdraw", -amount)
        arrives = amount - 1  # the venue's fee
        self._plan(at + 41 * MINUTE, lambda later: self._post("treasury", "USDC", later, "transfer", arrives))

    def _to_subaccount(self, at: int) -> None:
        amount = _cut(self._has("perps", "USDC") * D("0.15"), 2)
        self._post("perps", "USDC", at, "subaccount_transfer", -amount)
        self._post("perps-alpha", "USDC", at, "subaccount_transfer", amount)

    def _pending_deposit(self, at: int) -> None:
        """Above the venue's cap: first pending, released two days later."""
        amount = self._money(8_000, 30_000)
        self._move_pending("perps-alpha", at, "deposit", amount, D(0))
        self._plan(at + 2 * DAY, lambda later: self._move_pending("perps-alpha", later, "deposit_release", -amount, amount))

    def _move_pending(self, portfolio: str, at: int, kind: str, pending: Decimal, amount: Decimal) -> None:
        self._pending[portfolio] = self._pending.get(portfolio, D(0)) + pending
        self._post(portfolio, "USDC", at, kind, amount)

    def _perp_trade(self, portfolio: str, at: int) -> None:
        """Realised profit and loss; sometimes two fills within one millisecond."""
        for _ in range(self._random.choice((1, 1, 1, 2))):
            self._gain(portfolio, at, "trade", 9_000)

    def _funding(self, at: int) -> None:
        for portfolio in ("perps", "perps-alpha"):
            self._gain(portfolio, at, "funding", 600)

    def _gain(self, portfolio: str, at: int, kind: str, most: int) -> None:
        """Up to so many millionths of the balance, more often up than down."""
        if held := self._has(portfolio, "USDC"):
            self._post(portfolio, "USDC", at, kind, _cut(held * self._random.randint(-most * 4 // 5, most) / 1_000_000, 6))

    # what: the shop

    def _sale(self, at: int) -> None:
        code = self._random.choice(tuple(SALES))
        amount = _cut(SALES[code] * self._random.randint(20, 1000) / 1000, 6)
        self._post("shop", code, at, "deposit", amount)
        self._post("shop", code, at, "fee", -_cut(amount * D("0.01"), 6))

    def _sweep(self, at: int) -> None:
        for minutes, code in enumerate(SWEPT):
            self._plan(at + minutes * MINUTE, partial(self._send_home, code))

    def _send_home(self, code: str, at: int) -> None:
        if amount := _cut(self._has("shop", code) * D("0.8"), 6):
            self._post("shop", code, at, "withdrawal", -amount)
            self._plan(at + 9 * MINUTE, lambda later: self._post("treasury", SWEPT[code], later, "transfer", amount))

    # rows

    def _has(self, portfolio: str, code: str) -> Decimal:
        return self._held.get((portfolio, code), D(0))

    def _money(self, least: int, most: int) -> Decimal:
        return D(self._random.randint(least * 100, most * 100)) / 100

    def _post(self, portfolio: str, code: str, at: int, kind: str, amount: Decimal) -> None:
        venue = VENUE_OF[portfolio]
        if amount or kind == "deposit":
            balance = self._held[portfolio, code] = self._has(portfolio, code) + amount
            pending = self._pending.get(portfolio, D(0)) if venue == "pacifica" else None
            at = at // GRAIN[venue] * GRAIN[venue]
            self.rows.append(Row(portfolio, code, at, kind, amount, balance, pending, self._next_id() if venue == "coinbase" else ""))

    def _next_id(self) -> str:
        """Ids rise with gaps, as those of a venue with many customers do."""
        self._last_id += self._random.randint(2, 60)
        return str(self._last_id)


def _cut(amount: Decimal, places: int) -> Decimal:
    return amount.quantize(D(1).scaleb(-places), ROUND_DOWN)
