"""Random small books against an oracle of loops and `decimal`, and law 2: scrambling the future changes nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.stages.days import instant as any_instant
from pipelines.stages.prices import side_by_side
from pipelines.stages.snapshots import daily_balances
from pipelines.stages.valuations import daily_values
from pipelines.tables import (
    CANDLE_COVERAGE,
    CANDLES,
    DAILY_BALANCES,
    DAILY_PRICES,
    DAILY_VALUES,
    METHOD,
    OPENINGS,
    POLICIES,
    POSTINGS,
    PRODUCTS,
)
from tests import oracle
from tests.ledger_text import D, instant
from tests.stages.scenario import ACCOUNT_VIEW, ASSETS, KNOWN, WATERMARKS, calendar_days, candle

HOUR, MICRO = timedelta(hours=1), timedelta(microseconds=1)
BEGIN = instant("2025-03-07")
HOURS = 96
ASSET_CLASSES = {"BTC": "crypto", "ETH": "crypto", "USDC": "stable", "EUR": "fiat", "ODD": "crypto"}
DAYS = pl.concat(
    [
        calendar_days("utc", "2025-03-07", "2025-03-09"),
        calendar_days("new_york", "2025-03-07", "2025-03-09"),  # the clocks change on the 9th
        calendar_days("kolkata", "2025-03-08", "2025-03-09"),
        any_instant(instant("2025-03-09T12:00:00.000001Z")).lazy(),
    ]
).collect()

cut_offs = st.sampled_from(sorted(set(DAYS["as_of"])))
instants = st.builds(lambda at, off: at + off * MICRO, cut_offs, st.sampled_from((-1, 0, 1))) | st.builds(
    lambda hour, off: BEGIN + hour * HOUR + off * MICRO, st.integers(0, HOURS), st.integers(-1, 1)
)
numbers = st.sampled_from([D(0), D(1), D("0.1"), D("1e-18"), D("3e-18"), D("98765.432109876543210988"), D("4e8"), D("9e17")]) | st.decimals(
    min_value=0, max_value=10**9, places=18, allow_nan=False, allow_infinity=False
)
amounts = st.builds(lambda sign, size: size if sign else -size, st.booleans(), numbers)
TORTURE = int(os.environ.get("CLOSEBOOK_TORTURE", "0"))  # examples of every property, by `make torture-engine`
common = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@dataclass(frozen=True)
class Book:
    """Everything the stages read, as rows."""

    accounts: list[dict[str, Any]]
    openings: list[dict[str, Any]]
    postings: list[dict[str, Any]]
    watermarks: list[dict[str, Any]]
    candles: list[dict[str, Any]]
    coverage: list[dict[str, Any]]
    products: list[dict[str, Any]]
    policies: list[dict[str, Any]]

    def balances(self) -> pl.LazyFrame:
        facts = (
            POSTINGS.frame(self.postings),
            OPENINGS.frame(self.openings),
            ACCOUNT_VIEW.frame(self.accounts),
            WATERMARKS.frame(self.watermarks),
        )
        return daily_balances(*(f.lazy() for f in facts), DAYS.lazy())

    def prices(self) -> pl.LazyFrame:
        assets = ASSETS.frame({"asset": a, "asset_class": c} for a, c in ASSET_CLASSES.items())
        facts = (
            CANDLES.frame(self.candles),
            CANDLE_COVERAGE.frame(self.coverage),
            PRODUCTS.frame(self.products),
            assets,
            POLICIES.frame(self.policies),
        )
        return side_by_side(*(f.lazy() for f in facts), DAYS.lazy())

    def close(self) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        balances, prices = DAILY_BALANCES.conform(self.balances()), DAILY_PRICES.conform(self.prices())
        values = daily_values(balances.lazy(), prices.lazy(), ACCOUNT_VIEW.frame(self.accounts).lazy())
        return balances, prices, DAILY_VALUES.conform(values)


@st.composite
def chains(draw, account_id):
    """Postings of one account; now and then the venue's balance does not follow from the amounts."""
    balance, rows = draw(amounts), []
    for position, at in enumerate(sorted(draw(st.lists(instants, max_size=6)))):
        amount = draw(amounts | st.just(D("9e17")))
        slip = draw(st.sampled_from((0, 0, 0, 0, 1))) * D("0.5")
        balance = max(min(balance + amount + slip, D("9e17")), D("-9e17"))
        pending = draw(st.none() | numbers)
        row = {"account_id": account_id, "occurred_at": at, "position": position, "event_type": "match", "amount": amount}
        rows.append(row | {"balance_after": balance, "pending_after": pending, "recorded_at": KNOWN, "page_sha256": "page"})
    return rows


