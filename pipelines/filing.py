"""Answers → files in every form, and the bundle that holds them all. A file is never overwritten.

Other bytes for the same scope and instant are the next version. What stands in them is decided by `statements`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from inspect import getsource
from pathlib import Path
from typing import Literal

import polars as pl

from pipelines import publications, recompute, verify
from pipelines.book import Reader, Snapshot, at, newest_instants
from pipelines.config import Statements
from pipelines.envelopes import ENVELOPE, Envelope, broken_link, require_key
from pipelines.errors import UsageError
from pipelines.exports import changes, movements, paper, proven, tabular, text
from pipelines.exports.bundle import MANIFEST, bundle, is_packed
from pipelines.exports.model import Difference, RollForward, Statement
from pipelines.exports.sheet import sheet
from pipelines.home import Home, machine_errors, write_atomically
from pipelines.proof import completeness
from pipelines.revisions import difference
from pipelines.statements import Answer, By, Question
from pipelines.tables import PORTFOLIOS
from pipelines.telling import telling

Format = Literal["csv", "json", "pdf", "xlsx", "parquet", "bundle"]
TextFormat = Literal["csv", "json"]
FORMS: tuple[Format, ...] = ("csv", "json", "pdf", "xlsx", "parquet")
EXTENSIONS = {"bundle": "zip"}
EVIDENCE = (
    "accounts", "openings", "postings", "adjustments", "candles", "prices", "policies", "read_through", "daily_values", "suspense",
)  # fmt: skip
"""Tables of a bundle's evidence, by their names there."""


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


def _rendered(document: tabular.Document, form: Format) -> bytes:
    if form == "csv":
        return tabular.csv(document.rows)
    if form == "json":
        return tabular.json_of(document)
    if form == "parquet":
        return tabular.parquet(document)
    return sheet(document) if form == "xlsx" else _printed(document)


def _printed(document: tabular.Document) -> bytes:
    if isinstance(document, Statement):
        return paper.pdf(document)
    if isinstance(document, RollForward):
        return movements.pdf(document)
    return changes.pdf(document) if isinstance(document, Difference) else proven.pdf(document)


def bundled(answer: Answer) -> bytes:
    """One .zip: every form, the evidence behind them, the manifest and the verifier."""
    return bundle(about(answer), contents(answer))


def about(answer: Answer) -> dict[str, object]:
    """What the manifest says of a bundle."""
    since = answer.question.since
    return dict(tabular.about(answer.statement)) | ({"from": since} if since else {})


def contents(answer: Answer) -> dict[str, bytes]:
    """The files of a bundle, but for the manifest."""
    files = _tables(answer)
    changed = difference(answer.heading, answer.superseded, files) if answer.superseded else None
    statement = replace(answer.statement, difference=changed)
    files |= {f"statement.{form}": _rendered(statement, form) for form in FORMS if form != "csv"}
    if answer.question.since is not None:
        files |= {f"roll_forward.{form}": _rendered(answer.roll_forward, form) for form in FORMS}
    report = completeness(answer)
    files |= {f"completeness.{form}": _rendered(report, form) for form in FORMS if form != "parquet"}
    if changed:
        files |= {f"difference.{form}": _rendered(changed, form) for form in FORMS if form != "parquet"}
        files["causes.csv"] = tabular.csv(changed.causes)
    return files | {"verify.py": getsource(verify).encode(), "recompute.py": getsource(recompute).encode()}


def _tables(answer: Answer) -> dict[str, bytes]:
    """The rows, and the evidence behind them."""
    statement, evidence = answer.statement, answer.evidence
    files = {f"by_{by}.csv": tabular.csv(replace(statement, by=by).rows) for by in ("portfolio", "asset")}
    if answer.question.since is not None:
        files["evidence/event_columns.csv"] = tabular.csv(answer.roll_forward.annex)
        files["evidence/issued_opening.csv"] = tabular.csv(answer.roll_forward.issued)
        files["evidence/prior_period.csv"] = tabular.csv(answer.roll_forward.prior)
    files |= {f"evidence/{name}.csv": tabular.csv(getattr(evidence, name)) for name in EVIDENCE}
    return files | {"evidence/history.csv": tabular.csv(statement.history)}


def write_all(source: Reader, question: Question, form: Format, folder: Path, both: bool, opened: Reader | None = None) -> list[Path]:
    """Write what is asked: the statement, or the roll-forward where there is a beginning, or both of them; a bundle holds all in one."""
    asked = [question]
    if both and question.since is not None and form != "bundle":
        asked = [replace(question, since=None), question]
    return [write(Answer(source, q, opened=opened), form, folder) for q in asked]


