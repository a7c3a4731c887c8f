"""Balances at the end of a day."""

import polars as pl
import pytest

from pipelines.stages.days import instant as any_instant
from pipelines.stages.snapshots import daily_balances
from pipelines.tables import DAILY_BALANCES
from tests.ledger_text import D, instant
from tests.stages.scenario import accounts, calendar_days, openings, postings, watermarks

BTC = accounts(
    """
    account_id | native_code | asset
    1          | BTC         | BTC
    """
)
FROM_ZERO = openings(
    """
    account_id | kind      | amount | opened_at
    1          | INCEPTION | 0      | 2025-01-01
    """
)
READ = watermarks(
    """
    account_id | read_through
    1          | 2030-01-01
    """
)
NONE = postings("account_id | occurred_at | amount | balance_after")


def close(days, posted=NONE, opened=FROM_ZERO, of=BTC, read=READ):
    return DAILY_BALANCES.conform(daily_balances(posted, opened, of, read, days)).sort("account_id", "as_of")


def at(moment, *tables, **named):
    return close(any_instant(instant(moment)).lazy(), *tables, **named)


def only(frame, *columns):
    return frame.select(columns).row(0)


@pytest.mark.parametrize(
    ("posted_at", "balance"),
    [
        ("2025-01-31T23:59:59.999999Z", D("1.5")),  # the last microsecond counts
        ("2025-02-01T00:00:00.000000Z", D(0)),  # the cut-off itself does not
        ("2025-02-01T00:00:00.000001Z", D(0)),
    ],
)
def test_as_of_is_exclusive(posted_at, balance):
    posted = postings(f"account_id | occurred_at | amount | balance_after\n1 | {posted_at} | 1.5 | 1.5")
    assert close(calendar_days("utc", "2025-01-31"), posted)["balance"].to_list() == [balance]


def test_a_postings_own_microsecond_excludes_it_and_the_next_includes_it():
    posted = postings(
        """
        account_id | occurred_at                 | position | amount | balance_after
        1          | 2025-01-10T12:00:00.123456Z | 0        | 1      | 1
        1          | 2025-01-10T12:00:00.123456Z | 1        | 2      | 3               # the same instant, later in line
        """
    )
    assert at("2025-01-10T12:00:00.123456Z", posted)["balance"].to_list() == [D(0)]
    assert only(at("2025-01-10T12:00:00.123457Z", posted), "balance", "last_event_at") == (D(3), instant("2025-01-10T12:00:00.123456Z"))


def test_the_order_of_rows_in_the_table_does_not_matter():
    posted = postings(
        """
        account_id | occurred_at | position | amount | balance_after
        1          | 2025-01-10  | 0        | 1      | 1
        1          | 2025-01-10  | 1        | -0.25  | 0.75
        1          | 2025-01-11  | 0        | 2      | 2.75
        2          | 2025-01-10  | 0        | 7      | 7
        """
    )
    two = accounts("account_id | native_code | asset\n1 | BTC | BTC\n2 | ETH | ETH")
    opened = openings("account_id | kind | amount | opened_at\n1 | INCEPTION | 0 | 2025-01-01\n2 | INCEPTION | 0 | 2025-01-01")
    days = calendar_days("utc", "2025-01-09", "2025-01-12")
    expected = close(days, posted, opened, two)
    assert expected["balance"].to_list() == [D(x) for x in ("0", "0.75", "2.75", "2.75", "0", "7", "7", "7")]
    for seed in range(5):
        shuffled = posted.collect().sample(fraction=1, shuffle=True, seed=seed).lazy()
        assert close(days, shuffled, opened, two).equals(expected)


def test_a_balance_is_carried_forward_over_days_without_postings_and_across_clock_changes():
    posted = postings(
        """
        account_id | occurred_at          | amount | balance_after
        1          | 2025-03-08T22:00:00Z | 1      | 1               # New York closes the 8th at this instant
        1          | 2025-03-09T20:59:59Z | 1      | 2               # 23 hours later, but for a second
        1          | 2025-03-09T21:00:00Z | 1      | 3
        """
    )
    closed = close(calendar_days("new_york", "2025-03-07", "2025-03-11"), posted)
    assert closed["balance"].to_list() == [D(0), D(0), D(2), D(3), D(3)]
    kolkata = close(calendar_days("kolkata", "2025-03-08", "2025-03-10"), posted)
    assert kolkata["balance"].to_list() == [D(0), D(1), D(3)]  # the 9th ends at 18:30Z


