"""Law 5 at the border: text is read exactly, or refused with a reason."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.venues.reading import BadRow, after_epoch, exact, moment
from tests.ledger_text import D, instant


def number(text: str) -> Decimal:
    return exact("amount", msgspec.Raw(text))


@given(st.decimals(min_value=D("-999999999999999999"), max_value=D("999999999999999999"), places=18), st.booleans())
def test_eighteen_decimals_are_read_to_the_last_digit_quoted_or_not(value, quoted):
    text = f"{value:f}"
    assert number(f'"{text}"' if quoted else text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"1e-18"', "0.000000000000000001"),
        ("5.5E+3", "5500"),
        ('"999999999999999999.999999999999999999"', "999999999999999999.999999999999999999"),
        ('"-0.000"', "0"),
        ("-0", "0"),
        ("0e999999", "0"),
        ('"+.5"', "0.5"),
        ('"7."', "7"),
        ('"\\u0031"', "1"),
    ],
)
def test_every_way_of_writing_a_number_is_read(text, value):
    assert str(number(text)) == str(number(f'"{value}"'))
    assert number(text) == D(value)
    assert not number(text).is_signed() or number(text) < 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('"0.0000000000000000001"', "amount has more than 18 decimals"),
        ("1.5e-18", "amount has more than 18 decimals"),
        ('"1e18"', "amount is 10^18 or more"),
        ('"-1000000000000000000"', "amount is 10^18 or more"),
        ("1e999999", "amount is 10^18 or more"),
        ('"NaN"', "amount is not a number"),
        ('"-Infinity"', "amount is not a number"),
        ('"1e99999999999"', "amount is not a number"),
        ('"1_000"', "amount is not a number"),
        ('"1,000.00"', "amount is not a number"),
        ('" 1"', "amount is not a number"),
        ('"1\\n"', "amount is not a number"),
        ('"١"', "amount is not a number"),
        ('""', "amount is not a number"),
        ("null", "amount is missing"),
        ("true", "amount is not a text"),
        ("[1]", "amount is not a text"),
    ],
)
def test_what_the_book_cannot_hold_exactly_is_refused_with_the_reason(text, reason):
    with pytest.raises(BadRow, match=f"^{reason.replace('^', '.')}$"):
        number(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00+00:00"),
        ("2024-01-01T10:00:00.5Z", "2024-01-01T10:00:00.500000+00:00"),
        ("2014-11-06T10:34:47.123456Z", "2014-11-06T10:34:47.123456+00:00"),
        ("2014-11-06T10:34:47.123456000Z", "2014-11-06T10:34:47.123456+00:00"),
        ("2020-03-12 00:14:12.397805+00", "2020-03-12T00:14:12.397805+00:00"),
        ("2020-03-12T02:14:12+02:00", "2020-03-12T00:14:12+00:00"),
    ],
)
def test_instants_come_with_none_to_six_decimals(text, value):
    assert moment("created_at", msgspec.Raw(f'"{text}"')) == instant(value)


@pytest.mark.parametrize(
    "text",
    ["2024-01-01", "2024-01-01T10:00:00", "2024-02-30T10:00:00Z", "2024-01-01T10:00:00.1234567Z", "0001-01-01T00:00:00+23:59", "soon"],
)
def test_an_instant_without_a_zone_or_beyond_microseconds_is_refused(text):
    with pytest.raises(BadRow, match="created_at"):
        moment("created_at", msgspec.Raw(f'"{text}"'))


def test_an_instant_too_far_away_is_refused():
    from datetime import timedelta

    with pytest.raises(BadRow, match="too far"):
        after_epoch("time", msgspec.Raw("999999999999999"), timedelta(seconds=1))
