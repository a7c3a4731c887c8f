"""Every rule, seen to fail: one planted violation each, and the row is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from pipelines.quality import Rule, check, rules
from pipelines.tables import TABLES
from tests.ledger_text import D, instant
from tests.quality.book import PUBLICATION

RULES = {rule.name: rule for rule in rules()}
SHAPE = ("_rows", "_key", "_not_null", "_values")
BALANCE = "UPDATE daily_balances SET {} WHERE account_id = {} AND day = '2025-01-02'"
PRICE = "UPDATE daily_prices SET {} WHERE asset = '{}' AND day = '2025-01-02'"
VALUE = "UPDATE daily_values SET {} WHERE account_id = {} AND day = '2025-01-02'"
UNPRICED = "price = NULL, price_basis = NULL, currency = NULL, reason = '{}'"
OF_BTC = "FROM daily_prices WHERE price = 102"
TOLERATED = "INSERT INTO tolerances VALUES ('method_spread_bps', 50)"
SECOND = date(2025, 1, 2)
HUGE = "99999999999999999999"

BROKEN = "INSERT INTO chain_breaks VALUES (2, 'BALANCE', '2025-01-01', 0, '2025-01-02', 0, 1000, -5, 1000, 5, '2025-01-04', {})"

PLANTED = [
    # rule, what is planted, the row that must be named
    ("publications_identity", "UPDATE publications SET publication_id = 6", {"publication_id": 6, "asked_for": 7}),
    ("publications_identity", "INSERT INTO publications SELECT * FROM publications", {"publication_id": 7}),
    ("publications_known_through", "UPDATE candles SET recorded_at = '2025-01-05' WHERE start = '2025-01-02'", {"table_name": "candles"}),
    ("publications_known_through", "UPDATE postings SET retired_at = '2025-01-05' WHERE event_id = 'b2'", {"table_name": "postings"}),
    ("accounts_portfolio_known", "DELETE FROM portfolios WHERE portfolio = 'perps'", {"account_id": 5, "portfolio": "perps"}),
    (
        "accounts_code_unique",
        "UPDATE accounts SET native_code = 'BTC' WHERE account_id = 4",
        {"native_code": "BTC", "account_ids": "[1, 4]"},
    ),
    ("accounts_unmapped", "UPDATE accounts SET asset = NULL WHERE account_id = 4", {"native_code": "ADA", "venue": "coinbase"}),
    ("accounts_opening_unknown", "DELETE FROM openings WHERE account_id = 2", {"account_id": 2, "opening": "UNKNOWN"}),
    (
        "accounts_never_used",
        "INSERT INTO accounts SELECT * REPLACE (8 AS account_id, 'SOL' AS native_code) FROM accounts WHERE account_id = 1",
        {"account_id": 8, "native_code": "SOL"},
    ),
    ("openings_account_known", "DELETE FROM accounts WHERE account_id = 5", {"account_id": 5}),
    ("openings_amount_known", "UPDATE openings SET amount = 1 WHERE kind = 'INCEPTION'", {"account_id": 2, "amount": D(1)}),
    ("openings_amount_known", "UPDATE openings SET amount = 0 WHERE kind = 'UNKNOWN'", {"account_id": 4}),
    ("postings_account_known", "UPDATE postings SET account_id = 99 WHERE event_id = 'u1'", {"account_id": 99, "event_id": "u1"}),
    (
        "postings_one_current_version",
        "INSERT INTO postings SELECT * REPLACE ('2025-01-04T00:07Z' AS recorded_at) FROM postings WHERE event_id = 'x1'",
        {"account_id": 3, "current_versions": 2},
    ),
    (
        "statements_chain",
        "UPDATE statements SET previous = 'lost' WHERE state = 'final'",
        {"number": "ACME-2025-01-02", "previous": "lost"},
    ),
    ("statements_chain", "DELETE FROM statements WHERE state = 'superseded'", {"supersedes": "ACME-2025-01-01"}),
    ("postings_amount_in_range", "UPDATE postings SET amount = -1000000000000000000 WHERE event_id = 'u1'", {"event_id": "u1"}),
    ("postings_amount_in_range", f"UPDATE postings SET pending_after = {HUGE} WHERE event_id = 'p1'", {"pending_after": D(HUGE)}),
    ("postings_retired_after_recorded", "UPDATE postings SET retired_at = recorded_at WHERE event_id = 'x1'", {"account_id": 3}),
    ("chain_breaks_none", BROKEN.format("NULL"), {"portfolio": "desk", "native_code": "USD", "missing": D(5)}),
    ("chain_breaks_found", BROKEN.format("NULL"), {"account_id": 2, "noted": D(5)}),
    ("chain_breaks_found", "UPDATE postings SET amount = 2 WHERE event_id = 'b2'", {"account_id": 1, "missing": D(-1), "noted": None}),
    (
        "tie_outs_agree",
        "INSERT INTO tie_outs VALUES ('desk', 'BTC', 'BALANCE', 3, 2.25, 'DIFFERS', '2025-01-04', '2025-01-04')",
        {"portfolio": "desk", "native_code": "BTC", "theirs": D(3), "ours": D("2.25")},
    ),
    ("completeness_inbox", "UPDATE accounts SET asset = NULL WHERE account_id = 4", {"matter": "UNMAPPED", "native_code": "ADA"}),
    (
        "completeness_covers",
        "INSERT INTO completeness VALUES (1, '2025-01-01', '2025-01-02', 'COMPLETE', 'NOT_TESTED', NULL, '2025-01-04', NULL)",
        {"account_id": 1, "until": instant("2025-01-02"), "next_since": None},
    ),
    (
        "candles_one_current_version",
        "INSERT INTO candles SELECT * REPLACE ('2025-01-04T00:07Z' AS recorded_at) FROM candles WHERE close = 102",
        {"product_id": "BTC-USD", "start": instant("2025-01-02"), "current_versions": 2},
    ),
    (
        "suspense_empty",
        """INSERT INTO suspense VALUES ('coinbase', 'desk', 'BTC', 'nineteen decimals', '{"amount": "…"}', '00', 3, '2025-01-04')""",
        {"reason": "nineteen decimals", "row": '{"amount": "…"}'},
    ),
    ("closed_days_calendar_known", "UPDATE calendars SET calendar = 'tokyo'", {"calendar": "utc", "day": SECOND}),
    (
        "closed_days_contiguous",
        "DELETE FROM closed_days WHERE day = '2025-01-02'",
        {"day": date(2025, 1, 3), "day_before": date(2025, 1, 1)},
    ),
    ("closed_days_contiguous", "UPDATE closed_days SET as_of = '2025-01-02' WHERE day = '2025-01-02'", {"day": SECOND}),
    (
        "daily_balances_dense",
        "DELETE FROM daily_balances WHERE account_id = 2 AND day = '2025-01-02'",
        {"day": SECOND, "account_id": 2, "row_expected": True, "rows_written": 0},
    ),
    (
        "daily_balances_dense",  # an account without an opening is in the book from the first day
        "DELETE FROM daily_balances WHERE account_id = 6 AND day = '2025-01-01'",
        {"day": date(2025, 1, 1), "account_id": 6, "row_expected": True},
    ),
    (
        "daily_balances_dense",  # the third account opens on the second day
        "INSERT INTO daily_balances SELECT * REPLACE (3 AS account_id) FROM daily_balances WHERE account_id = 2 AND day = '2025-01-01'",
        {"day": date(2025, 1, 1), "account_id": 3, "row_expected": False, "rows_written": 1},
    ),
    (
        "daily_balances_dense",
        "INSERT INTO daily_balances FROM daily_balances WHERE account_id = 2 AND day = '2025-01-02'",
        {"account_id": 2, "rows_written": 2},
    ),
    ("daily_balances_dense", BALANCE.format("as_of = '2025-01-03T17:00Z'", 2), {"as_of": instant("2025-01-03T17:00:00Z")}),
    (
        "daily_rates_known",
        "UPDATE daily_rates SET rate = 0.98 WHERE currency = 'USD' AND day = '2025-01-02'",
        {"currency": "USD", "rate": D("0.98"), "rate_on_record": D("0.97")},
    ),
    ("daily_rates_known", "UPDATE rates SET last_day = '2025-01-02'", {"day": date(2025, 1, 3), "last_day": SECOND}),
    ("daily_rates_known", "UPDATE rates SET known_from = '2025-01-03T15:00Z'", {"day": SECOND}),
    ("daily_values_dense", "DELETE FROM daily_values WHERE account_id = 4 AND day = '2025-01-02'", {"day": SECOND, "account_id": 4}),
    ("daily_prices_dense", "DELETE FROM daily_prices WHERE asset = 'ADA' AND day = '2025-01-02'", {"day": SECOND, "asset": "ADA"}),
    ("daily_prices_dense", "INSERT INTO daily_prices FROM daily_prices WHERE asset = 'EUR' AND day = '2025-01-02'", {"rows_written": 2}),
    (
        "daily_balances_flows",  # the last digit
        BALANCE.format("balance = 2.500000000000000001", 1),
        {"day": SECOND, "account_id": 1, "before": D("1.5"), "flows": D(1), "balance": D("2.500000000000000001")},
    ),
    (
        "daily_balances_flows",
        "UPDATE openings SET amount = 0.6 WHERE account_id = 1 AND amount = 0.5",
        {"day": date(2025, 1, 1), "account_id": 1},
    ),
    ("daily_balances_flows", "UPDATE openings SET amount = 0 WHERE account_id = 5", {"day": SECOND, "account_id": 5, "flows": D(-30)}),
    ("daily_balances_flows", "DELETE FROM postings WHERE event_id = 'b2'", {"day": SECOND, "account_id": 1, "postings": 0}),
    ("daily_balances_flows", "UPDATE postings SET retired_at = NULL WHERE event_id = 'b3'", {"day": date(2025, 1, 3), "postings": 2}),
    ("daily_balances_flows", BALANCE.format("balance = NULL", 2), {"day": SECOND, "account_id": 2, "balance": None}),
    ("daily_balances_flows", BALANCE.format("balance = 5", 4), {"day": SECOND, "account_id": 4, "before": None}),  # a guess
    ("daily_balances_flows", BALANCE.format(f"balance = {HUGE}", 1), {"day": SECOND, "balance": D(HUGE)}),  # not an overflow
    ("daily_balances_flows", f"UPDATE postings SET amount = {HUGE} WHERE event_id = 'u1'", {"account_id": 2, "postings": 0}),
    ("daily_balances_look_back_only", BALANCE.format("last_event_at = as_of", 1), {"day": SECOND, "account_id": 1}),
    ("daily_balances_look_back_only", BALANCE.format("read_through = '2025-01-03T00:00:01Z'", 1), {"day": SECOND, "account_id": 1}),
    ("daily_balances_spot_negative", BALANCE.format("balance = -0.01", 2), {"day": SECOND, "portfolio": "desk", "balance": D("-0.01")}),
    ("daily_balances_stale", BALANCE.format("balance_status = 'STALE'", 3), {"day": SECOND, "native_code": "XYZ"}),
    ("daily_balances_chain", BALANCE.format("reported_balance = 999", 2), {"balance": D(1000), "reported_balance": D(999)}),
    ("daily_prices_reason", PRICE.format("reason = NULL", "ADA"), {"day": SECOND, "asset": "ADA", "price": None, "reason": None}),
    ("daily_prices_reason", PRICE.format("reason = 'DELISTED'", "BTC"), {"day": SECOND, "asset": "BTC", "reason": "DELISTED"}),
    ("daily_prices_reason", PRICE.format("currency = NULL", "BTC"), {"asset": "BTC", "currency": None}),
    ("daily_prices_reason", PRICE.format("price_basis = 'VWAP_24H'", "ADA"), {"asset": "ADA", "price_basis": "VWAP_24H"}),
    ("daily_values_reason", VALUE.format("reason = NULL", 3), {"day": SECOND, "account_id": 3, "reason": None}),
    ("daily_values_reason", VALUE.format("reason = 'DELISTED'", 2), {"day": SECOND, "account_id": 2, "reason": "DELISTED"}),
    ("daily_prices_par", PRICE.format("price = 1.08, currency = 'USD'", "EUR"), {"asset": "EUR", "price": D("1.08")}),
    (
        "daily_prices_par",
        PRICE.format("price = 1, currency = 'USD', price_basis = 'PAR'", "USDC"),
        {"asset": "USDC"},
    ),  # a stablecoin is not fiat
    ("daily_prices_par", PRICE.format("price_basis = 'FIXED_POLICY'", "USD"), {"asset": "USD", "price_basis": "FIXED_POLICY"}),
    ("daily_prices_par", PRICE.format(UNPRICED.format("NO_USD_PAIR"), "USD"), {"asset": "USD"}),
    (
        "daily_prices_methods_apart",
        f"{TOLERATED}; INSERT INTO daily_prices SELECT * REPLACE ('LAST_CLOSE' AS method, 51 AS spread_bps) {OF_BTC}",
        {"day": SECOND, "asset": "BTC", "method": "LAST_CLOSE", "spread_bps": 51, "tolerated_bps": 50},
    ),
    ("daily_prices_bound", PRICE.format("bound_status = 'BREACHED'", "USDC"), {"day": SECOND, "asset": "USDC"}),
    ("daily_prices_bound_tested", PRICE.format("bound_status = 'BOUND_NOT_TESTED'", "USDC"), {"day": SECOND, "asset": "USDC"}),
    ("daily_prices_window", PRICE.format("candle_count = 25", "BTC"), {"day": SECOND, "candle_count": 25}),
    ("daily_prices_window", PRICE.format("candle_count = NULL", "BTC"), {"day": SECOND, "candle_count": None}),
    ("daily_prices_window", PRICE.format("last_end = '2025-01-03T00:30Z'", "BTC"), {"day": SECOND, "asset": "BTC"}),  # looks ahead
    ("daily_prices_window", PRICE.format("first_start = '2025-01-01T23:00Z'", "BTC"), {"day": SECOND, "asset": "BTC"}),
    ("daily_prices_candles", PRICE.format("candle_count = 2", "BTC"), {"day": SECOND, "candle_count": 2, "candles_found": 1}),
    ("daily_prices_candles", "UPDATE candles SET volume = 2 WHERE close = 102", {"day": SECOND, "volume": D(3), "volume_found": D(2)}),
    (
        "daily_prices_candles",
        "UPDATE candles SET retired_at = '2025-01-04T00:06Z' WHERE close = 102",
        {"day": SECOND, "candles_found": None},
    ),
    (
        "daily_prices_candles",
        "UPDATE candles SET start = '2025-01-02T01:00Z' WHERE close = 102",
        {"first_found": instant("2025-01-02T01:00:00Z")},
    ),
    ("daily_prices_candles", f"UPDATE candles SET volume = {HUGE} WHERE close = 102", {"day": SECOND, "volume_found": None}),
    ("daily_values_agree", VALUE.format("balance = 2", 1), {"day": SECOND, "account_id": 1, "balance": D(2), "daily_balance": D("2.5")}),
    ("daily_values_agree", VALUE.format("price = 101", 1), {"day": SECOND, "price": D(101), "daily_price": D(102)}),
    ("daily_values_agree", VALUE.format("currency = 'EUR'", 1), {"day": SECOND, "account_id": 1, "currency": "EUR"}),
    ("daily_values_agree", VALUE.format("reason = 'NO_CANDLES'", 5), {"reason": "NO_CANDLES", "daily_reason": "NO_USD_PAIR"}),
    ("daily_values_agree", VALUE.format("price = 1", 3), {"day": SECOND, "account_id": 3, "asset": None, "price": D(1)}),  # nothing maps it
    (
        "daily_values_agree",  # 2.5 × 102 is well within range
        VALUE.format("price = NULL, price_basis = NULL, currency = NULL, value = NULL, reason = 'OUT_OF_RANGE'", 1),
        {"day": SECOND, "account_id": 1, "reason": "OUT_OF_RANGE"},
    ),
    ("daily_values_exact", VALUE.format("value = 254.999999999999999999", 1), {"day": SECOND, "value": D("254.999999999999999999")}),
    (
        "daily_values_exact",  # half up instead of half-even
        "UPDATE daily_values SET value = 150.000000000000000001 WHERE account_id = 1 AND day = '2025-01-01'",
        {"day": date(2025, 1, 1), "price": D("100.000000000000000001")},
    ),
    ("daily_values_exact", VALUE.format("value = NULL", 1), {"day": SECOND, "account_id": 1, "value": None}),
    ("daily_values_exact", VALUE.format("value = 0", 3), {"day": SECOND, "account_id": 3, "price": None}),  # no price is no price
    (
        "daily_values_exact",
        VALUE.format("balance = 0, value = 0", 3),
        {"day": SECOND, "account_id": 3, "value": D(0)},
    ),  # not even of nothing
    ("daily_values_exact", VALUE.format("value = 1000.000000000000000001", 2), {"day": SECOND, "account_id": 2, "price": D(1)}),
    ("daily_values_exact", VALUE.format(f"balance = {HUGE}, price = {HUGE}", 1), {"day": SECOND, "balance": D(HUGE)}),
    ("daily_values_unpriced", "UPDATE daily_values SET balance = 1 WHERE account_id = 4", {"native_code": "ADA", "reason": "NO_CANDLES"}),
]


@pytest.mark.parametrize(("name", "wrong", "row"), PLANTED, ids=[f"{n}-{i}" for i, (n, *_) in enumerate(PLANTED)])
def test_a_planted_violation_is_found_and_its_row_is_named(planted, name, wrong, row):
    [finding] = check(planted(wrong), PUBLICATION, among=[RULES[name]])
    assert finding.message is None
    assert finding.violations == finding.rows.height > 0
    assert not finding.passed
    assert finding.blocks is (RULES[name].weight == "BLOCK")
    assert any(row.items() <= found.items() for found in finding.rows.to_dicts()), finding.rows.to_dicts()


def test_every_rule_was_seen_to_fail():
    shape = {name for name in RULES if name.endswith(SHAPE)}
    assert {name for name, *_ in PLANTED} == RULES.keys() - shape


def one_row_each() -> list[str]:
    """The three tables of the small book that hold nothing, filled from nothing."""
    made = []
    for table in TABLES.values():
        columns = [f'{_any(c.values[0] if c.values else None, str(c.dtype))} AS "{c.name}"' for c in table.columns]
        made.append(f'INSERT INTO "{table.name}" SELECT {", ".join(columns)} WHERE NOT EXISTS (SELECT 1 FROM "{table.name}")')
    return made


def _any(allowed: str | None, dtype: str) -> str:
    if allowed or dtype == "String":
        return f"'{allowed or 'x'}'"
    return {"Date": "DATE '2025-01-01'", "Boolean": "true"}.get(dtype, "TIMESTAMPTZ '2025-01-01'" if dtype.startswith("Datetime") else "1")


def shape_rules(kind: str) -> list[Rule]:
    return [rule for name, rule in RULES.items() if name.endswith(kind)]


def test_a_doubled_row_breaks_the_key_of_every_table(planted):
    twice = [f'INSERT INTO "{name}" FROM "{name}" LIMIT 1' for name in TABLES]
    found = check(planted(*one_row_each(), *twice), PUBLICATION, among=shape_rules("_key"))
    assert len(found) == len(TABLES)
    for finding in found:
        assert finding.blocks, finding.rule.name
        assert finding.rows["rows_written"].to_list() == [2]
        assert set(TABLES[finding.rule.table].key) <= set(finding.rows.columns)


def test_a_null_is_found_in_every_column_that_must_not_have_one(planted):
    columns = [(table.name, c.name) for table in TABLES.values() for c in table.columns if not c.null]
    nulls = [f'INSERT INTO "{table}" SELECT * REPLACE (NULL AS "{column}") FROM "{table}" LIMIT 1' for table, column in columns]
    found = check(planted(*one_row_each(), *nulls), PUBLICATION, among=shape_rules("_not_null"))
    assert {f.rule.table: f.violations for f in found} == {t.name: sum(not c.null for c in t.columns) for t in TABLES.values()}


def test_a_value_that_is_not_allowed_is_found_in_every_column_that_limits_them(planted):
    columns = [(table.name, c.name) for table in TABLES.values() for c in table.columns if c.values]
    strange = [f"""INSERT INTO "{table}" SELECT * REPLACE ('GUESSED' AS "{column}") FROM "{table}" LIMIT 1""" for table, column in columns]
    found = check(planted(*one_row_each(), *strange), PUBLICATION, among=shape_rules("_values"))
    assert sum(f.violations for f in found) == len(columns)
    assert all(f.blocks for f in found)


def test_an_empty_table_blocks_unless_it_may_be_empty(planted):
    found = check(planted(*(f'DELETE FROM "{name}"' for name in TABLES)), PUBLICATION)
    empty = {f.rule.table for f in found if f.rule.name.endswith("_rows") and f.blocks}
    assert empty == {t.name for t in TABLES.values() if not t.may_be_empty}
    excused = {f.rule.table for f in found if f.passed and f.rule.name.endswith(SHAPE)}
    assert excused == {t.name for t in TABLES.values() if t.may_be_empty}
    assert all(f.looked_at == 0 and f.message for f in found if f.passed and f.rule.name != "closed_days_contiguous")


def test_fiat_may_be_excluded_by_policy_and_a_coin_may_call_itself_usd(planted):
    excluded = planted(PRICE.format(UNPRICED.format("EXCLUDED_BY_POLICY"), "USD"))
    coin = planted(PRICE.format(UNPRICED.format("NO_USD_PAIR"), "USD"), "UPDATE accounts SET asset_class = 'crypto' WHERE asset = 'USD'")
    assert all(check(book, PUBLICATION, among=[RULES["daily_prices_par"]])[0].passed for book in (excluded, coin))


def test_a_product_that_has_no_room_may_say_so(planted):
    out_of_range = "price = NULL, price_basis = NULL, currency = NULL, value = NULL, reason = 'OUT_OF_RANGE'"
    huge = planted(
        BALANCE.format("balance = 900000000000000000", 1),
        VALUE.format(f"balance = 900000000000000000, {out_of_range}", 1),
    )
    values = [RULES[name] for name in ("daily_values_agree", "daily_values_exact", "daily_values_reason")]
    assert all(f.passed for f in check(huge, PUBLICATION, among=values))


def test_off_the_hour_at_most_23_candles_lie_in_the_window(planted):
    half_past = planted(
        "UPDATE daily_prices SET as_of = as_of + INTERVAL 30 MINUTES",
        "DELETE FROM daily_prices WHERE price_basis = 'VWAP_24H' AND day <> '2025-01-02'",
        "INSERT INTO candles SELECT * REPLACE (TIMESTAMPTZ '2025-01-02T23:00Z' AS start) FROM candles WHERE close = 102",  # ends before
        "INSERT INTO candles SELECT * REPLACE (TIMESTAMPTZ '2025-01-03T00:00Z' AS start) FROM candles WHERE close = 102",  # ends after
    )
    [finding] = check(half_past, PUBLICATION, among=[RULES["daily_prices_candles"]])
    assert finding.rows["candles_found"].to_list() == [1]
    assert finding.rows["first_found"].to_list() == [instant("2025-01-02T23:00:00Z")]


def test_no_decimal_of_a_violating_row_is_rounded(planted):
    digits = Decimal("12345678901234567890.123456789012345678")
    [finding] = check(planted(BALANCE.format(f"balance = {digits}", 1)), PUBLICATION, among=[RULES["daily_balances_flows"]])
    assert digits in finding.rows["balance"].to_list()


def test_the_violations_are_counted_in_full_and_shown_up_to_200(planted):
    many = planted("INSERT INTO suspense SELECT 'coinbase', 'desk', NULL, 'why', 'row', '00', i, '2025-01-04' FROM range(1234) AS r(i)")
    first, after = check(many, PUBLICATION, among=[RULES["suspense_empty"], RULES["suspense_key"]])
    assert (first.violations, first.looked_at, first.rows.height) == (1234, 1234, 200)
    assert first.rows["position"].to_list() == list(range(200))
    assert after.passed  # the rows that were not read do not disturb the next check


def test_braces_colons_and_percent_signs_of_a_rule_reach_duckdb_as_they_are(planted):
    sql = """SELECT '{batch} {0} :day a:b 50%' AS said, day::VARCHAR AS day FROM closed_days WHERE '{' LIKE '%{' -- the end"""
    [finding] = check(planted(), PUBLICATION, among=[replace(RULES["closed_days_contiguous"], sql=sql)])
    assert finding.rows.row(0) == ("{batch} {0} :day a:b 50%", "2025-01-01")
