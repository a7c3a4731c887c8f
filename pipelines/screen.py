"""What commands print: the book as a table, a run's outcome, an error. Files and numbers are made elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from pipelines import progress
from pipelines.book import Snapshot
from pipelines.errors import visible
from pipelines.exports.model import Completeness
from pipelines.exports.text import csv, instant, plain

WIDE = 220  # columns, where nobody's terminal says how many
NUMBERS = ("balance", "pending_balance", "price", "value", "our_balance", "difference", "our_price", "price_24", "price_25")
BY_PORTFOLIO = (
    "portfolio",
    "native_code",
    "asset",
    "balance",
    "pending_balance",
    "price",
    "currency",
    "value",
    "reason",
    "balance_status",
    "status_reasons",
)
REPORTING = ("reporting_value", "reporting_currency", "reporting_rate", "rate_date", "reporting_reason")
BY_ASSET = (
    "entity",
    "asset",
    "portfolios",
    "balance",
    "pending_balance",
    "price",
    "currency",
    "value",
    "reason",
    "balance_status",
    "status_reasons",
)


def console() -> Console:
    out = Console(highlight=False, markup=False, emoji=False)
    return out if out.is_terminal else Console(highlight=False, markup=False, emoji=False, width=WIDE)


def show_book(snapshot: Snapshot, by: str) -> None:
    """The book, its priced subtotals per currency and basis, and what has no price."""
    out = console()
    out.print(
        f"The book before {instant(snapshot.as_of)}, as known at {instant(snapshot.known_at)}, publication {snapshot.publication_id}."
    )
    if snapshot.rows.is_empty():
        out.print("No account was in the book at that instant.")
        return
    rows = snapshot.rows if by == "portfolio" else snapshot.by_asset()
    told = [name for name in rows.columns if name in REPORTING]
    out.print(table(rows.select(*(BY_PORTFOLIO if by == "portfolio" else BY_ASSET), *told)))
    for row in plain(snapshot.subtotals()).to_dicts():
        out.print(f"Priced subtotal of {row['entity']}: {row['currency']} {row['value']} ({row['price_basis']}, {row['rows']} rows)")
    for row in plain(snapshot.in_reporting_currency()).to_dicts() if told else ():
        out.print(
            f"All of {row['entity']} in {row['reporting_currency']}: {row['reporting_value']} "
            f"({row['rows']} rows; {row['left_out']} that hold something have no value in it)"
        )
    for row in plain(snapshot.unpriced()).to_dicts():
        out.print(visible(f"Unpriced: {row['portfolio']} {row['native_code']} {row['balance']} ({row['reason']})"))


PROOF = (
    "portfolio", "native_code", "opening", "document", "entries", "pages", "first_event_at", "last_event_at", "breaks", "read_through",
    "live_balance", "computed_balance", "tie_out", "balance_status", "movements_status", "status_reasons",
)  # fmt: skip


def show_proof(report: Completeness) -> None:
    """What is behind each balance; exceptions and checks in one line each."""
    out = console()
    stale = report.accounts.filter(balance_status="STALE")["portfolio"].unique().sort().to_list()
    stale += report.population.filter(pl.col("accounts") == 0, pl.col("read_through").is_null())["portfolio"].to_list()
    count = report.population.height
    print(f"Portfolios: {count} in the book, not read through the newest cut-off: {', '.join(stale) or 'none'}.")
    missing = ", ".join(f"{row['venue']} {row['name']}" for row in report.not_configured.to_dicts())
    print(f"At the venues and not configured: {visible(missing) or 'none'}.")
    out.print(table(report.accounts.select(PROOF)))
    print("An unbroken chain proves net change, not that every gross movement is present: two rows that cancel can be missing together.")
    needed, read = (report.prices[f"hours_{word}"].sum() for word in ("needed", "read"))
    accepted = report.exceptions.filter(state="ACCEPTED").height
    print(f"Prices: {read} of {needed} hours read. Exceptions: {report.exceptions.height - accepted} open, {accepted} accepted.")


@contextmanager
def pulling(out: Console | None = None) -> Iterator[None]:
    """While the block lasts, a bar per portfolio on a terminal; elsewhere nothing, so that logs stay logs."""
    out = out or Console(stderr=True)
    if not out.is_terminal:
        yield
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pages]} pages"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=out, transient=True, redirect_stdout=False) as bars, progress.listening(_Bars(bars)):
        yield


class _Bars:
    """A bar a subject, as long as it has walks ahead."""

    def __init__(self, bars: Progress) -> None:
        self._bars, self._tasks = bars, dict[str, TaskID]()

    def begin(self, subject: str, walks: int) -> None:
        self._bars.update(self._task(subject), total=walks)

    def page(self, subject: str) -> None:
        task = self._task(subject)
        self._bars.update(task, pages=self._bars.tasks[task].fields["pages"] + 1)

    def walked(self, subject: str) -> None:
        self._bars.advance(self._task(subject))

    def _task(self, subject: str) -> TaskID:
        if subject not in self._tasks:
            self._tasks[subject] = self._bars.add_task(subject, total=None, pages=0)
        return self._tasks[subject]


def show_comparison(rows: pl.DataFrame, refused: pl.DataFrame, form: str) -> None:
    """The venue's report beside the book; what could not be read stands below."""
    if form == "csv":
        print(csv(rows), end="")
        _show_refused(Console(stderr=True), refused)
        return
    held = rows.filter((pl.col("balance") != 0) | (pl.col("our_balance") != 0).fill_null(True) | (pl.col("balance_label") != "EXACT"))
    if set(held["price_label"].drop_nulls()) <= {"EXACT"}:  # nothing is left for the other rules to explain
        held = held.drop("our_basis", "price_24", "price_25")
    out = console()
    out.print(table(held))
    out.print(f"{rows.height - held.height} more codes are at zero on both sides." if rows.height > held.height else "", end="\n")
    for what in ("balance_label", "price_label"):
        counts = rows[what].drop_nulls().value_counts().sort(what).iter_rows()
        out.print(f"{what.removesuffix('_label').capitalize()}s: " + ", ".join(f"{n} {label}" for label, n in counts) + ".")
    _show_refused(out, refused)


