"""The CSV of a balance report: columns as the configuration says, numbers exact, anything unexplained refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config import BalanceReport
from pipelines.errors import ClosebookError, Unreadable
from pipelines.venues import wire
from tests.ledger_text import D, instant
from tests.venues.serving import page

COLUMNS = BalanceReport().columns
HEADER = "portfolio,currency,balance,balance unit,price,price unit,value,value unit,as of\n"


def read(text: str | bytes, columns=COLUMNS):
    return wire.read_report(page("coinbase", "report file", text if isinstance(text, bytes) else text.encode()), columns)


def test_a_report_is_read_exactly():
    reading = read(
        HEADER
        + "default,BTC,1.2500000000000000,BTC,42200.123456789012345678,USD,52750.1,USD,2025-01-01T00:00:00.000Z\n"
        + "default,USDC,0.000000000000000001,USDC,,,,,2025-01-01T00:00:00.000Z\n"
    )
    btc, usdc = reading.rows.to_dicts()
    assert (btc["native_code"], btc["balance"], btc["price"], btc["price_places"]) == ("BTC", D("1.25"), D("42200.123456789012345678"), 18)
    assert (btc["currency"], btc["value"], btc["as_of"]) == ("USD", D("52750.1"), instant("2025-01-01"))
    assert (usdc["balance"], usdc["price"], usdc["price_places"], usdc["currency"]) == (D("0.000000000000000001"), None, None, None)
    assert reading.refused.is_empty()


def test_an_empty_report_has_no_rows():
    assert read(HEADER).rows.is_empty()


def test_columns_are_as_the_configuration_says():
    columns = {"Asset": "native_code", "Quantity": "balance", "Note": "ignore"}
    rows = read(b'\xef\xbb\xbfnote,Asset,QUANTITY\r\n"a, b",btc,3\r\n', columns).rows
    assert rows.select("native_code", "balance").rows() == [("BTC", D(3))]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("portfolio,currency,balance,held\n", "has a column 'held' that nobody explained. .*balance_report.columns"),
        ("portfolio,currency\n", "lacks native_code or balance"),
        ("currency,currency,balance\n", "one of its columns twice"),
        ("", "lacks native_code or balance"),
        (b"currency,balance\n\xff,1\n", "is not CSV"),
        ('currency,balance\n"BTC,1\n', "is not CSV"),
    ],
)
def test_a_header_that_is_not_wholly_known_is_refused(text, complaint: str):
    with pytest.raises(Unreadable, match=complaint):
        read(text)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("BTC", "1 cells under 2 headings"),
        (",1", "native_code is empty"),
        ("BTC,", "balance is not a number"),
        ("BTC,1e400", "10^18 or more"),
        ("BTC,0.0000000000000000001", "more than 18 decimals"),
        ("BTC,1\nbtc,2", "listed twice"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_alone(row: str, complaint: str):
    reading = read(f"currency,balance\n{row}\nETH,5\n")
    [refused] = reading.refused.to_dicts()
    assert complaint in refused["reason"]
    assert ("ETH", D(5)) in reading.rows.select("native_code", "balance").rows()


@given(st.binary(max_size=300) | st.text(alphabet='currency,balance"\n1.e-', max_size=200).map(str.encode))
def test_junk_is_refused_in_our_own_words(body: bytes):
    with suppress(ClosebookError):
        assert read(body).rows.height < 300