def test_an_account_has_a_row_from_its_opening_on_and_none_before():
    opened = openings("account_id | kind | amount | opened_at\n1 | DERIVED_FIRST_POSTING | 2 | 2025-01-10T08:00:00Z")
    posted = postings("account_id | occurred_at | amount | balance_after\n1 | 2025-01-10T08:00:00Z | -2 | 0")
    closed = close(calendar_days("utc", "2025-01-08", "2025-01-12"), posted, opened)
    assert closed.select("day", "balance").rows() == [(instant(f"2025-01-{d}").date(), D(0)) for d in (10, 11, 12)]
    assert at("2025-01-10T08:00:00Z", posted, opened).is_empty()
    assert only(at("2025-01-10T08:00:00.000001Z", posted, opened), "balance", "reported_balance") == (D(0), D(0))


def test_an_asserted_opening_already_contains_what_came_before_it():
    opened = openings("account_id | kind | amount | opened_at\n1 | ASSERTED | 5 | 2025-01-10")
    posted = postings(
        """
        account_id | occurred_at                 | amount | balance_after
        1          | 2025-01-09T23:59:59.999999Z | 4      | 4               # inside the 5
        1          | 2025-01-10                  | 1      | 6               # the opening is exclusive, too
        """
    )
    closed = close(calendar_days("utc", "2025-01-09", "2025-01-10"), posted, opened)
    assert closed.select("balance", "reported_balance", "status_reasons").rows() == [(D(6), D(6), None)]
    doubtful = at("2025-01-10", posted, openings("account_id | kind | amount | opened_at\n1 | ASSERTED | 5 | 2025-01-09T12:00:00Z"))
    assert only(doubtful, "balance", "reported_balance", "status_reasons") == (D(9), D(4), "CHAIN_BREAK")


def test_an_account_held_live_without_any_posting_is_in_the_book():
    opened = openings("account_id | kind | amount | pending_amount | opened_at\n1 | DERIVED_LIVE | 5 | 0.5 | 1970-01-01")
    assert only(at("2025-01-01", NONE, opened), "balance", "reported_balance", "pending_balance", "last_event_at") == (
        D(5),
        D(5),
        D("0.5"),
        None,
    )


@pytest.mark.parametrize("kind", ["no opening on record", "UNKNOWN"])
def test_an_unknown_opening_gives_rows_without_a_balance(kind):
    header = "account_id | kind | amount | opened_at\n"
    opened = openings(header + ("1 | UNKNOWN | - | 2025-01-01" if kind == "UNKNOWN" else ""))
    posted = postings(
        """
        account_id | occurred_at | amount | balance_after | pending_after
        1          | 2025-01-02  | 1      | 7             | -
        1          | 2025-01-03  | 1      | 8             | 2
        """
    )
    closed = close(calendar_days("utc", "2025-01-01", "2025-01-03"), posted, opened)
    assert closed.select("balance", "reported_balance", "pending_balance", "status_reasons").rows() == [
        (None, None, None, "OPENING_UNKNOWN"),
        (None, D(7), None, "OPENING_UNKNOWN"),
        (None, D(8), D(2), "OPENING_UNKNOWN"),
    ]


def test_an_account_without_an_opening_on_record_has_a_row_on_every_day():
    assert close(calendar_days("utc", "2024-12-30", "2025-01-02"), opened=openings("account_id | kind | amount | opened_at")).height == 4


def test_a_broken_chain_keeps_both_balances_and_marks_the_account_until_it_is_whole_again():
    posted = postings(
        """
        account_id | occurred_at | amount | balance_after
        1          | 2025-01-02  | 1      | 1
        1          | 2025-01-03  | 1      | 2.5             # half a coin came from nowhere
        1          | 2025-01-04  | 1      | 3.5
        1          | 2025-01-05  | -1     | 2               # and half a coin went
        """
    )
    closed = close(calendar_days("utc", "2025-01-01", "2025-01-05"), posted)
    assert closed.select("balance", "reported_balance", "status_reasons").rows() == [
        (D(0), D(0), None),
        (D(1), D(1), None),
        (D(2), D("2.5"), "CHAIN_BREAK"),
        (D(3), D("3.5"), "CHAIN_BREAK"),
        (D(2), D(2), None),
    ]


def test_pending_is_carried_beside_the_balance():
    posted = postings(
        """
        account_id | occurred_at | amount | balance_after | pending_after
        1          | 2025-01-02  | 0      | 0             | 5      # a deposit is seen
        1          | 2025-01-03  | 0      | 0             | -      # a row that does not say
        1          | 2025-01-04  | 5      | 5             | 0      # released: the sum is unchanged
        """
    )
    closed = close(calendar_days("utc", "2025-01-01", "2025-01-04"), posted)
    assert closed.select("balance", "pending_balance").rows() == [(D(0), None), (D(0), D(5)), (D(0), D(5)), (D(5), D(0))]


@pytest.mark.parametrize(
    ("read_through", "said"),
    [
        ("2025-02-01", (instant("2025-02-01"), "NOT_TESTED", None)),
        ("2025-03-01", (instant("2025-02-01"), "NOT_TESTED", None)),  # at most as_of
        ("2025-01-31T23:59:59.999999Z", (instant("2025-01-31T23:59:59.999999Z"), "STALE", "READ_BEFORE_AS_OF")),
        (None, (None, "STALE", "NEVER_READ")),
    ],
)
def test_a_balance_beyond_what_was_read_is_stale(read_through, said):
    read = watermarks("account_id | read_through" + (f"\n1 | {read_through}" if read_through else ""))
    closed = close(calendar_days("utc", "2025-01-31"), read=read)
    assert only(closed, "read_through", "balance_status", "status_reasons") == said
    assert closed["movements_status"].to_list() == ["NOT_TESTED"]


@pytest.mark.parametrize(("venue", "said"), [("coinbase", "NEGATIVE_BALANCE"), ("cryptofuse", "NEGATIVE_BALANCE"), ("pacifica", None)])
def test_a_negative_balance_is_marked_where_nobody_lends(venue, said):
    posted = postings("account_id | occurred_at | amount | balance_after\n1 | 2025-01-02 | -1 | -1")
    of = accounts(f"account_id | venue | native_code | asset\n1 | {venue} | USDC | USDC")
    assert only(at("2025-01-03", posted, of=of), "balance", "status_reasons") == (D(-1), said)


def test_several_words_keep_their_order():
    posted = postings("account_id | occurred_at | amount | balance_after\n1 | 2025-01-02 | -1 | -2")
    marked = at("2025-01-03", posted, read=watermarks("account_id | read_through"))
    assert marked["status_reasons"].to_list() == ["NEVER_READ;CHAIN_BREAK;NEGATIVE_BALANCE"]


def test_a_balance_out_of_range_is_null_and_the_other_accounts_are_closed():
    row = "1 | 2025-01-02 | {n} | 900000000000000000 | 900000000000000000\n"  # the venue repeats itself: 9e17 · n by the amounts
    header = "account_id | occurred_at | position | amount | balance_after\n"
    two = accounts("account_id | native_code | asset\n1 | SHIB | SHIB\n2 | BTC | BTC")
    opened = openings("account_id | kind | amount | opened_at\n1 | INCEPTION | 0 | 2025-01-01\n2 | INCEPTION | 3 | 2025-01-01")
    for repeats in (2, 300):
        posted = postings(header + "".join(row.format(n=n) for n in range(repeats)))
        closed = at("2025-01-03", posted, opened, two)
        assert closed["balance"].to_list() == [None, D(3)]
        assert closed["status_reasons"].to_list() == ["OUT_OF_RANGE", "NEVER_READ"]


def test_an_opening_out_of_range_is_null():
    opened = openings("account_id | kind | amount | opened_at\n1 | ASSERTED | 50000000000000000000 | 2025-01-01")
    posted = postings("account_id | occurred_at | amount | balance_after\n1 | 2025-01-02 | 1 | 1")
    assert only(at("2025-01-03", posted, opened), "balance", "status_reasons") == (None, "OUT_OF_RANGE")


def test_every_account_of_the_view_and_no_other():
    posted = postings("account_id | occurred_at | amount | balance_after\n9 | 2025-01-02 | 1 | 1")
    assert at("2025-01-03", posted)["account_id"].to_list() == [1]
    assert at("2025-01-03", posted, of=BTC.filter(pl.lit(False))).is_empty()