def _show_refused(out: Console, refused: pl.DataFrame) -> None:
    for row in refused.to_dicts():
        out.print(Text(f"Not read: {row['row']} ({row['reason']})"))


def table(frame: pl.DataFrame) -> Table:
    """A frame as it stands, every digit, nulls empty."""
    drawn = Table(show_edge=False, pad_edge=False)
    for name in frame.columns:
        drawn.add_column(name, justify="right" if name in NUMBERS else "left", overflow="fold")
    for row in plain(frame).iter_rows():
        drawn.add_row(*("" if cell is None else Text(visible(str(cell))) for cell in row))
    return drawn


def show_run(facts: Mapping[str, Mapping[str, Any]]) -> None:
    """What a run pulled, closed and published."""
    pulled, candles, values = (facts.get(asset, {}) for asset in ("pages", "candle_pages", "daily_values"))
    closed = {asset: facts.get(asset, {}) for asset in ("daily_balances", "daily_prices", "daily_values")}
    changes = ", ".join(f"{name} {f['rows_written']} written {f['rows_removed']} removed" for name, f in closed.items() if f)
    if rebuilt := facts.get("postings", {}).get("rebuilt"):
        print(rebuilt)
    print(f"Pulled {pulled.get('pages', 0)} pages of balances and history, {candles.get('pages', 0)} of candles.")
    print(f"Closed {values.get('days_closed', 0)} days: {changes}.")
    if published := facts.get("publication"):
        print(f"Published {published['publication_id']}: {published['path']}")
    elif "candidate" not in facts:
        print("Nothing new: the last publication stands.")


def show_violations(rule: str, metadata: Mapping[str, Any]) -> None:
    """A check that found something: the rule, how much, and the rows."""
    print(
        f"{metadata.get('weight')} {rule}: {metadata.get('violations')} of {metadata.get('looked_at')} looked at.",
        metadata.get("message", ""),
    )
    if metadata.get("weight") == "BLOCK" and metadata.get("rows"):
        print(visible(metadata["rows"], keep="\n"))
