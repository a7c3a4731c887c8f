"""The book at an instant → statements in every form, and the files they are written to. A file is never overwritten.

What is on a statement is decided here, from `book` and `evidence`; how it reads, by `exports`. Other bytes for the same scope and
instant are the next version.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from inspect import getsource
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import polars as pl

from pipelines import __version__, publications, recompute, verify
from pipelines.book import Reader, Snapshot, at, instant_of, newest_instants
from pipelines.errors import UsageError
from pipelines.evidence import Evidence
from pipelines.exports import movements, paper, tabular, text
from pipelines.exports.bundle import MANIFEST, bundle, is_packed
from pipelines.exports.display import instant
from pipelines.exports.model import Heading, RollForward, Statement
from pipelines.exports.sheet import sheet
from pipelines.home import Home, machine_errors, write_atomically
from pipelines.stages import rollforward, totals
from pipelines.stages import statements as lines
from pipelines.tables import CALENDARS, PORTFOLIOS
from pipelines.telling import telling

By = Literal["portfolio", "asset"]
Format = Literal["csv", "json", "pdf", "xlsx", "parquet", "bundle"]
TextFormat = Literal["csv", "json"]
FORMS: tuple[Format, ...] = ("csv", "json", "pdf", "xlsx", "parquet")
EXTENSIONS = {"bundle": "zip"}

_LIVE = """
    SELECT portfolio, native_code, scope, amount, asked_at FROM venue_balances
    WHERE recorded_at <= ? AND scope <> 'account'
    QUALIFY row_number() OVER (PARTITION BY portfolio, native_code, scope ORDER BY recorded_at DESC, asked_at DESC) = 1
    ORDER BY portfolio, scope, native_code