def write(answer: Answer, form: Format, folder: Path) -> Path:
    """`<scope>_<by>_<as_of>_v<n>.<ext>`; the file that already says the same is the answer."""
    q = answer.question
    what = q.by if q.since is None else f"rollforward-{q.since:%Y%m%dT%H%M%SZ}"
    return _keep(form_of(answer, form), f"{q.scope}_{what}", q.as_of, EXTENSIONS.get(form, form), folder)


def write_proof(answer: Answer, form: Format, folder: Path) -> Path:
    """The completeness report as a document of its own."""
    q = answer.question
    return _keep(_rendered(completeness(answer), form), f"{q.scope}_completeness", q.as_of, form, folder)


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


def of_newest_days(home: Home, wanted: Statements) -> list[Path]:
    """The statements of the newest closed days; what lies there already is the answer. None before a publication that can be read."""
    if publications.known_through(home) is None:
        return []
    with publications.newest(home) as newest:
        return [path for as_of in newest_instants(newest) for path in _of_told_day(home, newest, as_of, wanted)]


def _of_told_day(home: Home, newest: publications.Publication, as_of: datetime, wanted: Statements) -> list[Path]:
    with telling(home, newest, as_of) as told:
        return [*of_day(told, as_of, home.statements), *_wanted(told, as_of, home.statements, wanted)]


def _wanted(source: Reader, as_of: datetime, folder: Path, wanted: Statements) -> Iterator[Path]:
    """What the configuration asks for beside the CSVs; a portfolio that was never pulled has none yet."""
    known = source.read(PORTFOLIOS)
    asked = [Question(as_of, portfolio=name, by=wanted.by) for name in wanted.portfolios if name in known["portfolio"]]
    asked += [Question(as_of, entity=name, by=wanted.by) for name in wanted.entities if name in known["entity"]]
    for answer in (Answer(source, question) for question in asked):
        yield from (write(answer, form, folder) for form in wanted.formats)


@dataclass(frozen=True)
class Checked:
    """What was found of bundles: what is wrong, or nothing; and how to say it."""

    wrong: str
    said: list[str]


def checked(paths: Sequence[Path], chain: Path | None = None, key: str | None = None) -> Checked:
    """Bundles, their envelopes, and the chain that these make with those in the folder; the first thing that is wrong."""
    pinned = require_key(key) if key else ""
    named, beside = list(dict.fromkeys(paths)), sorted(chain.glob("*.zip")) if chain else []
    said, envelopes = list[str](), list[Envelope]()
    for path in [*named, *(other for other in beside if other not in named)]:
        wrong, envelope = _found(path, pinned, path in named)
        if wrong:
            return Checked(wrong, [*said, f"This differs: {wrong}"])
        envelopes += [envelope] if envelope else []
        said += _words(envelope, pinned) if path in named else []
    if chain is None and len(named) == 1:
        return Checked("", said)
    wrong, count = broken_link(envelopes), len({e.digest for e in envelopes})
    return Checked(wrong, [*said, f"This differs: {wrong}" if wrong else f"No link is missing; statements: {count}."])


def _found(path: Path, pinned: str, named: bool) -> tuple[str, Envelope | None]:
    """What is wrong with one bundle, and its envelope."""
    if wrong := first_difference(path):
        return wrong, None
    if envelope := envelope_of(path):
        return envelope.wrong(pinned), envelope
    return f"{path.name} was never issued: nobody signed it" if pinned and named else "", None


def envelope_of(path: Path) -> Envelope | None:
    """The envelope in a bundle; None where it was never issued."""
    files = verify.files_of(path)
    return Envelope.read(files[ENVELOPE]) if ENVELOPE in files else None


def _words(envelope: Envelope | None, pinned: str) -> list[str]:
    sound = "Nothing differs: every hash and every number is as the evidence says."
    if envelope is None:
        return [sound]
    return [
        sound,
        f"{envelope.holder}, {envelope['state']}, issued by {envelope['issued_by']} at {envelope['issued_at']}.",
        f"Signed by {envelope['public_key']}" + (", as named." if pinned else ": ask the issuer, by another way, whether that is the key."),
        f"It follows No. {envelope['previous_number']}." if envelope["previous"] else "It is the first of its scope.",
    ]


def first_difference(path: Path) -> str:
    """What differs first in a bundle (the .zip or its unpacked folder), in words; empty where nothing does."""
    try:
        return verify.first_difference(path) or ("" if path.is_dir() or is_packed(path.read_bytes()) else path.name)
    except (OSError, LookupError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile) as strange:
        if path.is_file() and MANIFEST.encode() in path.read_bytes():
            return f"{path.name} ({strange})"
        why = f"it has no {strange}" if isinstance(strange, KeyError) else strange
        raise UsageError(f"{path} is no bundle: {why}.", "Name a .zip that closebook made, or the folder it was unpacked to.") from None
