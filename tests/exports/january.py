"""January of an invented firm: three portfolios, and an entity of its own, in which every line is awkward on purpose."""

# ruff: noqa: E501  # a text table is read across

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl

from pipelines import publications
from pipelines import tables as t
from pipelines.book import Facts
from pipelines.publications import Publication
from pipelines.stages.days import days
from pipelines.stages.transfers import transfers
from pipelines.stages.valuations import daily_values
from tests.ledger_text import D, instant, rows

OPEN, CLOSE = instant("2025-01-01"), instant("2025-02-01")
KNOWN = {"recorded_at": instant("2025-02-03T07:59:00Z")}

PORTFOLIOS = rows(t.PORTFOLIOS, """
    portfolio | entity | venue      | venue_id
    treasury  | acme   | coinbase   | 75da88c5-05bf-4f54-bc85-5c775bd68254
    perps     | acme   | pacifica   | 42trU9A5gfjQrGbLZq7YF9bpS1mTYGJUA1mZP4Z6wTzT
    shop      | acme   | cryptofuse | -
    vault     | zeta   | coinbase   | 86602c68-306a-4500-ac73-4ce56a91d83c
""", **KNOWN)  # fmt: skip
ACCOUNTS = rows(t.ACCOUNTS, """
    account_id | portfolio | native_code | asset | network  | asset_class
    1          | treasury  | BTC         | BTC   | -        | crypto
    2          | treasury  | ETH         | ETH   | -        | crypto
    3          | treasury  | USD         | USD   | -        | fiat
    4          | treasury  | EUR         | EUR   | -        | fiat
    5          | treasury  | XYZ         | XYZ   | -        | crypto       # has no USD pair
    6          | treasury  | SOL         | SOL   | -        | crypto       # holds nothing
    7          | perps     | USDC        | USDC  | -        | stable       # priced by policy
    8          | shop      | ETH         | ETH   | ethereum | crypto
    9          | shop      | USDTERC20   | USDT  | ethereum | stable
    10         | shop      | USDTTRC20   | USDT  | tron     | stable
    11         | shop      | WAT         | -     | -        | unknown      # nothing maps it; it owes
    12         | vault     | BTC         | BTC   | -        | crypto       # nobody knows what it began with
    13         | vault     | GBP         | GBP   | -        | fiat
""", **KNOWN)  # fmt: skip
OPENINGS = rows(t.OPENINGS, """
    account_id | kind                  | amount | opened_at  | document
    1          | INCEPTION             | 0      | 2024-03-01 | -
    2          | INCEPTION             | 0      | 2024-03-01 | -
    3          | INCEPTION             | 0      | 2024-03-01 | -
    4          | INCEPTION             | 0      | 2024-03-01 | -
    5          | DERIVED_LIVE          | 5000   | 1970-01-01 | -
    6          | DERIVED_LIVE          | 0      | 1970-01-01 | -
    7          | ASSERTED              | 79000  | 2024-12-15 | doc17.pdf
    8          | DERIVED_FIRST_POSTING | 3      | 2025-01-04 | -            # opened within the month
    9          | DERIVED_FIRST_POSTING | 0      | 2024-12-30 | -
    10         | DERIVED_FIRST_POSTING | 0      | 2024-12-30 | -
    11         | DERIVED_FIRST_POSTING | 0      | 2025-01-20 | -
    12         | UNKNOWN               | -      | 2024-12-31 | -
    13         | INCEPTION             | 0      | 2024-12-31 | -
""", **KNOWN)  # fmt: skip
POSTINGS = rows(t.POSTINGS, """
    account_id | occurred_at                 | position | event_id | event_type         | amount      | balance_after | pending_after | recorded_at          | retired_at
    1          | 2024-06-01                  | 0        | 1        | transfer           | 12          | 12            | -             | 2025-02-03T07:59:00Z | -
    1          | 2025-01-10T10:00:00.500000Z | 0        | 2        | match              | 0.6         | 12.6          | -             | 2025-02-03T07:59:00Z | -
    1          | 2025-01-11                  | 0        | 3        | match              | -0.1        | 12.5          | -             | 2025-02-03T07:59:00Z | -
    1          | 2025-01-12                  | 0        | 4        | match              | -3          | 9.5           | -             | 2025-01-20           | 2025-01-25   # taken back
    1          | 2025-02-01                  | 0        | 5        | transfer           | 100         | 112.5         | -             | 2025-02-03T07:59:00Z | -            # the cut-off itself does not count
    2          | 2024-06-01                  | 0        | 6        | transfer           | 90          | 90            | -             | 2025-02-03T07:59:00Z | -
    2          | 2025-01-05                  | 0        | 7        | transfer           | 20          | 110           | -             | 2025-02-03T07:59:00Z | -
    2          | 2025-01-06                  | 0        | 8        | match              | 15          | 125           | -             | 2025-02-03T07:59:00Z | -
    2          | 2025-01-06                  | 1        | 9        | fee                | -0.1        | 124.9         | -             | 2025-02-03T07:59:00Z | -
    2          | 2025-01-20                  | 0        | 10       | match              | -22.9       | 102           | -             | 2025-02-03T07:59:00Z | -
    2          | 2025-01-31T23:58:00Z        | 0        | 11       | transfer           | -2          | 100           | -             | 2025-02-03T07:59:00Z | -
    3          | 2024-06-01                  | 0        | 12       | transfer           | 250000.015  | 250000.015    | -             | 2025-02-03T07:59:00Z | -            # a cent and a half
    4          | 2024-06-01                  | 0        | 13       | transfer           | 40000       | 40000         | -             | 2025-02-03T07:59:00Z | -
    7          | 2024-12-10                  | 0        | -        | deposit            | 1           | 5             | 0             | 2025-02-03T07:59:00Z | -            # before its opening
    7          | 2025-01-02                  | 0        | -        | deposit            | 1500        | 80500         | 0             | 2025-02-03T07:59:00Z | -
    7          | 2025-01-03                  | 0        | -        | trade              | 450.25      | 80950.25      | 0             | 2025-02-03T07:59:00Z | -
    7          | 2025-01-04                  | 0        | -        | funding            | -49.25      | 80901         | 0             | 2025-02-03T07:59:00Z | -
    7          | 2025-01-05                  | 0        | -        | withdraw           | -1000       | 79901         | 0             | 2025-02-03T07:59:00Z | -
    7          | 2025-01-12T10:04:17Z        | 0        | -        | payout             | 100         | 79989         | 0             | 2025-02-03T07:59:00Z | -            # 12 are missing before it
    7          | 2025-01-13                  | 0        | -        | subaccount_transfer| -10         | 79979         | 25            | 2025-02-03T07:59:00Z | -
    7          | 2025-01-14                  | 0        | -        | spin_the_wheel     | 21          | 80000         | 25            | 2025-02-03T07:59:00Z | -            # a type nobody knows
    8          | 2025-01-04                  | 0        | -        | deposit            | 2.123456    | 5.123456      | -             | 2025-02-03T07:59:00Z | -
    8          | 2025-02-01T00:06:00Z        | 0        | -        | deposit            | 2           | 7.123456      | -             | 2025-02-03T07:59:00Z | -            # what the treasury sent before the cut-off
    9          | 2024-12-30                  | 0        | -        | deposit            | 5000        | 5000          | -             | 2025-02-03T07:59:00Z | -
    10         | 2024-12-30                  | 0        | -        | deposit            | 10000       | 10000         | -             | 2025-02-03T07:59:00Z | -
    11         | 2025-01-20                  | 0        | -        | withdrawal         | -7          | -7            | -             | 2025-02-03T07:59:00Z | -
    12         | 2025-01-20                  | 0        | 14       | transfer           | 1           | 4             | -             | 2025-02-03T07:59:00Z | -
    13         | 2025-01-02                  | 0        | 15       | transfer           | 1000.10     | 1000.10       | -             | 2025-02-03T07:59:00Z | -
""", page_sha256="5f" * 32)  # fmt: skip
PULLS = rows(t.PULLS, "portfolio | subject\n" + "\n".join(f"{p} | {c}" for p, c in ACCOUNTS.select("portfolio", "native_code").rows() if c != "SOL"),
    kind="ACCOUNT", read_through=instant("2025-02-03T07:58:00Z"), asked_at=instant("2025-02-03T07:58:00Z"), batch="aa", **KNOWN)  # fmt: skip
