"""A small correct book in which every account is awkward on purpose: table name → frame."""

# ruff: noqa: E501  # a text table is read across, and a broken line is no row

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl

from pipelines import tables as t
from pipelines.publications import create_views
from tests.ledger_text import instant, rows

RECORDED = instant("2025-01-04T00:05:00Z")
KNOWN = {"recorded_at": RECORDED}
PUBLICATION = 7

PORTFOLIOS = rows(t.PORTFOLIOS, """
    portfolio | entity | venue    | venue_id
    desk      | acme   | coinbase | 86602c68
    perps     | acme   | pacifica | 42trU9A5
""", **KNOWN)  # fmt: skip

ACCOUNTS = rows(t.ACCOUNTS, """
    account_id | portfolio | native_code | asset | asset_class
    1          | desk      | BTC         | BTC   | crypto        # priced at market
    2          | desk      | USD         | USD   | fiat          # priced at par
    3          | desk      | XYZ         | -     | unknown       # nothing maps it
    4          | desk      | ADA         | ADA   | crypto        # its opening is unknown, and nobody traded it
    5          | perps     | USDC        | USDC  | stable        # opened on the second day, owes, has no USD pair
    6          | desk      | EUR         | EUR   | fiat          # has no opening at all
""", **KNOWN)  # fmt: skip

OPENINGS = rows(t.OPENINGS, """
    account_id | kind                  | amount | opened_at            | document | recorded_at
    1          | ASSERTED              | 9      | 2024-12-31           | a.pdf    | 2025-01-03          # replaced by the next
    1          | ASSERTED              | 0.5    | 2024-12-31           | b.pdf    | 2025-01-04
    2          | INCEPTION             | 0      | 2024-12-31           | -        | 2025-01-04
    3          | DERIVED_FIRST_POSTING | 0      | 2025-01-02T12:00:00Z | -        | 2025-01-04
    4          | UNKNOWN               | -      | 2024-12-31           | -        | 2025-01-04
    5          | ASSERTED              | 10     | 2025-01-02T06:00:00Z | c.pdf    | 2025-01-04
""")  # fmt: skip

POSTINGS = rows(t.POSTINGS, """
    account_id | occurred_at                 | position | event_id | amount | balance_after | pending_after | retired_at
    1          | 2025-01-01T23:59:59.999999Z | 0        | b1       | 1      | 1.5           | -             | -           # the last microsecond counts
    1          | 2025-01-02T00:00:00.000000Z | 0        | b2       | 1      | 2.5           | -             | -           # the cut-off itself does not
    1          | 2025-01-03T05:00:00Z        | 0        | b3       | 4      | 6.5           | -             | 2025-01-04T00:06:00Z   # taken back
    1          | 2025-01-03T05:00:00Z        | 1        | b4       | -0.25  | 2.25          | -             | -
    2          | 2025-01-01T09:00:00Z        | 0        | u1       | 1000   | 1000          | -             | -
    3          | 2025-01-02T12:00:00Z        | 0        | x1       | 7      | 7             | -             | -
    4          | 2025-01-02T08:00:00Z        | 0        | a1       | 5      | 5             | -             | -
    5          | 2025-01-02T05:00:00Z        | 0        | p0       | 99     | 99            | -             | -           # before its opening
    5          | 2025-01-02T08:00:00Z        | 0        | p1       | -30    | -20           | 5             | -
""", event_type="match", page_sha256="00", **KNOWN)  # fmt: skip

TRANSFERS = rows(t.TRANSFERS, """
    sent_by | sent_at              | sent | received_by | received_at          | received | fee
    1       | 2025-01-02T23:00:00Z | 2    | 5           | 2025-01-03T01:00:00Z | 1.9      | 0.1       # on the way at one cut-off
""", kind="TRANSFER", entity="acme", asset="BTC", sent_position=0, received_position=0)  # fmt: skip

CANDLES = rows(t.CANDLES, """
    product_id | start                | close | volume
    BTC-USD    | 2024-12-31T23:00:00Z | 7     | 9       # before the first window
    BTC-USD    | 2025-01-01T00:00:00Z | 100   | 1
    BTC-USD    | 2025-01-01T23:00:00Z | 101   | 2
    BTC-USD    | 2025-01-02T00:00:00Z | 102   | 3       # after the first window
    BTC-USD    | 2025-01-03T12:00:00Z | 103   | 4
""", low=1, high=1, open=1, **KNOWN)  # fmt: skip

