"""The book as it grows: whatever order facts are learned and days are closed in, the tables hold what the whole history says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipelines import book, closing, histories
from pipelines.stages import days as day_stage
from pipelines.stages import known, prices, snapshots, valuations
from pipelines.stages.ledger import EPOCH
from pipelines.tables import (
    ACCOUNTS,
    CALENDARS,
    CANDLE_COVERAGE,
    CANDLES,
    CLOSED_DAYS,
    DAILY_BALANCES,
    DAILY_PRICES,
    DAILY_VALUES,
    DIRTY,
    OPENINGS,
    PORTFOLIOS,
    POSTINGS,
    PRODUCTS,
    PUBLICATIONS,
    PULLS,
)  # fmt: skip
from pipelines.warehouse import Warehouse
from tests.ledger_text import instant
from tests.stages.scenario import CALENDAR_ROWS
from tests.stages.test_laws import HOUR, TORTURE, Book, books, common, cut_offs, instants

FIRST, LAST = date(2025, 3, 7), date(2025, 3, 9)
CONFIG: Any = SimpleNamespace(book=SimpleNamespace(start=FIRST, end=LAST + timedelta(days=1)))
BEFORE_ALL = instant("2025-03-01")


class Home:
    """A warehouse in memory that learns the facts of a random book bit by bit, noting what becomes dirty as `ingest` does."""

    def __init__(self, warehouse: Warehouse, facts: Book) -> None:
        self.warehouse, self.facts = warehouse, facts
        self.code = {a["account_id"]: f"{a['native_code']}{a['account_id']}" for a in facts.accounts}
        self.portfolio = {a["account_id"]: f"desk-{a['venue']}" for a in facts.accounts}
        venues = {self.portfolio[a["account_id"]]: a["venue"] for a in facts.accounts}
        with warehouse.commit("configured") as commit:
            commit.insert(CALENDARS, CALENDAR_ROWS)
            at = {"recorded_at": commit.recorded_at}
            commit.insert(PORTFOLIOS, PORTFOLIOS.frame({"portfolio": p, "entity": "acme", "venue": v} | at for p, v in venues.items()))
            accounts = [
                {"account_id": i, "portfolio": self.portfolio[i], "native_code": self.code[i]}
                | {name: a[name] for name in ("asset", "asset_class")}
                | at
                for a in facts.accounts
                for i in [a["account_id"]]
            ]
            commit.insert(ACCOUNTS, ACCOUNTS.frame(accounts))
            commit.insert(OPENINGS, OPENINGS.frame(o | at for o in facts.openings))
        self.until = BEFORE_ALL

    def learn(self, postings: list[dict[str, Any]]) -> None:
        with self.warehouse.commit("postings") as commit:
            commit.insert(POSTINGS, POSTINGS.frame(p | {"recorded_at": commit.recorded_at} for p in postings))
            self._dirty(commit, "ACCOUNT", [(p["account_id"], p["occurred_at"], None) for p in postings])

    def restate(self, posting: dict[str, Any]) -> None:
        """A re-read no longer shows it, but the same row a little larger."""
        found = self.warehouse.read(POSTINGS, "retired_at IS NULL").filter(
            (pl.col("account_id") == posting["account_id"]) & (pl.col("position") == posting["position"])
        )
        with self.warehouse.commit("restated") as commit:
            commit.retire(POSTINGS, found)
            larger = found.with_columns(
                amount=pl.col("amount") + 1, recorded_at=pl.lit(commit.recorded_at).cast(found.schema["recorded_at"])
            )
            commit.insert(POSTINGS, larger)
            self._dirty(commit, "ACCOUNT", [(posting["account_id"], at, None) for at in found["occurred_at"]])

    def read_further(self, account_id: int, through: datetime) -> None:
        subject = {"portfolio": self.portfolio[account_id], "subject": self.code[account_id]}
        was = self.warehouse.read(PULLS, "portfolio = ? AND subject = ?", *subject.values())["read_through"].max()
        if was is None or was < through:
            with self.warehouse.commit("read further") as commit:
                row = subject | {
                    "kind": "ACCOUNT",
                    "read_through": through,
                    "asked_at": through,
                    "batch": "",
                    "recorded_at": commit.recorded_at,
                }
                commit.insert(PULLS, PULLS.frame([row]))
                self._dirty(commit, "ACCOUNT", [(account_id, was or EPOCH, None)])

    def trade(self, candles: list[dict[str, Any]], coverage: list[dict[str, Any]]) -> None:
        with self.warehouse.commit("candles") as commit:
            at = {"recorded_at": commit.recorded_at}
            commit.insert(CANDLES, CANDLES.frame(c | at for c in candles))
            commit.insert(CANDLE_COVERAGE, CANDLE_COVERAGE.frame(c | at for c in coverage))
            spans = [(c["product_id"], EPOCH, c["start"] + 25 * HOUR) for c in candles]  # any of them may be the first
            spans += [(c["product_id"], c["since"], c["until"] + 24 * HOUR) for c in coverage]
            self._dirty(commit, "ASSET", [(product.removesuffix("-USD"), since, until) for product, since, until in spans])

    def list_markets(self) -> None:
        with self.warehouse.commit("products") as commit:
            commit.insert(PRODUCTS, PRODUCTS.frame(p | {"recorded_at": commit.recorded_at} for p in self.facts.products))
            self._dirty(commit, "ASSET", [(asset, EPOCH, None) for asset in {a["asset"] for a in self.facts.accounts} - {None}])

    def _dirty(self, commit: Any, kind: str, spans: list[tuple[Any, datetime, datetime | None]]) -> None:
        newest = self.warehouse.sql("SELECT max(as_of) AS at FROM closed_days")["at"][0]
        rows = [
            {"kind": kind, "subject": str(s), "since": since, "until": until, "cause": "", "recorded_at": commit.recorded_at}
            for s, since, until in spans
            if newest is not None and since < newest
        ]
        commit.insert(DIRTY, DIRTY.frame(rows), counts=False)

    def close(self, through: datetime, again: tuple[date, ...] = ()) -> pl.DataFrame:
        self.until = max(self.until, through)
        closing.note_time(self.warehouse, self.until)
        days = closing.to_close(self.warehouse, CONFIG, again)
        for step in (closing.close_balances, closing.close_prices, closing.close_values):
            step(self.warehouse, days)
        return days

    def tables(self) -> list[pl.DataFrame]:
        return [self.warehouse.read(t).sort(t.key) for t in (DAILY_BALANCES, DAILY_PRICES, DAILY_VALUES)]

    def from_scratch(self, days: pl.DataFrame, at: datetime | None = None, portfolio: str | None = None) -> list[pl.DataFrame]:
        """The same by the pure stages over everything, as known at an instant."""
        read = self.warehouse.read
        accounts = self.warehouse.sql("SELECT * EXCLUDE (recorded_at) FROM accounts JOIN portfolios USING (portfolio)")
        accounts = (accounts if portfolio is None else accounts.filter(pl.col("portfolio") == portfolio)).lazy()
        pulls = known.newest(read(PULLS, "kind = 'ACCOUNT'").lazy(), ["portfolio", "subject"], at)
        watermarks = pulls.join(accounts, left_on=["portfolio", "subject"], right_on=["portfolio", "native_code"])
        openings = known.newest(read(OPENINGS).lazy(), ["account_id"], at)
        balances = snapshots.daily_balances(known.facts(read(POSTINGS).lazy(), at), openings, accounts, watermarks, days.lazy())
        assets = accounts.filter(pl.col("asset").is_not_null()).select("asset", "asset_class").unique("asset")
        candles, coverage = known.facts(read(CANDLES).lazy(), at), known.recorded(read(CANDLE_COVERAGE).lazy(), at)
        priced = prices.side_by_side(
            candles,
            coverage,
            known.newest(read(PRODUCTS).lazy(), ["product_id"], at),
            assets,
            book.Facts.of(self.warehouse).policies,
            days.lazy(),
        )
        values = valuations.daily_values(balances, priced, accounts)
        told = zip((DAILY_BALANCES, DAILY_PRICES, DAILY_VALUES), (balances, priced, values), strict=True)
        return [table.conform(frame).sort(table.key) for table, frame in told]


@contextmanager
def home(facts: Book) -> Iterator[Home]:
    warehouse = Warehouse(Path(":memory:"))
    try:
        yield Home(warehouse, facts)
    finally:
        warehouse.close()


def live_out(grown: Home, facts: Book, data: st.DataObject) -> list[datetime]:
    """Learn the book's facts in any order, closing days in between; → instants at which something was known."""
    candles, coverage = list(facts.candles), list(facts.coverage)
    postings = list(facts.postings)  # drawn in any order already
    for account in facts.watermarks:
        grown.read_further(account["account_id"], BEFORE_ALL)
    moments: list[datetime] = []
    listed_in = data.draw(st.integers(0, 2))
    while True:
        if len(moments) == listed_in:
            grown.list_markets()
        n, m = data.draw(st.integers(0, 4)), data.draw(st.sampled_from((0, 20, 1000)))
        grown.learn(postings[:n])
        grown.trade(candles[:m], coverage[: m and 1])
        postings, candles, coverage = postings[n:], candles[m:], coverage[m and 1 :]
        learned = facts.postings[: len(facts.postings) - len(postings)]
        if learned and data.draw(st.booleans()):
            grown.restate(data.draw(st.sampled_from(learned)))
        for row in facts.watermarks:
            if data.draw(st.booleans()):
                grown.read_further(row["account_id"], row["read_through"])
        grown.close(data.draw(cut_offs), data.draw(st.sampled_from(((), (FIRST,), (LAST,)))))
        moments.append(grown.warehouse.known_through())
        if len(moments) > listed_in and not (postings or candles or coverage):
            return moments