"""


@dataclass(frozen=True)
class Question:
    """What is asked: equal questions of equal publications have equal answers."""

    as_of: datetime
    known_at: datetime | None = None
    portfolio: str | None = None
    by: By = "portfolio"
    calendar: str = "utc"
    since: datetime | None = None

    @property
    def scope(self) -> str:
        return self.portfolio or "all"


@dataclass(frozen=True)
class Answer:
    """One question put to one publication; each part is found when a form needs it."""

    source: Reader
    question: Question

    @cached_property
    def snapshot(self) -> Snapshot:
        return at(self.source, self.question.as_of, self.question.known_at, self.question.portfolio)

    @cached_property
    def evidence(self) -> Evidence:
        return Evidence(self.source, self.snapshot.as_of, self.snapshot.known_at, self.question.portfolio)

    @cached_property
    def heading(self) -> Heading:
        s, q = self.snapshot, self.question
        close = closing_words(self.source, s.as_of, q.calendar)
        policies = hashlib.sha256(text.csv(self.evidence.policies).encode()).hexdigest()
        return Heading(q.scope, s.as_of, s.known_at, close, s.publication_id, f"closebook {__version__}", policies)

    @cached_property
    def statement(self) -> Statement:
        s, e = self.snapshot, self.evidence
        printed_rows = totals.printed(s.rows.lazy()).collect()
        return Statement(
            heading=self.heading,
            by=self.question.by,
            accounts=printed_rows,
            assets=totals.printed(s.by_asset().lazy()).collect(),
            classes=dict(e.accounts.filter(pl.col("asset").is_not_null()).select("asset", "asset_class").iter_rows()),
            totals=totals.totals((s.rows if self.question.by == "portfolio" else s.by_asset()).lazy()).collect(),
            subtotals=s.subtotals(),
            unpriced=s.unpriced(),
            zero=s.rows.filter(pl.col("balance") == 0).select("entity", "venue", "portfolio", "native_code", "asset"),
            portfolios=self._portfolios(),
            live=self._live(),
            prices=e.prices,
            policies=e.policies,
            controls=self._controls(),
            history=e.history(self.question.calendar),
        )

    @cached_property
    def roll_forward(self) -> RollForward:
        since, e = self._since(), self.evidence
        facts = (e.entries, e.opened, e.accounts.lazy(), since, e.as_of)
        rows = rollforward.require_identity(rollforward.rollforward(*facts))
        bridge = rollforward.bridge(rows.lazy(), e.prices_at(since), e.prices_at(e.as_of))
        amounts = {f"printed_{name}": name for name in rollforward.BRIDGE_VALUES}
        return RollForward(
            heading=self.heading,
            since=since,
            opened=closing_words(self.source, since, self.question.calendar),
            rows=rows,
            columns=tuple(rollforward.columns(rows)),
            bridge=totals.printed(bridge, **amounts).collect(),
            bridge_totals=totals.printed(rollforward.bridge_totals(bridge), **amounts).collect(),
            own_transfers=rollforward.own_transfers(rows.lazy()).collect(),
            annex=rollforward.annex(*facts).collect(),
        )

    def _since(self) -> datetime:
        since = self.question.since
        if since is None or since >= self.question.as_of:
            raise UsageError("A roll-forward leads from an earlier instant to a later one.", "Give --from an instant before the as-of.")
        return since

    def _portfolios(self) -> pl.DataFrame:
        """The portfolios in scope that were configured at K, each with what its accounts are read through."""
        q, known = self.question, self.source.read(PORTFOLIOS, "recorded_at <= ?", self.snapshot.known_at)
        read = self.evidence.read_through.group_by("portfolio").agg(pl.col("read_through").min())
        return (
            known.filter(pl.col("portfolio") == q.portfolio if q.portfolio else True)
            .join(read, on="portfolio", how="left")
            .select("entity", "venue", "portfolio", "venue_id", "read_through")
            .sort("entity", "venue", "portfolio")
        )

    def _live(self) -> pl.DataFrame:
        q = self.question
        newest = self.source.sql(_LIVE, self.snapshot.known_at)
        return newest.filter(pl.col("amount") != 0, pl.col("portfolio") == q.portfolio if q.portfolio else True)

    def _controls(self) -> Mapping[str, int | str]:
        """Counts by which a copy of the statement is checked."""
        rows, known = self.snapshot.rows, self.source.read(PORTFOLIOS, "recorded_at <= ?", self.snapshot.known_at).height
        counts = {
            f"{kind} {word}": int((rows[f"{kind}_status"] == word).sum()) for kind in ("balance", "movements") for word in lines.WORST_LAST
        }
        return {
            "portfolios": f"{self._portfolios().height} of {known} known portfolios",
            "accounts": rows.height,
            "entries before the instant": self.evidence.entries.select(pl.len()).collect().item(),
            "priced": int(rows["value"].is_not_null().sum()),
            "unpriced": self.snapshot.unpriced().height,
            "at zero": int((rows["balance"] == 0).sum()),
            "without a balance": rows["balance"].null_count(),
            "marked": int(rows["status_reasons"].is_not_null().sum()),
            **{name: count for name, count in counts.items() if count},
            "refused rows in suspense": self.evidence.suspense.height,
            "rows sha256": hashlib.sha256(text.csv(rows).encode()).hexdigest(),
        }


def closing_words(source: Reader, as_of: datetime, calendar: str) -> str:
    """The close of a day where one of the calendar ends at the instant; else only what is in and what is not."""
    entries = f"all entries before {instant(as_of)}"
    for found in source.read(CALENDARS, "calendar = ?", calendar).to_dicts():
        local = as_of.astimezone(ZoneInfo(found["timezone"])).date()
        for day in (local, local - timedelta(days=1)):
            if instant_of(source, day, calendar) == as_of:
                where = found["timezone"] + (f" {found['cut_off']}" if found["cut_off"] != "00:00" else "")
                return f"Close of {day.day} {day:%b %Y} ({where}): {entries}"
    return entries[0].upper() + entries[1:]


def body(snapshot: Snapshot, by: By, form: TextFormat) -> str:
    """A snapshot's text, as the command of that name prints it."""
    rows = snapshot.rows if by == "portfolio" else snapshot.by_asset()
    if form == "csv":
        return text.csv(rows)
    about = {"publication": snapshot.publication_id, "as_of": snapshot.as_of, "known_at": snapshot.known_at, "by": by}
    return text.to_json(about, rows=rows, subtotals=snapshot.subtotals(), unpriced=snapshot.unpriced())


def form_of(answer: Answer, form: Format) -> bytes:
    """The statement, or the roll-forward where the question has a beginning; a bundle holds both."""
    q = answer.question
    if form == "bundle":
        return bundled(answer)
    if form == "csv":  # needs the rows and nothing beside them
        if q.since is not None:
            return tabular.csv(answer.roll_forward.rows)
        return tabular.csv(answer.snapshot.rows if q.by == "portfolio" else answer.snapshot.by_asset())
    return _rendered(answer.statement if q.since is None else answer.roll_forward, form)


def _rendered(document: Statement | RollForward, form: Format) -> bytes:
    if form == "csv":
        return tabular.csv(document.rows)
    if form == "json":
        return tabular.json_of(document)
    if form == "parquet":
        return tabular.parquet(document)
    if form == "xlsx":
        return sheet(document)
    return paper.pdf(document) if isinstance(document, Statement) else movements.pdf(document)


