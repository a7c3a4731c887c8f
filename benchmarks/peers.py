"""The same rows by other means: pure DuckDB three ways, Polars, pandas, hledger.

All but `SQL_WHOLE` are given every benefit: they carry forward what the venue last reported, and look at no amount. `SQL_WHOLE`
makes what Closebook makes in any book: the balance from opening and amounts, beside the venue's own, and the row's marks.
"""

from __future__ import annotations

import subprocess
from datetime import date
from pathlib import Path
from typing import IO

import duckdb
import polars as pl

from pipelines.book import Facts
from pipelines.tables import DAILY_BALANCES, Table

_ROW = """
    SELECT calendar, day, account_id, as_of, reported AS balance, reported AS reported_balance, pending AS pending_balance, last_event_at,
        least(read_through, as_of) AS read_through, if(read_through >= as_of, 'NOT_TESTED', 'STALE') AS balance_status,
        'NOT_TESTED' AS movements_status, if(read_through >= as_of, NULL, 'READ_BEFORE_AS_OF') AS status_reasons
"""
_OPENED = """
    opened AS (
        SELECT account_id, amount, opened_at, read_through FROM accounts JOIN openings USING (account_id)
        JOIN (SELECT portfolio, subject AS native_code, max(read_through) AS read_through FROM pulls GROUP BY ALL)
            USING (portfolio, native_code)
    )
"""
_LIVE = "SELECT *, epoch_us(occurred_at) * 1024 + position AS place FROM postings WHERE retired_at IS NULL"
"""As-of joins and arg_max know one order only; without the position, of rows that share an instant any may win."""
SQL_ASOF = f"""
    WITH {_OPENED}, wanted AS (SELECT *, epoch_us(as_of) * 1024 AS edge FROM days CROSS JOIN opened WHERE opened_at < as_of)
    {_ROW} FROM (
        SELECT w.*, coalesce(p.balance_after, w.amount) AS reported, p.pending_after AS pending, p.occurred_at AS last_event_at
        FROM wanted w ASOF LEFT JOIN ({_LIVE}) p ON w.account_id = p.account_id AND p.place < w.edge
    ) ORDER BY calendar, day, account_id
"""
_LAST_OF_DAY = """
        SELECT account_id, occurred_at::DATE AS day, arg_max(balance_after, place) AS balance,
            arg_max(pending_after, place) AS pending, max(occurred_at) AS last_event_at
"""
_FILLED = """
            coalesce(last_value(l.balance IGNORE NULLS) OVER past, amount) AS reported,
            last_value(l.pending IGNORE NULLS) OVER past AS pending,
            last_value(l.last_event_at IGNORE NULLS) OVER past AS last_event_at
        FROM days CROSS JOIN opened LEFT JOIN last_of_day l USING (account_id, day)
        WINDOW past AS (PARTITION BY account_id ORDER BY day)
    ) ORDER BY calendar, day, account_id
"""
SQL_GROUP = f"""
    WITH {_OPENED}, last_of_day AS ({_LAST_OF_DAY} FROM ({_LIVE}) GROUP BY ALL)
    {_ROW} FROM (SELECT calendar, day, as_of, account_id, read_through, {_FILLED}
"""
SQL_WHOLE = f"""
    WITH {_OPENED}, last_of_day AS ({_LAST_OF_DAY}, sum(amount) AS moved FROM ({_LIVE}) GROUP BY ALL)
    SELECT calendar, day, account_id, as_of, balance, reported AS reported_balance, pending AS pending_balance, last_event_at,
        least(read_through, as_of) AS read_through, if(read_through >= as_of, 'NOT_TESTED', 'STALE') AS balance_status,
        'NOT_TESTED' AS movements_status,
        nullif(concat_ws(';', if(read_through < as_of, 'READ_BEFORE_AS_OF', NULL), if(balance <> reported, 'CHAIN_BREAK', NULL),
            if(balance < 0, 'NEGATIVE_BALANCE', NULL)), '') AS status_reasons
    FROM (
        SELECT calendar, day, as_of, account_id, read_through, (amount + coalesce(sum(moved) OVER past, 0))::DECIMAL(38,18) AS balance,
            {_FILLED}
"""