def in_tiny_slices(data: st.DataObject) -> None:
    """Slices of a posting or two, or everything at once."""
    histories.SLICE = data.draw(st.sampled_from((1, 3, 1_000_000)))


@pytest.fixture(autouse=True)
def usual_slices() -> Iterator[None]:
    usual = histories.SLICE
    yield
    histories.SLICE = usual


growing = settings(
    common, max_examples=TORTURE or 3, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)  # shrinking a whole life takes minutes


@given(books, st.data())
@growing
def test_days_closed_bit_by_bit_hold_what_the_whole_history_says(facts: Book, data: st.DataObject) -> None:
    in_tiny_slices(data)
    with home(facts) as grown:
        live_out(grown, facts, data)
        grown.close(instant("2025-03-20"))
        assert grown.warehouse.read(DIRTY).is_empty()
        closed = grown.warehouse.read(CLOSED_DAYS)
        assert closed.height == 9
        for table, expected in zip(grown.tables(), grown.from_scratch(closed.drop("recorded_at")), strict=True):
            assert table.equals(expected)
        assert grown.close(instant("2025-03-20")).is_empty(), "nothing is left to be closed"


@given(books, st.data())
@growing
def test_the_book_at_any_instant_as_known_at_any_other_is_that_of_the_facts_alone(facts: Book, data: st.DataObject) -> None:
    in_tiny_slices(data)
    with home(facts) as grown:
        moments = live_out(grown, facts, data)
        with grown.warehouse.commit("publication") as commit:
            row = {"publication_id": 1, "known_through": moments[-1], "built_at": commit.recorded_at, "software": "", "book_start": FIRST}
            commit.insert(PUBLICATIONS, PUBLICATIONS.frame([row]))
        t, at = data.draw(instants | cut_offs), data.draw(st.sampled_from((None, *moments)))
        scope = data.draw(st.sampled_from((None, *sorted(set(grown.portfolio.values())))))
        told = book.at(grown.warehouse, t, at, scope).rows
        balances, _, values = grown.from_scratch(day_stage.instant(t), at or moments[-1], scope)
        codes = {row["account_id"]: grown.code[row["account_id"]] for row in balances.to_dicts()}
        expected = {
            codes[b["account_id"]]: (
                b["balance"],
                b["pending_balance"],
                b["read_through"],
                b["status_reasons"],
                v["price"],
                v["value"],
                v["reason"],
            )
            for b, v in zip(balances.to_dicts(), values.to_dicts(), strict=True)
        }
        columns = ("native_code", "balance", "pending_balance", "read_through", "status_reasons", "price", "value", "reason")
        assert {code: tuple(rest) for code, *rest in told.select(columns).iter_rows()} == expected