PRODUCTS = rows(t.PRODUCTS, """
    product_id | base | quote
    BTC-USD    | BTC  | USD
    ETH-USD    | ETH  | USD
    SOL-USD    | SOL  | USD
    USDT-USD   | USDT | USD
    XYZ-EUR    | XYZ  | EUR
""", status="online", trading_disabled=False, **KNOWN)  # fmt: skip
POLICIES = rows(t.POLICIES, """
    name     | asset | exclude | price | currency | since      | until | approver
    usdc_peg | USDC  | false   | 1     | USD      | 2024-12-31 | -     | controller
""", **KNOWN)  # fmt: skip
VENUE_BALANCES = rows(t.VENUE_BALANCES, """
    portfolio | native_code | scope   | amount | recorded_at
    treasury  | BTC         | account | 112.5  | 2025-02-03T07:59:00Z
    treasury  | BTC         | hold    | 0.5    | 2025-02-03T07:58:00Z
    treasury  | BTC         | hold    | 0.25   | 2025-02-03T07:59:00Z
    treasury  | ETH         | hold    | 0      | 2025-02-03T07:59:00Z
""", asked_at=instant("2025-02-03T07:58:00Z"))  # fmt: skip
CALENDARS = rows(t.CALENDARS, "calendar | timezone | cut_off\n utc | UTC | 00:00\n new_york | America/New_York | 17:00")
PUBLICATIONS = rows(t.PUBLICATIONS, """
    publication_id | known_through        | built_at             | software        | book_start
    412            | 2025-02-03T08:00:00Z | 2025-02-03T08:01:00Z | closebook 0.0.0 | 2025-01-01
""")  # fmt: skip
START = {"BTC-USD": "98000", "ETH-USD": "3350", "USDT-USD": "0.9998", "SOL-USD": "200"}


