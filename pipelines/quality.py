"""A candidate publication → findings: Great Expectations inside DuckDB, one suite per table. Writes nothing.

A rule is one SELECT whose rows are the violations: the shape rules are derived from `tables`, the others are the
files of sql/checks. What a finding stops, stores or shows is decided by who asked; opening the warehouse and
publishing do not belong here. Great Expectations is imported when a check runs: definitions load without it.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import polars as pl

from pipelines import touched
from pipelines.errors import ChecksFailed, ContractError, MachineError
from pipelines.tables import TABLES, Table

Weight = Literal["BLOCK", "QUALIFY", "INFO"]
Untyped: TypeAlias = Any
"""What Great Expectations hands over: it ships no types that hold."""

_HEADER = re.compile(r"-- (description|weight|table|looked_at|may_look_at_nothing|onwards): (.+)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_MARKUP = re.compile(r"[&<>|`\\*~\[\]]|(?<!\w)_|_(?!\w)|:(?=//)")
_NOT_FACTS = ("commits", "check_results")
"""Tables about the work itself: they may be written after the newest fact."""


@dataclass(frozen=True)
class Rule:
    """What must hold. `sql` selects the rows that break it, `looked_at` counts the rows it speaks of."""

    name: str
    table: str
    description: str
    weight: Weight
    looked_at: str
    sql: str
    may_look_at_nothing: str = ""
    onwards: str = ""
    """Why it also looks at postings that follow a new one, where it does."""
    since: datetime | None = None
    """It looks at what was written after this only."""


@dataclass(frozen=True)
class Finding:
    """What a check found; `message` says what happened to the check itself, where something did."""

    rule: Rule
    looked_at: int
    violations: int
    rows: pl.DataFrame = field(default_factory=pl.DataFrame, compare=False)
    message: str | None = None
    broken: bool = False

    @property
    def passed(self) -> bool:
        return not self.broken and self.violations == 0

    @property
    def blocks(self) -> bool:
        return self.rule.weight == "BLOCK" and not self.passed


# ---- the rules ----


def rules() -> tuple[Rule, ...]:
    """Every rule, table by table in the order of `tables`; the first asks whether the file is the right one."""
    found = [_from_file(path) for path in sorted(_folder().glob("*.sql"))]
    found += [rule for table in TABLES.values() for rule in _shape(table)]
    found.append(_nothing_from_the_future())
    order = list(TABLES)
    return tuple(sorted(found, key=lambda r: (r.name != "publications_identity", order.index(r.table))))


def proven(results: pl.DataFrame, at: datetime) -> datetime | None:
    """Up to when every blocking rule of today has proven the book; None: everything is looked at."""
    return touched.since(results, frozenset(rule.name for rule in rules() if rule.weight == "BLOCK"), at)


def _folder() -> Path:
    """sql/checks beside the package, or inside it where it is installed as a wheel."""
    here = Path(__file__).parent
    inside = here / "_sql" / "checks"
    return inside if inside.is_dir() else here.parent / "sql" / "checks"


def _from_file(path: Path) -> Rule:
    text = path.read_text(encoding="utf-8")
    head: dict[str, Any] = {match[1]: match[2] for line in text.splitlines() if (match := _HEADER.fullmatch(line))}
    missing = {"description", "weight", "table", "looked_at"} - head.keys()
    if missing or head["weight"] not in get_args(Weight) or head["table"] not in TABLES:
        raise ContractError(f"The check {path.name} has no good header: {sorted(missing) or 'unknown weight or table'}.")
    if not path.stem.startswith(f"{head['table']}_"):
        raise ContractError(f"The check {path.name} is not named after its table, {head['table']}.")
    head.setdefault("may_look_at_nothing", TABLES[head["table"]].may_be_empty)
    return Rule(name=path.stem, sql=text, **head)


def _shape(table: Table) -> Iterator[Rule]:
    """What `tables` promises: rows at all, a unique key, nothing null that must not be, only the values allowed."""
    source = f'FROM "{table.name}"'
    key = ", ".join(f'"{name}"' for name in table.key)
    filled = [c.name for c in table.columns if not c.null]
    limited = [c for c in table.columns if c.values]
    if not table.may_be_empty:
        nothing = f"SELECT '{table.name}' AS empty_table WHERE NOT EXISTS (SELECT 1 FROM main.\"{table.name}\")"
        yield _block(table, "rows", "There is at least one row", nothing)
    twice = f"SELECT {key}, count(*) AS rows_written {source} GROUP BY {key} HAVING count(*) > 1"
    yield _block(table, "key", f"There is one row per {' × '.join(table.key)}", twice)
    nulls = " OR ".join(f'"{name}" IS NULL' for name in filled)
    yield _block(table, "not_null", f"Never null: {', '.join(filled)}", f"SELECT * {source} WHERE {nulls}")
    if limited:
        strange = " OR ".join(f'"{c.name}" NOT IN ({_texts(c.values)})' for c in limited)
        named = ", ".join(c.name for c in limited)
        yield _block(table, "values", f"Only the values allowed: {named}", f"SELECT * {source} WHERE {strange}")


def _texts(values: Sequence[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def _block(table: Table, stem: str, description: str, sql: str) -> Rule:
    return Rule(f"{table.name}_{stem}", table.name, description, "BLOCK", f'SELECT count(*) FROM "{table.name}"', sql, table.may_be_empty)


def _nothing_from_the_future() -> Rule:
    """Over all tables of facts at once: nothing was recorded or retired after what the publication knows."""
    facts = [t for t in TABLES.values() if "recorded_at" in t.schema and t.name not in _NOT_FACTS]
    said = "Nothing was recorded, or retired, after the instant the publication is known through"
    counts = " + ".join(f'(SELECT count(*) FROM "{t.name}")' for t in facts)
    return Rule(
        "publications_known_through", "publications", said, "BLOCK", f"SELECT {counts}", "\nUNION ALL ".join(map(_later_rows, facts))
    )


def _later_rows(table: Table) -> str:
    latest = "greatest(t.recorded_at, t.retired_at)" if "retired_at" in table.schema else "t.recorded_at"
    return (
        f"SELECT '{table.name}' AS table_name, {latest} AS latest, t::VARCHAR AS whole_row "
        f'FROM "{table.name}" AS t WHERE {latest} > (SELECT max(known_through) FROM publications)'
    )


# ---- the check ----


def check(candidate: Path, publication_id: int, among: Sequence[Rule] | None = None, since: datetime | None = None) -> tuple[Finding, ...]:
    """Every rule (or those `among` which is asked) over a candidate file; the file is free again afterwards.

    With `since`, blocking rules look at what was written after it; what marks the book is told of all of it.
    """
    asked = tuple(_narrowed(rule, since) for rule in (rules() if among is None else among))
    found: dict[str, Finding] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other people's libraries; ours are errors in the tests
        with _opened(candidate) as source:
            for table in dict.fromkeys(rule.table for rule in asked):
                found |= _suite(source, table, [r for r in asked if r.table == table], publication_id)
    return tuple(found[rule.name] for rule in asked)


def _narrowed(rule: Rule, since: datetime | None) -> Rule:
    if since is None or rule.weight != "BLOCK":
        return rule
    nothing = rule.may_look_at_nothing or f"nothing of it was written after {since.isoformat()}"
    sql, looked_at = (touched.narrowed(text, since, bool(rule.onwards)) for text in (rule.sql, rule.looked_at))
    return replace(rule, sql=sql, looked_at=looked_at, may_look_at_nothing=nothing, since=since)


@contextmanager
def _opened(candidate: Path) -> Iterator[Untyped]:
    """The candidate as a data source. Great Expectations keeps two engines on it; both are closed."""
    if not candidate.is_file():
        raise MachineError(f"There is no candidate to check at {candidate}.", "Build it first.")
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read at import
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from sqlalchemy.dialects import registry

    registry.register("duckdb.checks", "pipelines.quality_dialect", "CheckDialect")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    path = {"connect_args": {"database": str(candidate)}}  # as an argument, no character of it can mislead
    try:
        source = context.data_sources.add_sql(
            name="candidate", connection_string="duckdb+checks:///candidate", create_temp_table=False, kwargs=path
        )
    except Exception as refused:
        raise MachineError(f"The candidate {candidate} cannot be opened: {_plain(str(refused))}.", "Build it again.") from refused
    try:
        yield source
    finally:
        for engine in (source.get_engine(), source.get_execution_engine().engine):
            engine.dispose()


def _suite(source: Untyped, table: str, asked: Sequence[Rule], publication_id: int) -> dict[str, Finding]:
    """The rules of one table as one suite; a table that cannot be read fails each of them."""
    import great_expectations as gx
    from great_expectations.expectations import UnexpectedRowsExpectation

    suite = gx.ExpectationSuite(name=table)
    for rule in asked:
        suite.add_expectation(UnexpectedRowsExpectation(unexpected_rows_query=_query(rule, publication_id), meta={"rule": rule.name}))
    try:
        batch = source.add_table_asset(table, table_name=table).add_batch_definition_whole_table(table).get_batch()
        results = batch.validate(suite, result_format="COMPLETE").results
    except Exception as unreadable:  # whatever it is, the answer is a failed check, never silence
        return {rule.name: _broken(rule, str(unreadable)) for rule in asked}
    by_name = {result.expectation_config.meta["rule"]: result for result in results}
    return {rule.name: _finding(source, rule, by_name[rule.name]) for rule in asked}


def _query(rule: Rule, publication_id: int) -> str:
    """A rule as Great Expectations wants it: no brace or colon that reads as a parameter, the batch named.

    Two rules of the same SQL would be taken for one: the name tells them apart.
    """
    sql = rule.sql.replace(":publication_id", str(publication_id)).replace("{", "{{").replace("}", "}}")
    sql = re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", sql)
    return f"SELECT * FROM (\n{sql}\n) AS violation /* {rule.name} in {{batch}} */ ORDER BY ALL"


def _finding(source: Untyped, rule: Rule, result: Untyped) -> Finding:
    if "observed_value" not in result.result:  # an SQL error: no violations are no proof
        return _broken(rule, _reason(result.exception_info))
    try:
        with source.get_engine().connect() as connection:
            looked_at = int(connection.exec_driver_sql(rule.looked_at).scalar_one())
    except Exception as uncounted:
        return _broken(rule, str(uncounted))
    rows = _frame(result.result["details"]["unexpected_rows"])
    violations = int(result.result["observed_value"])
    if looked_at or violations:
        return Finding(rule, looked_at, violations, rows)
    why = rule.may_look_at_nothing
    return Finding(rule, 0, 0, rows, f"Nothing was looked at: {why}." if why else "Nothing was looked at.", broken=not why)


def _broken(rule: Rule, reason: str) -> Finding:
    return Finding(rule, 0, 0, message=f"The check could not run: {_plain(reason)}.", broken=True)


def _plain(reason: str) -> str:
    """An error of a library as one line of reasonable length."""
    return " ".join(reason.partition("(Background on this error")[0].split())[:1000].rstrip(".")


def _reason(exception_info: Mapping[str, Any]) -> str:
    """Great Expectations keeps one report per metric; the first that raised says why."""
    reports = [v for v in exception_info.values() if isinstance(v, Mapping)] or [exception_info]
    return next((str(r["exception_message"]) for r in reports if r.get("exception_message")), "no reason was given")


def _frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """At most 200 violating rows, with every digit; instants in UTC."""
    plain = [{name: v.astimezone(UTC) if isinstance(v, datetime) and v.tzinfo else v for name, v in row.items()} for row in rows]
    return pl.DataFrame(plain, infer_schema_length=None)


# ---- showing ----


def markdown(frame: pl.DataFrame, limit: int = 20) -> str:
    """Rows as a Markdown table, every digit kept; no text of a venue can end a cell or become markup."""
    if frame.is_empty():
        return ""
    lines = [frame.columns, ["---"] * frame.width, *frame.head(limit).rows()]
    text = "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)
    more = frame.height - limit
    return text if more <= 0 else f"{text}\n\n{more} more rows are not shown."


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, Decimal):
        digits = format(value, "f")
        return (digits.rstrip("0").rstrip(".") if "." in digits else digits) if value else "0"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return _MARKUP.sub(lambda mark: f"&#{ord(mark[0])};", _CONTROL.sub(" ", str(value)))


def require_passed(results: pl.DataFrame) -> None:
    """Every blocking rule has a result on record, and it passed; ChecksFailed names those that have none or did not."""
    passed = set(results.filter(pl.col("passed"))["rule"])
    if missing := [rule.name for rule in rules() if rule.weight == "BLOCK" and rule.name not in passed]:
        raise ChecksFailed(f"The candidate has not passed {', '.join(missing)}.", "The last publication stands; see the checks' rows.")