def bundled(answer: Answer) -> bytes:
    """One .zip: every form, the evidence behind them, the manifest and the verifier."""
    statement, evidence = answer.statement, answer.evidence
    files = {f"statement.{form}": _rendered(statement, form) for form in FORMS if form != "csv"}
    files |= {f"by_{by}.csv": tabular.csv(replace(statement, by=by).rows) for by in ("portfolio", "asset")}
    if answer.question.since is not None:
        files |= {f"roll_forward.{form}": _rendered(answer.roll_forward, form) for form in FORMS}
        files["evidence/event_columns.csv"] = tabular.csv(answer.roll_forward.annex)
    tables = ("accounts", "openings", "postings", "candles", "prices", "policies", "read_through", "daily_values", "suspense")
    files |= {f"evidence/{name}.csv": tabular.csv(getattr(evidence, name)) for name in tables}
    files["evidence/history.csv"] = tabular.csv(statement.history)
    files |= {"verify.py": getsource(verify).encode(), "recompute.py": getsource(recompute).encode()}
    about = dict(tabular.about(statement)) | ({"from": answer.question.since} if answer.question.since else {})
    return bundle(about, files)


def issue(source: Reader, question: Question, form: Format, folder: Path, both: bool) -> list[Path]:
    """Write what is asked: the statement, or the roll-forward where there is a beginning, or both of them; a bundle holds all in one."""
    asked = [question]
    if both and question.since is not None and form != "bundle":
        asked = [replace(question, since=None), question]
    return [write(Answer(source, q), form, folder) for q in asked]


def write(answer: Answer, form: Format, folder: Path) -> Path:
    """`<scope>_<by>_<as_of>_v<n>.<ext>`; the file that already says the same is the answer."""
    q = answer.question
    what = q.by if q.since is None else f"rollforward-{q.since:%Y%m%dT%H%M%SZ}"
    return _keep(form_of(answer, form), f"{q.scope}_{what}", q.as_of, EXTENSIONS.get(form, form), folder)


def _keep(content: bytes, stem: str, as_of: datetime, extension: str, folder: Path) -> Path:
    version = 1
    with machine_errors(f"The statement cannot be written to {folder}"):
        while (path := folder / f"{stem}_{as_of:%Y%m%dT%H%M%SZ}_v{version}.{extension}").exists():
            if path.read_bytes() == content:
                return path
            version += 1
        write_atomically(path, content)
    return path


def of_day(source: Reader, as_of: datetime, folder: Path) -> list[Path]:
    """One CSV per portfolio, and one by asset over all of them."""
    everything = at(source, as_of)
    single = {name: everything.rows.filter(pl.col("portfolio") == name) for name in sorted(set(everything.rows["portfolio"]))}
    made = [_keep(tabular.csv(rows), f"{name}_portfolio", as_of, "csv", folder) for name, rows in single.items()]
    return [*made, _keep(tabular.csv(everything.by_asset()), "all_asset", as_of, "csv", folder)]


def of_newest_days(home: Home) -> list[Path]:
    """The statements of the newest closed days; what lies there already is the answer. None before a publication that can be read."""
    if publications.known_through(home) is None:
        return []
    with publications.newest(home) as newest:
        return [path for as_of in newest_instants(newest) for path in _of_told_day(home, newest, as_of)]


def _of_told_day(home: Home, newest: publications.Publication, as_of: datetime) -> list[Path]:
    with telling(home, newest, as_of) as told:
        return of_day(told, as_of, home.statements)


def first_difference(path: Path) -> str:
    """What differs first in a bundle (the .zip or its unpacked folder), in words; empty where nothing does."""
    try:
        return verify.first_difference(path) or ("" if path.is_dir() or is_packed(path.read_bytes()) else path.name)
    except (OSError, LookupError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile) as strange:
        if path.is_file() and MANIFEST.encode() in path.read_bytes():
            return f"{path.name} ({strange})"
        why = f"it has no {strange}" if isinstance(strange, KeyError) else strange
        raise UsageError(f"{path} is no bundle: {why}.", "Name a .zip that closebook made, or the folder it was unpacked to.") from None


def month(source: Reader, first: date, calendar: str) -> tuple[datetime, datetime]:
    """The instants at which the month that begins on `first` opens and closes."""
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return instant_of(source, first - timedelta(days=1), calendar), instant_of(source, last, calendar)