class Source:
    """A reader over an open connection."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con

    def read(self, table: Table, condition: str = "true", *params: object) -> pl.DataFrame:
        return table.conform(self.sql(f'SELECT * FROM "{table.name}" WHERE {condition}', *params))

    def sql(self, query: str, *params: object) -> pl.DataFrame:
        frame: pl.DataFrame = self._con.sql(query, params=list(params)).pl()
        return frame


def _postings(facts: Facts) -> pl.DataFrame:
    columns = "account_id, occurred_at, position, balance_after, pending_after"
    return facts.source.sql(f"SELECT {columns} FROM postings WHERE {facts.live}").sort("account_id", "occurred_at", "position")


def _finished(wanted: pl.DataFrame) -> pl.DataFrame:
    stale = pl.col("read_through") < pl.col("as_of")
    return wanted.with_columns(
        reported_balance=pl.coalesce("balance_after", "opening"),
        balance=pl.coalesce("balance_after", "opening"),
        pending_balance="pending_after",
        last_event_at="occurred_at",
        read_through=pl.min_horizontal("read_through", "as_of"),
        balance_status=pl.when(stale).then(pl.lit("STALE")).otherwise(pl.lit("NOT_TESTED")),
        movements_status=pl.lit("NOT_TESTED"),
        status_reasons=pl.when(stale).then(pl.lit("READ_BEFORE_AS_OF")),
    ).select(DAILY_BALANCES.schema.names())


def polars_asof(facts: Facts, days: pl.DataFrame) -> pl.DataFrame:
    """join_asof of all days of all accounts."""
    wanted = facts.held.join(days, how="cross").filter(pl.col("opened_at") < pl.col("as_of")).sort("account_id", "as_of")
    found = wanted.join_asof(
        _postings(facts), left_on="as_of", right_on="occurred_at", by="account_id", allow_exact_matches=False,
        check_sortedness=False, coalesce=False,
    )  # fmt: skip
    return _finished(found).sort("calendar", "day", "account_id")


def pandas_asof(facts: Facts, days: pl.DataFrame) -> pl.DataFrame:
    """merge_asof, on row numbers instead of amounts: pandas has no decimals."""
    import pandas as pd  # type: ignore[import-untyped]  # ships no types

    postings = _postings(facts)
    numbered = postings.select("account_id", "occurred_at").with_row_index("row").sort("occurred_at")
    wanted = facts.held.join(days, how="cross").filter(pl.col("opened_at") < pl.col("as_of")).sort("as_of")
    left = pd.DataFrame({name: wanted[name].to_numpy() for name in ("account_id", "as_of")})
    right = pd.DataFrame({name: numbered[name].to_numpy() for name in ("account_id", "occurred_at", "row")})
    merged = pd.merge_asof(left, right, left_on="as_of", right_on="occurred_at", by="account_id", allow_exact_matches=False)
    row = pl.Series(merged["row"].to_numpy(), nan_to_null=True).cast(pl.UInt32)
    return _finished(wanted.hstack(postings.drop("account_id").select(pl.all().gather(row)))).sort("calendar", "day", "account_id")


def journal(facts: Facts, entries: IO[str]) -> None:
    """Openings and postings as hledger reads them: one transaction an entry, without rounding."""
    for account, amount, at in facts.held.select("account_id", "opening", "opened_at").iter_rows():
        entries.write(f"{at:%Y-%m-%d} opening\n    a{account}  {amount:f} X\n    equity\n\n")
    postings = facts.source.sql(f"SELECT occurred_at, account_id, amount FROM postings WHERE {facts.live} ORDER BY ALL")
    for at, account, amount in postings.iter_rows():
        entries.write(f"{at:%Y-%m-%d} entry\n    a{account}  {amount:f} X\n    equity\n\n")


def hledger(file: Path, first: date, after: date) -> str:
    """The balance of every account at the end of every day, as CSV."""
    words = ["balance", "--daily", "--historical", "--empty", "--no-total", "-O", "csv", "-c", "1.000000000000000000 X"]
    asked = ["hledger", "-f", str(file), *words, "-b", f"{first}", "-e", f"{after}", "^a"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout
