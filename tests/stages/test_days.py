"""When days end."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from pipelines.errors import ContractError
from pipelines.stages.days import day_end, days, instant
from tests.ledger_text import instant as at
from tests.stages.scenario import CALENDAR_ROWS, calendar_days


@pytest.mark.parametrize(
    ("calendar", "day", "as_of"),
    [
        ("utc", "2025-01-31", "2025-02-01T00:00:00Z"),  # 00:00 is the 24:00 of the day
        ("kolkata", "2025-01-31", "2025-01-31T18:30:00Z"),
        ("new_york", "2025-01-31", "2025-01-31T22:00:00Z"),
        ("new_york", "2025-03-08", "2025-03-08T22:00:00Z"),
        ("new_york", "2025-03-09", "2025-03-09T21:00:00Z"),  # 23 hours
        ("new_york", "2025-11-02", "2025-11-02T22:00:00Z"),  # 25 hours
    ],
)
def test_a_day_ends_at_its_calendars_cut_off(calendar, day, as_of):
    assert calendar_days(calendar, day).collect().rows() == [(calendar, date.fromisoformat(day), at(as_of))]


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2025-03-08", 24), ("2025-03-09", 23), ("2025-03-10", 24), ("2025-11-01", 24), ("2025-11-02", 25), ("2025-11-03", 24)],
)
def test_new_york_days_are_as_long_as_new_york_says(day, hours):
    before, end = calendar_days("new_york", str(date.fromisoformat(day) - timedelta(days=1)), day).collect()["as_of"]
    assert end - before == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("zone", "day", "cut_off", "as_of", "why"),
    [
        ("America/New_York", "2025-03-09", "02:00", "2025-03-09T07:00:00Z", "the first minute of the gap"),
        ("America/New_York", "2025-03-09", "02:30", "2025-03-09T07:00:00Z", "half past two does not exist; three does"),
        ("America/New_York", "2025-03-09", "03:00", "2025-03-09T07:00:00Z", "three exists"),
        ("America/New_York", "2025-11-02", "01:30", "2025-11-02T05:30:00Z", "twice: the first"),
        ("America/Sao_Paulo", "2018-11-03", "00:00", "2018-11-04T03:00:00Z", "a midnight that does not exist"),
        ("Australia/Lord_Howe", "2025-10-05", "02:15", "2025-10-04T15:30:00Z", "a gap of half an hour"),
        ("Pacific/Apia", "2011-12-29", "00:00", "2011-12-30T10:00:00Z", "a date that does not exist"),
        ("Pacific/Apia", "2011-12-30", "12:00", "2011-12-30T10:00:00Z", "noon of the date that does not exist"),
    ],
)
def test_clock_changes(zone, day, cut_off, as_of, why):
    assert day_end(date.fromisoformat(day), ZoneInfo(zone), time.fromisoformat(cut_off)) == at(as_of), why


def test_all_calendars_come_in_one_frame_and_no_day_is_left_out():
    frame = days(CALENDAR_ROWS, date(2025, 1, 1), date(2025, 12, 31))
    assert frame.group_by("calendar").len().rows_by_key("calendar").keys() == {"utc", "new_york", "kolkata"}
    assert frame.height == 3 * 365
    assert days(CALENDAR_ROWS, date(2025, 1, 2), date(2025, 1, 1)).is_empty()


def test_any_instant_is_a_day_of_no_calendar():
    paris_evening = datetime(2025, 1, 31, 0, 30, 0, 1, ZoneInfo("Europe/Paris"))
    frame = instant(paris_evening)
    assert frame.rows() == [("", date(2025, 1, 30), at("2025-01-30T23:30:00.000001Z"))]
    assert frame.schema == days(CALENDAR_ROWS, date(2025, 1, 1), date(2025, 1, 1)).schema


def test_an_instant_without_a_time_zone_is_refused():
    with pytest.raises(ContractError, match="no time zone"):
        instant(datetime(2025, 1, 31))  # noqa: DTZ001
