"""The venue's report beside ours: quantities equal or not, prices exact, explained by another rule, or unexplained."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from pipelines.stages.comparisons import compared
from pipelines.tables import INSTANT, INT, MONEY, TEXT
from tests.ledger_text import D, instant

T = instant("2025-01-02")
REPORT = {"native_code": TEXT, "balance": MONEY, "price": MONEY, "price_places": INT, "currency": TEXT}
BOOK = {"native_code": TEXT, "asset": TEXT, "balance": MONEY, "price": MONEY, "price_basis": TEXT, "currency": TEXT, "balance_status": TEXT}
CANDLES = {"asset": TEXT, "start": INSTANT, "close": MONEY, "volume": MONEY}
HOURS = [("BTC", T - timedelta(hours=n), D(100 + n), D(1)) for n in range(-1, 26)]
P24 = D("112.5")  # hours 1 to 24 before
P25 = D("112")  # and the one that begins then


def theirs(balance="1", price=None, places=None, currency="USD", code="BTC"):
    return (code, D(balance), None if price is None else D(price), places, currency)


def ours(balance="1", price=P24, basis="VWAP_24H", currency="USD", code="BTC"):
    return (code, code, None if balance is None else D(balance), price, basis, currency, "COMPLETE")


def compare(report, book, hours=HOURS):
    frames = [pl.LazyFrame(rows, schema=schema, orient="row") for rows, schema in ((report, REPORT), (book, BOOK), (hours, CANDLES))]
    return compared(*frames, T).collect()


@pytest.mark.parametrize(
    ("report", "book", "label"),
    [
        (theirs(price="112.5", places=16), ours(), "EXACT"),
        (theirs(price="112.50", places=2), ours(price=D("112.504")), "EXACT"),
        (theirs(price="112.70", places=2), ours(price=D("112.706")), "UNEXPLAINED"),
        (theirs(price="112", places=0), ours(price=D("112.004")), "EXACT"),
        (theirs(price="112", places=0), ours(price=D("112.4")), "EXPLAINED_METHOD"),
        (theirs(price="112", places=16), ours(), "EXPLAINED_METHOD"),
        (theirs(price="112.5", places=16), ours(price=D(1), basis="FIXED_POLICY"), "EXPLAINED_METHOD"),
        (theirs(), ours(price=D(1), basis="FIXED_POLICY"), "EXPLAINED_METHOD"),
        (theirs(price="112.5", places=16), ours(price=None, basis=None, currency=None), "EXPLAINED_METHOD"),
        (theirs(), ours(price=None, basis=None, currency=None), "EXACT"),
        (theirs(), ours(), "UNEXPLAINED"),
        (theirs(price="99", places=16), ours(), "UNEXPLAINED"),
        (theirs(price="1", places=16, currency="EUR"), ours(price=D(1), basis="PAR", currency="USD"), "UNEXPLAINED"),
        (theirs("0", "99", 16), ours("0"), None),
    ],
)
def test_a_price_is_labelled_by_what_explains_it(report, book, label: str | None):
    assert compare([report], [book])["price_label"].to_list() == [label]


def test_both_rules_are_shown():
    assert compare([theirs()], [ours()]).select("price_24", "price_25").rows() == [(P24, P25)]


@pytest.mark.parametrize(
    ("report", "book", "difference", "label"),
    [
        ([theirs("1.000000000000000001")], [ours("1.000000000000000001")], D(0), "EXACT"),
        ([theirs("1.000000000000000001")], [ours("1")], D("0.000000000000000001"), "UNEXPLAINED"),
        ([], [ours("0")], D(0), "EXACT"),
        ([], [ours("1")], D(-1), "UNEXPLAINED"),
        ([theirs("0")], [], D(0), "EXACT"),
        ([theirs("2")], [], D(2), "UNEXPLAINED"),
        ([theirs("0")], [ours(None)], None, "UNEXPLAINED"),
    ],
    ids=["equal", "a digit off", "left out at zero", "left out", "zero and unknown to us", "unknown to us", "we do not know"],
)
def test_quantities_are_equal_or_they_are_not(report, book, difference, label: str):
    assert compare(report, book).select("difference", "balance_label").rows() == [(difference, label)]
