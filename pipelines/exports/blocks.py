"""Blocks of a document, and the one door to typst: blocks → PDF. Text enters as data, never as markup; the clock is the as-of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import typst

from pipelines.exports.model import FOOTER

Block = Mapping[str, object]
Row = Mapping[str, object]

MOST_TAGGED = 1_000
"""Lines of a document that is tagged for screen readers; tags of 10,000 lines are 50 MB."""
TEMPLATE = Path(__file__).with_name("paper.typ")


def title(text: str) -> Block:
    return {"kind": "title", "text": text}


def heading(text: str) -> Block:
    return {"kind": "heading", "text": text}


def section(text: str) -> Block:
    return {"kind": "section", "text": text}


def text(words: str, style: str = "plain") -> Block:
    """One paragraph: plain, muted, strong or close."""
    return {"kind": "text", "text": words, "style": style}


def facts(pairs: Sequence[tuple[str, str]]) -> Block:
    return {"kind": "facts", "facts": [list(pair) for pair in pairs]}


def row(*cells: str, style: str = "plain") -> Row:
    """A line of a table: plain, sub or total."""
    return {"cells": list(cells), "style": style}


def table(columns: Sequence[tuple[str, str]], rows: Sequence[Row], whole: bool = False) -> Block:
    """Columns are a heading and a side: l(eft), r(ight) or w(ide, left); a whole one is never broken over pages."""
    names, sides = [name for name, _ in columns], [side for _, side in columns]
    return {"kind": "table", "header": names, "sides": sides, "rows": list(rows), "whole": whole}


def drawing(heading: str, svg: str, note: str = "") -> Mapping[str, str]:
    return {"title": heading, "svg": svg, "note": note}


def drawings(drawn: Sequence[Mapping[str, str]]) -> Block:
    return {"kind": "drawings", "drawings": list(drawn)}


def page() -> Block:
    return {"kind": "page"}


def pdf(name: str, running: str, identity: str, blocks: Sequence[Block], clock: datetime) -> bytes:
    """The document's bytes: equal input, equal bytes, on any machine (typst's own fonts only)."""
    document = {"title": name, "running": running, "identity": identity, "footer": FOOTER, "blocks": list(blocks)}
    lines = sum(len(rows) for block in blocks if isinstance(rows := block.get("rows"), list))
    made = typst.compile(
        TEMPLATE,
        root=TEMPLATE.parent,
        ignore_system_fonts=True,
        font_paths=[],
        sys_inputs={"document": json.dumps(document)},
        timestamp=int(clock.timestamp()),
        pdf_tags=lines <= MOST_TAGGED,
    )
    assert isinstance(made, bytes), "one PDF, not pages"
    return made
