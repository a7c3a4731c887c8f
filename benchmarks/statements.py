"""How long a statement of many accounts takes in each form: the invented January, and 10,000 accounts more. `make bench-statements`."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import polars as pl

from pipelines import filing
from pipelines.publications import Publication
from pipelines.statements import Answer, Question
from pipelines.tables import ACCOUNTS, OPENINGS, POSTINGS, Table
from tests.exports import january

FIRST = 100
"""The first number of an account that is added."""
KINDS = (("BTC", "crypto"), ("ETH", "crypto"), ("USDT", "stable"), ("USD", "fiat"))


def main(accounts: int) -> None:
    with tempfile.TemporaryDirectory(prefix="closebook-bench-") as folder:
        path = Path(folder) / "000412.duckdb"
        numbers = range(FIRST, FIRST + accounts)
        january.write(
            path,
            accounts=_more(ACCOUNTS, january.ACCOUNTS, (_account(n) for n in numbers)),
            openings=_more(OPENINGS, january.OPENINGS, ({"account_id": n} for n in numbers)),
            postings=_more(POSTINGS, january.POSTINGS, (_posting(n) for n in numbers)),
        )
        for form in filing.FORMS:
            with Publication(path) as source:
                began = time.perf_counter()
                size = len(filing.form_of(Answer(source, Question(january.CLOSE)), form))
                seconds = time.perf_counter() - began
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            sys.stdout.write(f"form={form} accounts={accounts} seconds={seconds:.2f} kb={size // 1024} peak_mb={peak}\n")


def _account(number: int) -> dict[str, object]:
    asset, kind = KINDS[number % len(KINDS)]
    return {"account_id": number, "portfolio": "treasury", "native_code": f"C{number}", "asset": asset, "asset_class": kind}


def _posting(number: int) -> dict[str, object]:
    return {"account_id": number, "event_id": str(number), "amount": Decimal(number), "balance_after": Decimal(number)}


def _more(table: Table, few: pl.DataFrame, rows: Iterable[dict[str, object]]) -> pl.DataFrame:
    """The table's rows, and more that are like its first one but for what is given."""
    like = few.row(0, named=True)
    return pl.concat([few, table.frame(like | row for row in rows)])


if __name__ == "__main__":
    main(int(sys.argv[1]))