CLOSED_DAYS = rows(t.CLOSED_DAYS, """
    day        | as_of
    2025-01-01 | 2025-01-02
    2025-01-02 | 2025-01-03
    2025-01-03 | 2025-01-04
""", calendar="utc", touched_at=RECORDED, **KNOWN)  # fmt: skip

DAILY_BALANCES = rows(t.DAILY_BALANCES, """
    day        | account_id | as_of      | balance | reported_balance | last_event_at               | read_through
    2025-01-01 | 1          | 2025-01-02 | 1.5     | 1.5              | 2025-01-01T23:59:59.999999Z | 2025-01-02
    2025-01-01 | 2          | 2025-01-02 | 1000    | 1000             | 2025-01-01T09:00:00Z        | 2025-01-02
    2025-01-01 | 4          | 2025-01-02 | -       | -                | -                           | 2025-01-02
    2025-01-01 | 6          | 2025-01-02 | -       | -                | -                           | -
    2025-01-02 | 1          | 2025-01-03 | 2.5     | 2.5              | 2025-01-02                  | 2025-01-03
    2025-01-02 | 2          | 2025-01-03 | 1000    | 1000             | 2025-01-01T09:00:00Z        | 2025-01-03
    2025-01-02 | 3          | 2025-01-03 | 7       | 7                | 2025-01-02T12:00:00Z        | 2025-01-03
    2025-01-02 | 4          | 2025-01-03 | -       | 5                | 2025-01-02T08:00:00Z        | 2025-01-03
    2025-01-02 | 5          | 2025-01-03 | -20     | -20              | 2025-01-02T08:00:00Z        | 2025-01-03
    2025-01-02 | 6          | 2025-01-03 | -       | -                | -                           | -
    2025-01-03 | 1          | 2025-01-04 | 2.25    | 2.25             | 2025-01-03T05:00:00Z        | 2025-01-04
    2025-01-03 | 2          | 2025-01-04 | 1000    | 1000             | 2025-01-01T09:00:00Z        | 2025-01-04
    2025-01-03 | 3          | 2025-01-04 | 7       | 7                | 2025-01-02T12:00:00Z        | 2025-01-04
    2025-01-03 | 4          | 2025-01-04 | -       | 5                | 2025-01-02T08:00:00Z        | 2025-01-04
    2025-01-03 | 5          | 2025-01-04 | -20     | -20              | 2025-01-02T08:00:00Z        | 2025-01-04
    2025-01-03 | 6          | 2025-01-04 | -       | -                | -                           | -
""", calendar="utc", balance_status="NOT_TESTED", movements_status="NOT_TESTED")  # fmt: skip

DAILY_PRICES = rows(t.DAILY_PRICES, """
    day        | asset | as_of      | price                  | price_basis | currency | reason      | candle_count | volume | first_start          | last_end
    2025-01-01 | BTC   | 2025-01-02 | 100.000000000000000001 | VWAP_24H    | USD      | -           | 2            | 3      | 2025-01-01           | 2025-01-02
    2025-01-01 | USD   | 2025-01-02 | 1                      | PAR         | USD      | -           | -            | -      | -                    | -
    2025-01-01 | ADA   | 2025-01-02 | -                      | -           | -        | NO_CANDLES  | 0            | -      | -                    | -
    2025-01-01 | USDC  | 2025-01-02 | -                      | -           | -        | NO_USD_PAIR | -            | -      | -                    | -
    2025-01-01 | EUR   | 2025-01-02 | 1                      | PAR         | EUR      | -           | -            | -      | -                    | -
    2025-01-02 | BTC   | 2025-01-03 | 102                    | VWAP_24H    | USD      | -           | 1            | 3      | 2025-01-02           | 2025-01-02T01:00:00Z
    2025-01-02 | USD   | 2025-01-03 | 1                      | PAR         | USD      | -           | -            | -      | -                    | -
    2025-01-02 | ADA   | 2025-01-03 | -                      | -           | -        | NO_CANDLES  | 0            | -      | -                    | -
    2025-01-02 | USDC  | 2025-01-03 | -                      | -           | -        | NO_USD_PAIR | -            | -      | -                    | -
    2025-01-02 | EUR   | 2025-01-03 | 1                      | PAR         | EUR      | -           | -            | -      | -                    | -
    2025-01-03 | BTC   | 2025-01-04 | 103                    | VWAP_24H    | USD      | -           | 1            | 4      | 2025-01-03T12:00:00Z | 2025-01-03T13:00:00Z
    2025-01-03 | USD   | 2025-01-04 | 1                      | PAR         | USD      | -           | -            | -      | -                    | -
    2025-01-03 | ADA   | 2025-01-04 | -                      | -           | -        | NO_CANDLES  | 0            | -      | -                    | -
    2025-01-03 | USDC  | 2025-01-04 | -                      | -           | -        | NO_USD_PAIR | -            | -      | -                    | -
    2025-01-03 | EUR   | 2025-01-04 | 1                      | PAR         | EUR      | -           | -            | -      | -                    | -
""", calendar="utc", method="VWAP_24H")  # fmt: skip

