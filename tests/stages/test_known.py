"""Facts as known at an instant."""

import polars as pl
import pytest

from pipelines.stages import known
from pipelines.tables import CANDLE_COVERAGE, OPENINGS, POSTINGS
from tests.ledger_text import instant, rows

RESTATED = rows(
    POSTINGS,
    """
    account_id | occurred_at | amount | balance_after | recorded_at | retired_at
    1          | 2025-01-01  | 5      | 5             | 2025-02-01  | 2025-03-01   # what we knew in February
    1          | 2025-01-01  | 6      | 6             | 2025-03-01  | -            # what a re-read showed in March
    """,
    position=0,
    event_type="deposit",
    page_sha256="page",
).lazy()


@pytest.mark.parametrize(
    ("at", "amounts"),
    [
        ("2025-01-31T23:59:59.999999Z", []),
        ("2025-02-01", [5]),  # recorded_at itself counts
        ("2025-02-28T23:59:59.999999Z", [5]),
        ("2025-03-01", [6]),  # retired_at itself no longer does
        (None, [6]),
    ],
)
def test_a_fact_counts_from_its_recording_to_before_its_retirement(at, amounts):
    facts = known.facts(RESTATED, at and instant(at)).collect()
    assert facts["amount"].to_list() == amounts


@pytest.mark.parametrize(
    ("at", "kinds"), [("2025-01-01", []), ("2025-02-01", ["UNKNOWN"]), ("2025-02-02", ["ASSERTED"]), (None, ["INCEPTION"])]
)
def test_the_version_in_force_is_the_newest_recorded(at, kinds):
    versions = rows(
        OPENINGS,
        """
        account_id | kind      | opened_at  | recorded_at
        1          | ASSERTED  | 2025-01-01 | 2025-02-02
        1          | UNKNOWN   | 2025-01-01 | 2025-02-01
        1          | INCEPTION | 2025-01-01 | 2025-02-03
        """,
    ).lazy()
    assert known.newest(versions, ["account_id"], at and instant(at)).collect()["kind"].to_list() == kinds


def test_each_key_has_its_own_newest_version():
    versions = pl.LazyFrame({"k": [1, 1, 2], "recorded_at": [instant("2025-01-01"), instant("2025-01-02"), instant("2025-01-01")]})
    assert sorted(known.newest(versions, ["k"], None).collect().rows()) == [(1, instant("2025-01-02")), (2, instant("2025-01-01"))]


def test_coverage_only_grows():
    asked = rows(
        CANDLE_COVERAGE,
        """
        product_id | since      | until      | recorded_at
        BTC-USD    | 2025-01-01 | 2025-01-02 | 2025-02-01
        BTC-USD    | 2025-01-02 | 2025-01-03 | 2025-02-02
        """,
        asked_at=instant("2025-02-01"),
        final=True,
    ).lazy()
    assert known.recorded(asked, instant("2025-02-01")).collect().height == 1
    assert known.recorded(asked, None).collect().height == 2
