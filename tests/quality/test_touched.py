"""Ordinary checks look again at what was written since the last, and at the seam to what they had proven; each week at everything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from pipelines.quality import check, rules
from pipelines.tables import CHECK_RESULTS
from pipelines.touched import since
from tests.quality.book import PUBLICATION, RECORDED

RULES = {rule.name: rule for rule in rules()}
BEFORE = RECORDED - timedelta(seconds=1)
LATER = RECORDED + timedelta(hours=1)
THIRD_DAY_IS_NEW = (
    f"UPDATE closed_days SET touched_at = '{LATER.isoformat()}' WHERE day = '2025-01-03'",
    f"UPDATE postings SET recorded_at = '{LATER.isoformat()}' WHERE occurred_at >= '2025-01-03' AND retired_at IS NULL",
    f"UPDATE publications SET known_through = '{LATER.isoformat()}'",
)


def asked(name: str) -> list:
    return [RULES[name]]


def test_the_third_day_passes_little_is_looked_at_and_what_marks_the_book_is_told_of_all_of_it(planted):
    found = {f.rule.name: f for f in check(planted(*THIRD_DAY_IS_NEW), PUBLICATION, since=RECORDED)}
    assert [name for name, f in found.items() if f.blocks] == []
    assert found["daily_balances_flows"].looked_at == 6
    assert found["daily_values_dense"].looked_at == 6
    assert found["chain_breaks_found"].looked_at == 2  # the new posting, and the one it follows
    assert found["accounts_code_unique"].looked_at == 6
    assert {f.rule.since for f in found.values() if f.rule.weight == "BLOCK"} == {RECORDED}
    marked = {name: f.violations for name, f in found.items() if not f.passed}
    assert marked == {"accounts_unmapped": 1, "accounts_opening_unknown": 2, "daily_values_unpriced": 4, "completeness_inbox": 5}


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("daily_balances_flows", "UPDATE daily_balances SET balance = balance + 1 WHERE day = '2025-01-0{}' AND account_id = 1"),
        ("daily_values_exact", "UPDATE daily_values SET value = value + 0.000000000000000001 WHERE day = '2025-01-0{}' AND account_id = 1"),
        ("daily_values_dense", "DELETE FROM daily_values WHERE day = '2025-01-0{}' AND account_id = 2"),
        ("daily_balances_key", "INSERT INTO daily_balances FROM daily_balances WHERE day = '2025-01-0{}' AND account_id = 2"),
    ],
)
def test_a_fault_is_found_in_a_day_that_was_touched(planted, name, statement):
    [new] = check(planted(*THIRD_DAY_IS_NEW, statement.format(3)), PUBLICATION, among=asked(name), since=RECORDED)
    assert new.blocks


def test_the_seam_is_proven_a_day_must_open_as_the_day_before_closed(planted):
    lost = "UPDATE daily_balances SET balance = balance + 1 WHERE day >= '2025-01-03' AND account_id = 2"  # nothing moved it
    [seam] = check(planted(*THIRD_DAY_IS_NEW, lost), PUBLICATION, among=asked("daily_balances_flows"), since=RECORDED)
    assert seam.rows.select("account_id", "before", "flows", "balance").rows() == [(2, 1000, 0, 1001)]


def test_the_seam_is_proven_a_posting_must_follow_the_one_before(planted):
    broken = "UPDATE postings SET balance_after = balance_after + 1 WHERE event_id = 'b4'"
    [found] = check(planted(*THIRD_DAY_IS_NEW, broken), PUBLICATION, among=asked("chain_breaks_found"), since=RECORDED)
    assert found.rows.select("account_id", "missing").rows() == [(1, 1)]


def test_a_posting_that_comes_late_is_proven_with_all_that_follow_it(planted):
    late = f"UPDATE postings SET recorded_at = '{LATER.isoformat()}', balance_after = 3 WHERE event_id = 'b1'"
    [found] = check(planted(*THIRD_DAY_IS_NEW, late), PUBLICATION, among=asked("chain_breaks_found"), since=RECORDED)
    assert found.looked_at == 3
    assert found.violations == 1  # b2 does not follow from it; b1 is the first, and follows nothing


def test_with_all_of_it_new_the_answer_is_that_of_the_whole_book(planted):
    moved = planted("UPDATE daily_balances SET balance = balance + 1 WHERE day = '2025-01-02' AND account_id IN (1, 5)")
    names = ("daily_balances_flows", "daily_values_agree", "daily_balances_dense", "chain_breaks_found")
    whole, touched = (check(moved, PUBLICATION, among=[RULES[n] for n in names], since=at) for at in (None, BEFORE))
    assert [(f.looked_at, f.violations) for f in whole] == [(f.looked_at, f.violations) for f in touched]


MONDAY = datetime(2025, 3, 3, 1, tzinfo=UTC)


def result(
    publication: int, day: int, looked_since: int | None = None, rule: str = "a", passed: bool = True, weight: str = "BLOCK"
) -> dict:
    at = MONDAY + timedelta(days=day)
    row = {"publication_id": publication, "rule": rule, "weight": weight, "looked_at": 1, "violations": 0, "passed": passed}
    before = None if looked_since is None else MONDAY + timedelta(days=looked_since)
    return row | {"since": before, "through": at, "recorded_at": at + timedelta(minutes=1)}


def proven(*results: dict, at: int, names: frozenset[str] = frozenset("a")) -> int | None:
    found = since(CHECK_RESULTS.frame(results), names, MONDAY + timedelta(days=at, hours=2))
    return None if found is None else (found - MONDAY).days


def test_the_first_check_and_the_first_of_a_week_look_at_everything():
    assert since(CHECK_RESULTS.empty(), frozenset("a"), MONDAY) is None
    assert proven(result(1, 0), at=1) == 0
    assert proven(result(1, 0), result(2, 3, 0), at=6) == 3
    assert proven(result(1, 0), result(2, 3, 0), at=7) is None
    assert proven(result(1, 0), result(2, 6, 3), at=365) is None


def test_what_did_not_pass_has_proven_nothing():
    assert proven(result(1, 0), result(2, 3, 0, passed=False), at=4) == 0
    assert proven(result(1, 0, passed=False), result(2, 3, 0), at=4) is None
    assert proven(result(1, 0), result(1, 0, rule="b", passed=False, weight="QUALIFY"), at=4) == 0


def test_a_rule_that_is_new_looks_at_everything():
    assert proven(result(1, 0), at=1, names=frozenset("ab")) is None
    assert proven(result(1, 0), result(1, 0, rule="b"), at=1, names=frozenset("ab")) == 0


def test_what_rules_read_beside_the_written_rows_is_named_whole():
    """A rule that counts days, or the day before, over the touched days alone would find gaps that are none."""
    assert "main.closed_days" in RULES["closed_days_contiguous"].sql
    assert "main.daily_balances" in RULES["daily_balances_flows"].sql
    assert pl.Series(["main." in rule.sql for rule in RULES.values() if rule.name.endswith("_rows")]).all()