DAILY_VALUES = rows(t.DAILY_VALUES, """
    day        | account_id | as_of      | balance | price                  | price_basis | currency | value                  | reason
    2025-01-01 | 1          | 2025-01-02 | 1.5     | 100.000000000000000001 | VWAP_24H    | USD      | 150.000000000000000002 | -              # a tie: …0015 goes to the even 2
    2025-01-01 | 2          | 2025-01-02 | 1000    | 1                      | PAR         | USD      | 1000                   | -
    2025-01-01 | 4          | 2025-01-02 | -       | -                      | -           | -        | -                      | NO_CANDLES
    2025-01-01 | 6          | 2025-01-02 | -       | 1                      | PAR         | EUR      | -                      | -
    2025-01-02 | 1          | 2025-01-03 | 2.5     | 102                    | VWAP_24H    | USD      | 255                    | -
    2025-01-02 | 2          | 2025-01-03 | 1000    | 1                      | PAR         | USD      | 1000                   | -
    2025-01-02 | 3          | 2025-01-03 | 7       | -                      | -           | -        | -                      | UNMAPPED_ASSET
    2025-01-02 | 4          | 2025-01-03 | -       | -                      | -           | -        | -                      | NO_CANDLES
    2025-01-02 | 5          | 2025-01-03 | -20     | -                      | -           | -        | -                      | NO_USD_PAIR
    2025-01-02 | 6          | 2025-01-03 | -       | 1                      | PAR         | EUR      | -                      | -
    2025-01-03 | 1          | 2025-01-04 | 2.25    | 103                    | VWAP_24H    | USD      | 231.75                 | -
    2025-01-03 | 2          | 2025-01-04 | 1000    | 1                      | PAR         | USD      | 1000                   | -
    2025-01-03 | 3          | 2025-01-04 | 7       | -                      | -           | -        | -                      | UNMAPPED_ASSET
    2025-01-03 | 4          | 2025-01-04 | -       | -                      | -           | -        | -                      | NO_CANDLES
    2025-01-03 | 5          | 2025-01-04 | -20     | -                      | -           | -        | -                      | NO_USD_PAIR
    2025-01-03 | 6          | 2025-01-04 | -       | 1                      | PAR         | EUR      | -                      | -
""", calendar="utc")  # fmt: skip

RATES = rows(t.RATES, """
    currency | rate_date  | rate | known_from           | last_day
    USD      | 2025-01-02 | 0.97 | 2025-01-02T15:00:00Z | 2025-01-05
""", reporting_currency="EUR", document="ECB", sha256="00", **KNOWN)  # fmt: skip
DAILY_RATES = rows(t.DAILY_RATES, """
    day        | currency | as_of      | rate | rate_date  | source | reason
    2025-01-01 | USD      | 2025-01-02 | -    | -          | -      | NO_RATE
    2025-01-02 | USD      | 2025-01-03 | 0.97 | 2025-01-02 | ECB    | -
    2025-01-03 | USD      | 2025-01-04 | 0.97 | 2025-01-02 | ECB    | -
    2025-01-01 | EUR      | 2025-01-02 | 1    | -          | PAR    | -
    2025-01-02 | EUR      | 2025-01-03 | 1    | -          | PAR    | -
    2025-01-03 | EUR      | 2025-01-04 | 1    | -          | PAR    | -
""", calendar="utc", reporting_currency="EUR")  # fmt: skip