@st.composite
def ledgers(draw):
    accounts, openings, postings, watermarks = [], [], [], []
    for account_id in range(1, draw(st.integers(1, 3)) + 1):
        venue, asset = draw(st.sampled_from(("coinbase", "pacifica"))), draw(st.sampled_from((*ASSET_CLASSES, None)))
        account = {
            "account_id": account_id,
            "entity": "acme",
            "venue": venue,
            "portfolio": "desk",
            "native_code": str(asset),
            "asset": asset,
        }
        accounts.append(account | {"asset_class": ASSET_CLASSES.get(asset, "unknown")})
        rows = draw(chains(account_id))
        postings += rows
        kind = draw(st.sampled_from(("INCEPTION", "ASSERTED", "DERIVED_FIRST_POSTING", "UNKNOWN", None)))
        if kind:
            first = {"INCEPTION": D(0), "UNKNOWN": None}.get(kind, draw(amounts))
            opened_at = draw(instants)
            if kind == "DERIVED_FIRST_POSTING" and rows:
                first, opened_at = rows[0]["balance_after"] - rows[0]["amount"], rows[0]["occurred_at"]
            opening = {"account_id": account_id, "kind": kind, "amount": first, "pending_amount": draw(st.none() | numbers)}
            openings.append(opening | {"opened_at": opened_at, "recorded_at": KNOWN})
        if read_through := draw(st.none() | instants | st.just(KNOWN)):
            watermarks.append({"account_id": account_id, "read_through": read_through})
    return accounts, openings, draw(st.permutations(postings)), watermarks


@st.composite
def markets(draw):
    candles, coverage, products = [], [], []
    for base in draw(st.sampled_from(((), ("BTC",), ("ETH", "BTC"), ("USDC", "EUR", "ETH", "BTC")))):
        product_id = f"{base}-USD"
        status = draw(st.sampled_from(("online", "online", "online", "delisted", "offline")))
        products.append(
            {
                "product_id": product_id,
                "base": base,
                "quote": "USD",
                "status": status,
                "trading_disabled": status != "online" and draw(st.booleans()),
                "recorded_at": KNOWN,
            }
        )
        first, last = sorted(draw(st.tuples(st.integers(-2, HOURS + 2), st.integers(-2, HOURS + 2))))
        skipped = draw(st.sets(st.integers(0, HOURS)))
        closes, volumes = draw(st.lists(numbers, min_size=1, max_size=4)), draw(st.lists(numbers, min_size=1, max_size=3))
        hours = [n for n in range(first, last) if n not in skipped]
        candles += [candle(product_id, BEGIN + n * HOUR, str(closes[n % len(closes)]), str(volumes[n % len(volumes)])) for n in hours]
        answered = draw(st.lists(st.tuples(st.integers(-25, HOURS), st.integers(1, 70), st.sampled_from((True, True, False))), max_size=3))
        everything = [(-25, HOURS + 30, True)] if draw(st.booleans()) else []
        for since, length, final in (*answered, *everything):
            asked = {"product_id": product_id, "since": BEGIN + since * HOUR, "until": BEGIN + (since + length) * HOUR}
            coverage.append(asked | {"asked_at": KNOWN, "final": final, "recorded_at": KNOWN})
    return draw(st.permutations(candles)), coverage, products


@st.composite
def policy_lists(draw):
    rows = []
    for asset, since in draw(
        st.lists(st.tuples(st.sampled_from(("USDC", "EUR", "ODD", "BTC")), st.none() | cut_offs), unique=True, max_size=3)
    ):
        kind = draw(st.sampled_from(("exclude", "price", "price", "alias" if asset in {"ODD", "USDC"} else "price")))
        positive = numbers.filter(lambda x: x > 0)
        says = {"price": draw(positive), "currency": "USD", "bound": draw(st.none() | positive)} if kind == "price" else {}
        other = draw(st.sampled_from(("BTC", "ETH", "USD", "DOGE"))) if kind == "alias" else None
        plain = {"price": None, "currency": None, "bound": None, "exclude": kind == "exclude", "same_as": other}
        row = {"name": f"{asset} {since}", "asset": asset, "since": since, "until": draw(st.none() | cut_offs), "approver": "controller"}
        rows.append(row | {"recorded_at": KNOWN} | plain | says)
    return rows


books = st.builds(lambda ledger, market, policies: Book(*ledger, *market, policies), ledgers(), markets(), policy_lists())


