"""Values in a reporting currency: exact, with the date of the rate, and never with a rate that is too old or not yet known."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import duckdb
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.publications import SQL
from pipelines.stages import reporting
from pipelines.stages.days import days
from pipelines.tables import ACCOUNTS, DAILY_RATES, DAILY_VALUES, MONEY, RATES, TEXT
from tests.ledger_text import D, instant, rows
from tests.stages.scenario import CALENDAR_ROWS

LAST_PLACE = D("0.000000000000000001")
money = st.decimals(D(-(10**18)) + 1, D(10**18) - 1, places=18, allow_nan=False) | st.decimals(-1000, 1000, places=18, allow_nan=False)
rate = st.decimals(D("0.000001"), 100_000, places=18, allow_nan=False) | st.sampled_from([D(1), D("0.5"), D("0.000000000000000001")])


def exactly(value: Decimal, rate: Decimal) -> Decimal | None:
    with localcontext(prec=120):
        found = (value * rate).quantize(LAST_PLACE, ROUND_HALF_EVEN)
    return found if abs(found) < 10**18 else None


@given(st.lists(st.tuples(money, rate), min_size=1, max_size=20))
def test_a_value_in_the_reporting_currency_is_value_times_rate_half_even(pairs: list[tuple[Decimal, Decimal]]) -> None:
    for value, of in pairs:
        told = rates_of(of)
        plain = pl.LazyFrame(
            {"currency": ["USD"], "value": [value], "reason": [None]}, schema={"currency": TEXT, "value": MONEY, "reason": TEXT}
        )
        [row] = reporting.beside(plain, told.lazy()).collect().to_dicts()
        assert row["reporting_value"] == exactly(value, of)
        assert (row["reporting_reason"] is None) == (row["reporting_value"] is not None)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(money, rate), min_size=20, max_size=60))
def test_the_view_says_what_the_stage_says(pairs: list[tuple[Decimal, Decimal]]) -> None:
    with duckdb.connect() as con:
        for table in (ACCOUNTS, DAILY_VALUES, DAILY_RATES):
            con.execute(table.ddl())
        asked = [date(2025, 1, 1) + timedelta(days=n) for n in range(len(pairs))]
        of_day = {"calendar": "utc", "as_of": instant("2025-01-02"), "currency": "USD"}
        rated = [of_day | {"day": d, "reporting_currency": "EUR", "rate": of} for d, (_, of) in zip(asked, pairs, strict=True)]
        held = [of_day | {"day": d, "account_id": 1, "value": value} for d, (value, _) in zip(asked, pairs, strict=True)]
        con.register("rated", DAILY_RATES.frame(rated).to_arrow())
        con.register("held", DAILY_VALUES.frame(held).to_arrow())
        con.execute("INSERT INTO daily_rates FROM rated; INSERT INTO daily_values FROM held")
        con.execute("INSERT INTO accounts VALUES (1, 'desk', 'USD', NULL, 'USD', NULL, 'fiat', now())")
        told = con.sql(
            f"SELECT reporting_value, reporting_reason FROM ({(SQL / 'views/reporting.sql').read_text()}) ORDER BY day"
        ).fetchall()
    expected = [exactly(value, of) for value, of in pairs]
    assert told == [(value, None if value is not None else "OUT_OF_RANGE") for value in expected]


def rates_of(of: Decimal) -> pl.DataFrame:
    row = {"calendar": "utc", "day": date(2025, 1, 1), "as_of": instant("2025-01-02"), "currency": "USD", "reporting_currency": "EUR"}
    return DAILY_RATES.frame([row | {"rate": of, "rate_date": date(2025, 1, 1), "source": "ECB"}])


TABLE = rows(RATES, """
    rate_date  | rate   | known_from           | last_day
    2025-01-02 | 0.97   | 2025-01-02T15:00:00Z | 2025-01-05
    2025-01-03 | 0.98   | 2025-01-03T15:00:00Z | 2025-01-06     # a Friday
    2025-01-07 | 0.99   | 2025-01-07T15:00:00Z | 2025-01-10