PUBLICATIONS = rows(t.PUBLICATIONS, """
    publication_id | known_through        | built_at             | software | book_start
    7              | 2025-01-04T00:10:00Z | 2025-01-04T00:11:00Z | 0.1.0    | 2025-01-01
""")  # fmt: skip
CALENDARS = rows(t.CALENDARS, "calendar | timezone | cut_off\n utc | UTC | 00:00")
PULLS = rows(t.PULLS, """
    kind    | portfolio | subject | read_through | asked_at   | batch
    ACCOUNT | desk      | BTC     | 2025-01-04   | 2025-01-04 | aa
    ACCOUNT | perps     | USDC    | 2025-01-04   | 2025-01-04 | bb
""", **KNOWN)  # fmt: skip
PAGES = rows(t.PAGES, """
    batch | position | venue    | portfolio | endpoint | request    | fetched_at | sha256
    aa    | 0        | coinbase | desk      | ledger   | GET /ledger | 2025-01-04 | 00
""", **KNOWN)  # fmt: skip
PRODUCTS = rows(t.PRODUCTS, """
    product_id | base | quote | status | trading_disabled | recorded_at
    BTC-USD    | BTC  | USD   | online | false            | 2025-01-03
    BTC-USD    | BTC  | USD   | online | true             | 2025-01-04
    ADA-USD    | ADA  | USD   | online | false            | 2025-01-04
""")  # fmt: skip
COVERAGE = rows(t.CANDLE_COVERAGE, """
    product_id | since      | until      | asked_at   | final
    BTC-USD    | 2024-12-31 | 2025-01-04 | 2025-01-04 | true
""", **KNOWN)  # fmt: skip
COMMITS = rows(t.COMMITS, "recorded_at | what | changed\n 2025-01-04T00:09:00Z | postings | 9")

STATEMENTS = rows(t.STATEMENTS, """
    number          | state      | publication_id | supersedes      | issued_at
    ACME-2025-01-01 | superseded | 5              | -               | 2025-01-02
    ACME-2025-01-02 | final      | 6              | ACME-2025-01-01 | 2025-01-03
""", scope_of="entity", scope="acme", calendar="utc", as_of=instant("2025-01-02"), grouping="portfolio", known_at=instant("2025-01-02"),
    policies_sha256="00", software="0.1.0", issued_by="ann", manifest_sha256="00", envelope_sha256="00", bundle_sha256="00",
    pdf_sha256="00")  # fmt: skip

BOOK = {
    "publications": PUBLICATIONS, "portfolios": PORTFOLIOS, "accounts": ACCOUNTS, "calendars": CALENDARS, "openings": OPENINGS,
    "pulls": PULLS, "pages": PAGES, "postings": POSTINGS, "products": PRODUCTS, "candles": CANDLES, "candle_coverage": COVERAGE,
    "closed_days": CLOSED_DAYS, "daily_balances": DAILY_BALANCES, "daily_prices": DAILY_PRICES, "daily_values": DAILY_VALUES,
    "rates": RATES, "daily_rates": DAILY_RATES,
    "commits": COMMITS, "transfers": TRANSFERS, "statements": STATEMENTS,
}  # fmt: skip


def write(path: Path, book: dict[str, pl.DataFrame] = BOOK) -> Path:
    """All tables and views of the contract, tables of `book` filled, in a file that DuckDB 1.5 can open."""
    con = duckdb.connect()
    con.execute(f"ATTACH '{path}' AS candidate (STORAGE_VERSION 'v1.5.0')")
    con.execute("USE candidate")
    for table in t.TABLES.values():
        con.execute(table.ddl())
    for name, frame in book.items():
        con.register("frame", frame)
        con.execute(f'INSERT INTO "{name}" SELECT * FROM frame')
    con.close()
    with duckdb.connect(str(path)) as alone:
        create_views(alone)
    return path


def plant(path: Path, *statements: str) -> Path:
    """Changes a file as no code of ours would: constraints off, then the statements."""
    con = duckdb.connect(str(path))
    con.execute("SET TimeZone = 'UTC'")
    for table in t.TABLES.values():
        for column in table.columns:
            con.execute(f'ALTER TABLE "{table.name}" ALTER COLUMN "{column.name}" DROP NOT NULL')
    for statement in statements:
        con.execute(statement)
    con.close()
    return path
