"""One kernel, three uses: slices of time, buckets of accounts and the order in which rows lie change nothing."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import ContractError
from pipelines.stages import following, kernel, snapshots
from pipelines.stages.days import instant as any_instant
from pipelines.tables import DAILY_BALANCES, OPENINGS, POSTINGS
from tests.ledger_text import D, instant
from tests.stages.scenario import ACCOUNT_VIEW, WATERMARKS, accounts, openings, postings, watermarks
from tests.stages.test_laws import DAYS, TORTURE, Book, books, common, instants

KEY = ["calendar", "day", "account_id"]


def held(book: Book) -> pl.DataFrame:
    frames = OPENINGS.frame(book.openings), ACCOUNT_VIEW.frame(book.accounts), WATERMARKS.frame(book.watermarks)
    return snapshots.opened(*(f.lazy() for f in frames))


def posted(book: Book) -> pl.DataFrame:
    return POSTINGS.frame(book.postings).select(kernel.CHAIN)


def whole(book: Book) -> pl.DataFrame:
    rows, _ = snapshots.close(held(book), snapshots.from_openings(held(book)), posted(book), DAYS)
    return DAILY_BALANCES.conform(rows).sort(KEY)


@given(books, st.lists(instants, max_size=4), st.data())
@settings(common, max_examples=TORTURE or 40)
def test_slices_of_time_carried_on_by_one_row_an_account_are_the_whole(book, cuts, data):
    standing, lower, parts = snapshots.from_openings(held(book)), instant("1970-01-01"), []
    for upper in [*sorted(cuts), instant("2030-01-01")]:
        between = (pl.col("occurred_at") >= lower) & (pl.col("occurred_at") < upper)
        days = DAYS.filter(pl.col("as_of") > lower, pl.col("as_of") <= upper)
        rows, standing = snapshots.close(held(book), standing, posted(book).filter(between), days)
        parts.append(rows)
        lower = upper
    assert pl.concat(parts).sort(KEY).equals(whole(book))


@given(books, st.data())
@settings(common, max_examples=TORTURE or 40)
def test_a_day_goes_on_from_the_row_of_any_day_before(book, data):
    rows = whole(book)
    day = data.draw(st.sampled_from(DAYS.rows(named=True)))
    before = rows.filter(pl.col("calendar") == day["calendar"], pl.col("day") == day["day"])
    usable = snapshots.resumable(before)
    mine = held(book).join(usable, on="account_id", how="semi")
    standing = snapshots.from_days(mine, usable)
    since = posted(book).filter(pl.col("occurred_at") >= day["as_of"])
    later = DAYS.filter(pl.col("as_of") >= day["as_of"])
    found, _ = snapshots.close(mine, standing, since, later)
    expected = rows.join(usable, on="account_id", how="semi").join(later, on=["calendar", "day"], how="semi")
    assert found.sort(KEY).equals(expected)


@given(books, st.data())
@settings(common, max_examples=TORTURE or 40)
def test_buckets_of_accounts_and_any_order_of_the_rows_are_the_whole(book, data):
    shuffled = POSTINGS.frame(data.draw(st.permutations(book.postings))).select(kernel.CHAIN)
    parts = []
    for account_id in held(book)["account_id"]:
        mine = held(book).filter(pl.col("account_id") == account_id)
        rows, _ = snapshots.close(mine, snapshots.from_openings(mine), shuffled, DAYS)
        parts.append(rows)
    assert pl.concat(parts).sort(KEY).equals(whole(book))


def standing_at_zero(*account_ids: int) -> pl.DataFrame:
    text = "account_id | kind | amount | opened_at\n" + "".join(f"{i} | INCEPTION | 0 | 2025-01-01\n" for i in account_ids)
    names = "account_id | native_code | asset\n" + "".join(f"{i} | BTC | BTC\n" for i in account_ids)
    return snapshots.opened(openings(text), accounts(names), watermarks("account_id | read_through"))


def test_a_late_row_that_lies_last_does_not_win_the_later_days():
    opened = standing_at_zero(1)
    rows = postings(
        """
        account_id | occurred_at | position | amount | balance_after
        1          | 2025-01-10  | 0        | 5      | 7
        1          | 2025-01-05  | 1        | 1      | 2               # late, and out of line with the one it shares an instant with
        1          | 2025-01-05  | 0        | 1      | 1
        """
    ).collect()
    day = any_instant(instant("2025-02-01"))
    closed, _ = snapshots.close(opened, snapshots.from_openings(opened), rows, day)
    assert closed["balance"].to_list() == [D(7)]
    assert closed["last_event_at"].to_list() == [instant("2025-01-10")]


def test_more_accounts_than_sixteen_bits_can_number():
    numbers = [1, 65_535, 65_536, 65_537, 65_538, 131_073]
    opened = standing_at_zero(*range(1, 131_075))
    text = "account_id | occurred_at | amount | balance_after\n"
    rows = postings(text + "".join(f"{n} | 2025-01-{day} | {n} | {n * times}\n" for times, day in ((1, "02"), (2, "03")) for n in numbers))
    closed, _ = snapshots.close(opened, snapshots.from_openings(opened), rows.collect(), any_instant(instant("2025-02-01")))
    assert closed.filter(pl.col("balance") != 0).select("account_id", "balance").rows() == [(n, D(2 * n)) for n in numbers]
    assert closed["status_reasons"].unique().to_list() == ["NEVER_READ"], "no chain is broken"


def test_sums_that_wrap_around_128_bits_are_known_for_what_they_are():
    """340282366920938463463.374607431768211456 is 2 ** 128 in 10^-18 units: 379 amounts add up to it."""
    wrap = 2**128 * D("1e-18")
    size, repeats = D("9e17"), 378
    rest = wrap - size * repeats
    opened = standing_at_zero(1)
    amounts = [size] * repeats + [rest]
    text = "account_id | occurred_at | position | amount | balance_after\n"
    rows = postings(text + "".join(f"1 | 2025-01-02 | {n} | {amount:f} | 0\n" for n, amount in enumerate(amounts))).collect()
    closed, _ = snapshots.close(opened, snapshots.from_openings(opened), rows, any_instant(instant("2025-02-01")))
    assert closed["balance"].to_list() == [None], "it looks like zero and is 2 ** 128"
    assert closed["status_reasons"].to_list() == ["NEVER_READ;OUT_OF_RANGE"]
    back = rows.with_columns(amount=-pl.col("amount"), position=pl.col("position") + 1000)
    closed, _ = snapshots.close(opened, snapshots.from_openings(opened), pl.concat([rows, back]), any_instant(instant("2025-02-01")))
    assert closed["balance"].to_list() == [D(0)], "and after all of it went again it is zero"


def test_the_order_is_asserted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(following, "_is_ordered", lambda *_: False)
    opened = standing_at_zero(1)
    rows = postings("account_id | occurred_at | amount | balance_after\n1 | 2025-01-02 | 1 | 1").collect()
    with pytest.raises(ContractError, match="out of order"):
        snapshots.close(opened, snapshots.from_openings(opened), rows, any_instant(instant("2025-02-01")))
