"""pipelines/config → docs/configuration.md; pipelines/tables.py and sql/views → docs/tables.md. `make docs` runs it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from inspect import getdoc
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import duckdb
from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from pipelines import config, publications, tables
from pipelines.config import kinds

DOCS = Path(__file__).parent
BY_HAND = "<!-- Written by `make docs`; what stands here is changed in {source}. -->\n"
PLAIN = {
    Path: "path",
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    date: "day",
    time: "time",
    datetime: "instant with time zone",
    Decimal: "decimal number, as text",
    SecretStr: "secret",
}
SAID = {kinds.not_all: "name", kinds.http_url: "http(s) address", kinds.timezone: "IANA name"}
BOUNDS: dict[type, tuple[str, str]] = {
    Ge: ("ge", "at least {}"),
    Gt: ("gt", "more than {}"),
    Le: ("le", "at most {}"),
    MinLen: ("min_length", "not empty"),
    MaxLen: ("max_length", "at most {} characters"),
}


def line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def table(head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> str:
    return "\n".join([line(head), line("---" for _ in head), *map(line, rows)])


# ---- configuration.md ----


def configuration() -> str:
    parts = [BY_HAND.format(source="pipelines/config and docs/configuration.head.md")]
    parts += [(DOCS / "configuration.head.md").read_text(encoding="utf-8")]
    parts += [section(head, model) for head, model in sections()]
    return "\n".join(parts)


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Every table of the file: how its head is written, its model."""
    for name, field in config.Config.model_fields.items():
        for model in models(field.annotation):
            repeated = get_origin(field.annotation) is tuple
            venue = f' with `venue = "{venues[0]}"`' if (venues := venue_of(model)) else ""
            yield f"`[[{name}]]`{venue}" if repeated else f"`[{name}]`", model
            for inner, part in model.model_fields.items():
                for below in models(part.annotation):
                    yield f"`[{name}.{inner}]`", below


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models(part)


def venue_of(model: type[BaseModel]) -> tuple[str, ...]:
    field = model.model_fields.get("venue")
    choices = get_args(field.annotation) if field else ()
    return choices if len(choices) == 1 else ()


def section(head: str, model: type[BaseModel]) -> str:
    rows = [
        (f"`{field.alias or key}`", word(field.annotation, field.metadata), default(field), sentence(field))
        for key, field in model.model_fields.items()
        if not list(models(field.annotation))
    ]
    return f"## {head}\n{getdoc(model)}\n\n{table(('entry', 'is', 'default', 'means'), rows)}\n"


def sentence(field: FieldInfo) -> str:
    limits = [BOUNDS[type(mark)][1].format(getattr(mark, BOUNDS[type(mark)][0])) for mark in field.metadata if type(mark) in BOUNDS]
    return "; ".join([field.description or "", *limits])


def default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "required"
    if value in (None, ""):
        return "–"
    if isinstance(value, Mapping):
        return "`{ " + ", ".join(f'"{k}" = "{v}"' for k, v in value.items()) + " }`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{v}"' for v in value) + "]`"
    if isinstance(value, bool):
        return f"`{value}`".lower()
    return f"`{value:%H:%M}`" if isinstance(value, time) else f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def word(annotation: Any, marks: Iterable[Any] = ()) -> str:
    """A type in a reader's words; checks that a field carries say more than its type."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return word(args[0], args[1:])
    if said := next((SAID[f] for mark in marks if (f := getattr(mark, "func", None)) in SAID), ""):
        return said
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in args)
    if origin in (tuple, Mapping):
        return f"list of {word(args[0])}s" if origin is tuple else f"table: {word(args[0])} = one of {word(args[1])}"
    if origin in (Union, UnionType):
        return " or ".join(word(part) for part in args if part is not NoneType)
    return PLAIN[annotation]


# ---- tables.md ----


def contracts() -> str:
    parts = [BY_HAND.format(source="pipelines/tables.py, sql/views and docs/tables.head.md")]
    parts += [(DOCS / "tables.head.md").read_text(encoding="utf-8"), "## Views\n"]
    parts += [*views(), "## Tables\n", *(contract(t) for t in tables.TABLES.values())]
    return "\n".join(parts)


def contract(of: tables.Table) -> str:
    rows = [(f"`{c.name}`", sql_type(of, c.name), "yes" if c.null else "", meaning(c)) for c in of.columns]
    empty = f" It may be empty: {of.may_be_empty}." if of.may_be_empty else ""
    key = " × ".join(f"`{k}`" for k in of.key)
    return f"### {of.name}\n{of.sentence} One row per {key}.{empty}\n\n{table(('column', 'type', 'may be null', 'is'), rows)}\n"


def sql_type(of: tables.Table, column: str) -> str:
    found = re.search(rf'"{column}" ([A-Z]+(?:\([\d,]+\))?)', of.ddl())
    assert found, column
    return found[1]


def meaning(column: tables.Column) -> str:
    return column.sentence + (f": {', '.join(f'`{v}`' for v in column.values)}" if column.values else "")


def views() -> Iterator[str]:
    """Each view: its first comment, and the columns DuckDB finds in it."""
    con = duckdb.connect()
    for of in tables.TABLES.values():
        con.execute(of.ddl())
    files = {path.stem: path.read_text(encoding="utf-8") for path in sorted((publications.SQL / "views").glob("*.sql"))}
    publications.create_views(con)
    for name, text in files.items():
        described = con.execute(f'DESCRIBE "{name}"').fetchall()
        columns = ", ".join(f"`{column}` {kind.replace('TIMESTAMP WITH TIME ZONE', 'TIMESTAMPTZ')}" for column, kind, *_ in described)
        yield f"### {name}\n{text.splitlines()[0].removeprefix('-- ')}\n\n{columns}\n"


WRITTEN = {"configuration.md": configuration, "tables.md": contracts}

if __name__ == "__main__":
    for name, write in WRITTEN.items():
        (DOCS / name).write_text(write(), encoding="utf-8")