""", currency="USD", reporting_currency="EUR", document="ECB", sha256="00", recorded_at=instant("2025-02-01"))  # fmt: skip


def told(rates: pl.DataFrame, calendar: str = "utc", currency: str = "USD") -> dict[int, tuple[Decimal | None, int | None, str | None]]:
    """Day of January → rate, date of the rate, reason."""
    asked = days(CALENDAR_ROWS.filter(calendar=calendar), date(2025, 1, 1), date(2025, 1, 12))
    found = reporting.daily_rates(rates.lazy(), asked.lazy(), ["USD", "EUR", "GBP"]).collect().filter(currency=currency).sort("day")
    return {d.day: (r, of and of.day, why) for d, r, of, why in found.select("day", "rate", "rate_date", "reason").iter_rows()}


def test_a_weekend_says_of_which_date_its_rate_is_and_no_rate_is_used_beyond_its_last_day() -> None:
    found = told(TABLE)
    assert found[1] == (None, None, "NO_RATE")
    assert found[3] == (D("0.98"), 3, None)
    assert [found[n] for n in (4, 5, 6)] == [(D("0.98"), 3, None)] * 3
    assert found[7] == found[10] == (D("0.99"), 7, None)
    assert found[11] == (None, 7, "RATE_TOO_OLD")


def test_the_reporting_currency_is_itself_and_a_currency_without_rates_is_not_told() -> None:
    assert set(told(TABLE, currency="EUR").values()) == {(D(1), None, None)}
    assert set(told(TABLE, currency="GBP").values()) == {(None, None, "NO_RATE")}
    assert told(TABLE.clear()) == {}


def test_no_day_uses_a_rate_that_was_not_known_at_its_cut_off() -> None:
    assert told(TABLE, "kolkata")[2] == (D("0.97"), 2, None)  # 24:00 in Kolkata is 18:30 UTC
    late = TABLE.with_columns(known_from=pl.col("known_from") + timedelta(hours=4))
    assert told(late, "kolkata")[2] == (None, None, "NO_RATE")
    assert told(late, "kolkata")[3] == (D("0.97"), 2, None)
    asked = days(CALENDAR_ROWS, date(2025, 1, 1), date(2025, 1, 5))
    first, scrambled = (
        reporting.daily_rates(t.lazy(), asked.lazy(), ["USD"]).collect().sort("calendar", "day")
        for t in (
            TABLE,
            TABLE.with_columns(rate=pl.when(pl.col("known_from") > instant("2025-01-06")).then(D(7)).otherwise("rate").cast(MONEY)),
        )
    )
    assert first.equals(scrambled)


def test_an_inverse_table_is_turned_around_once_half_even() -> None:
    quoted = TABLE.lazy().drop("rate").with_columns(quoted=pl.lit(D("1.0353"), MONEY), inverse=pl.lit(True))
    assert set(reporting.rates(quoted).collect()["rate"]) == {exactly(D(1), D(1) / D("1.0353"))}


def test_what_has_no_value_or_no_rate_says_why() -> None:
    plain = pl.LazyFrame(
        [("USD", D(1), None), (None, None, "NO_USD_PAIR"), ("GBP", D(1), None), ("USD", None, None)],
        schema={"currency": TEXT, "value": MONEY, "reason": TEXT}, orient="row",
    )  # fmt: skip
    of_day = reporting.daily_rates(
        TABLE.lazy(), days(CALENDAR_ROWS.filter(calendar="utc"), date(2025, 1, 4), date(2025, 1, 4)).lazy(), ["GBP", "USD"]
    )
    found = reporting.beside(plain, of_day).collect()
    assert found["reporting_reason"].to_list() == [None, "NO_USD_PAIR", "NO_RATE", "NO_VALUE"]
    assert found["reporting_value"].to_list() == [D("0.98"), None, None, None]
    assert set(found["reporting_currency"]) == {"EUR"}