def told(frame: pl.DataFrame, *key: str) -> dict[tuple, dict[str, Any]]:
    rows = {tuple(row[k] for k in ("calendar", "day", *key)): row for row in frame.to_dicts()}
    assert len(rows) == frame.height, "a key twice"
    return rows


@given(books)
@settings(common, max_examples=TORTURE or 100)
def test_balances_prices_values_and_reasons_are_those_of_plain_arithmetic(book):
    balances, prices, values = book.close()
    told_balances, told_prices, told_values = told(balances, "account_id"), told(prices, "asset", "method"), told(values, "account_id")
    openings, watermarks = ({row["account_id"]: row for row in table} for table in (book.openings, book.watermarks))
    expected_rows = expected_prices = 0
    for calendar, day, t in DAYS.rows():
        facts = (book.candles, book.coverage, book.products, book.policies, t)
        market = {a: oracle.daily_price(a, c, *facts) for a, c in ASSET_CLASSES.items()}
        for asset, asset_class in ASSET_CLASSES.items():
            for method, price in ({METHOD: market[asset]} | oracle.other_methods(asset, asset_class, *facts)).items():
                assert subset(told_prices[calendar, day, asset, method], price) == price
                expected_prices += 1
        for account in book.accounts:
            i = account["account_id"]
            balance = oracle.daily_balance(account, openings.get(i), book.postings, watermarks.get(i, {}).get("read_through"), t)
            if balance is None:
                continue
            expected_rows += 1
            assert subset(told_balances[calendar, day, i], balance) == balance
            value = oracle.daily_value(balance["balance"], market.get(account["asset"]))
            assert subset(told_values[calendar, day, i], value) == value
    assert expected_rows == balances.height == values.height
    assert prices.height == expected_prices


def subset(row: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in like}


@given(books, cut_offs, st.data())
@settings(common, max_examples=TORTURE or 50)
def test_scrambling_the_future_changes_no_quantity_price_or_value(book, t, data):
    future = Book(
        **book.__dict__
        | {
            "postings": [
                p for p in map(scrambled(data, "amount", "balance_after", "pending_after"), book.postings, future_postings(book, t)) if p
            ],
            "candles": [c for c in map(scrambled(data, "close", "volume"), book.candles, future_candles(book, t)) if c],
        }
    )
    assert settled(book, t) == settled(future, t)


def future_postings(book: Book, t: datetime) -> list[bool]:
    return [p["occurred_at"] >= t for p in book.postings]


def future_candles(book: Book, t: datetime) -> list[bool]:
    return [c["start"] + HOUR > t for c in book.candles]


def scrambled(data, *names):
    """A function that replaces, or drops, what lies in the future, and leaves the past alone."""

    def scramble(row: dict[str, Any], is_future: bool) -> dict[str, Any] | None:
        if not is_future:
            return row
        return row | {name: data.draw(numbers) for name in names} if data.draw(st.booleans()) else None

    return scramble


def settled(book: Book, t: datetime) -> list[list[dict[str, Any]]]:
    """All that must not look ahead, of the days that end by `t`. Reasons are labels, and may."""
    balances, prices, values = (frame.filter(pl.col("as_of") <= t).sort(pl.all()) for frame in book.close())
    return [
        balances.sort("calendar", "day", "account_id").to_dicts(),
        prices.drop("reason").sort("calendar", "day", "asset", "method").to_dicts(),
        values.drop("reason").sort("calendar", "day", "account_id").to_dicts(),
    ]


@given(books)
@settings(common, max_examples=TORTURE or 20)
def test_a_day_asked_for_alone_is_the_day_among_others(book):
    alone = [any_instant(t).lazy() for t in sorted(set(DAYS["as_of"]))]
    together = book.balances().unique(["as_of", "account_id"]).drop("calendar", "day").sort("as_of", "account_id").collect()
    facts = (
        POSTINGS.frame(book.postings),
        OPENINGS.frame(book.openings),
        ACCOUNT_VIEW.frame(book.accounts),
        WATERMARKS.frame(book.watermarks),
    )
    one_by_one = pl.concat([daily_balances(*(f.lazy() for f in facts), day) for day in alone])
    assert one_by_one.drop("calendar", "day").sort("as_of", "account_id").collect().equals(together)


def test_the_days_of_these_books_are_awkward_on_purpose():
    assert DAYS.height == DAYS.select("calendar", "day").unique().height == 9
    assert date(2025, 3, 9) in DAYS["day"].to_list()
    assert {t.minute for t in DAYS["as_of"]} == {0, 30}