def candles() -> pl.DataFrame:
    """An hour of trading for every hour of the month and the day before it, a little dearer every hour."""
    made = []
    for product, first in START.items():
        for hour in range(32 * 24):
            close = D(first) * (1 + (D(hour % 48) - 20) / 10_000) if product != "USDT-USD" else D(first)
            made.append({"product_id": product, "start": OPEN + timedelta(hours=hour - 24), "close": close, "volume": D(1 + hour % 7) / 4})
    fill = {name: D(1) for name in ("low", "high", "open")}
    return t.CANDLES.frame({**row, **fill, **KNOWN, "retired_at": None} for row in made)


COVERAGE = rows(
    t.CANDLE_COVERAGE, "product_id\n" + "\n".join(START), since=instant("2024-12-31"), until=CLOSE, asked_at=CLOSE, final=True, **KNOWN
)
DAYS = days(CALENDARS, date(2025, 1, 1), date(2025, 1, 31))
BOOK = {
    "publications": PUBLICATIONS, "portfolios": PORTFOLIOS, "accounts": ACCOUNTS, "calendars": CALENDARS, "policies": POLICIES,
    "openings": OPENINGS, "pulls": PULLS, "postings": POSTINGS, "venue_balances": VENUE_BALANCES, "products": PRODUCTS,
    "candle_coverage": COVERAGE,
}  # fmt: skip


def write(path: Path, **changed: pl.DataFrame) -> Path:
    """All tables in a file, as a publication holds them; the closed days are closed by the stages."""
    book = {**BOOK, "candles": candles(), **changed}
    book["transfers"] = matched(book["postings"], book["accounts"], book["portfolios"])
    con = duckdb.connect(str(path))
    for table in t.TABLES.values():
        con.execute(table.ddl())
    _fill(con, book)
    con.close()
    with Publication(path) as source:
        closed = close(Facts.of(source))
    con = duckdb.connect(str(path))
    _fill(con, closed)
    publications.create_views(con)
    con.close()
    return path


def matched(postings: pl.DataFrame, accounts: pl.DataFrame, portfolios: pl.DataFrame) -> pl.DataFrame:
    """What moved between own portfolios."""
    named = accounts.join(portfolios.select("portfolio", "entity", "venue"), on="portfolio")
    return t.TRANSFERS.conform(transfers(postings.filter(pl.col("retired_at").is_null()).lazy(), named.lazy()))


def close(facts: Facts) -> dict[str, pl.DataFrame]:
    """The days of January."""
    balances, prices = facts.balances(DAYS).collect(), facts.prices(DAYS).collect()
    values = daily_values(balances.lazy(), prices.lazy(), facts.accounts).collect()
    return {
        "closed_days": t.CLOSED_DAYS.conform(
            DAYS.with_columns(pl.lit(KNOWN["recorded_at"], t.INSTANT).alias(n) for n in ("recorded_at", "touched_at"))
        ),
        "daily_balances": t.DAILY_BALANCES.conform(balances),
        "daily_prices": t.DAILY_PRICES.conform(prices),
        "daily_values": t.DAILY_VALUES.conform(values),
    }


def _fill(con: duckdb.DuckDBPyConnection, book: dict[str, pl.DataFrame]) -> None:
    for name, frame in book.items():
        con.register("frame", frame)
        con.execute(f'INSERT INTO "{name}" SELECT * FROM frame')