def test_a_late_posting_closes_again_only_its_account_and_the_days_after_it() -> None:
    from tests.stages.scenario import KNOWN

    chain = {"position": 0, "event_type": "match", "pending_after": None, "recorded_at": KNOWN, "page_sha256": "page"}
    accounts = [
        {"account_id": i, "venue": "coinbase", "native_code": "BTC", "asset": "BTC", "asset_class": "crypto", "entity": "acme"}
        for i in (1, 2)
    ]
    opened = [{"account_id": i, "kind": "INCEPTION", "amount": 0, "opened_at": EPOCH, "recorded_at": KNOWN} for i in (1, 2)]
    rows = [chain | {"account_id": i, "occurred_at": instant("2025-03-07T12:00"), "amount": 1, "balance_after": 1} for i in (1, 2)]
    late = chain | {"account_id": 2, "occurred_at": instant("2025-03-08T12:00"), "amount": 2, "balance_after": 3}
    with home(Book(accounts, opened, rows, [], [], [], [], [])) as grown:
        grown.learn(rows)
        grown.close(instant("2025-03-20"))
        grown.learn([late])
        days = closing.to_close(grown.warehouse, CONFIG)
        assert not days["whole"].any()
        closed = closing.close_balances(grown.warehouse, days)
        later = closed.days.filter(pl.col("as_of") > late["occurred_at"]).height
        assert (closed.replaced.written, closed.replaced.removed) == (later, later)
        assert closed.counts["rows"].sum() == later
