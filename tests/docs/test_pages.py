"""The pages as a whole: links lead somewhere, commands exist, every question kept in SQL is listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from pipelines.cli import app
from pipelines.sandbox import candles, faults, ledger
from pipelines.tables import BOUND_STATUSES, OPENING_KINDS, PRICE_BASES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
LINK = re.compile(r"\]\(([^)\s]+)\)")
TYPED = re.compile(r"`closebook ([^`]+)`")


def anchors(path: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@page
def test_links_lead_somewhere(path):
    for link in LINK.findall(path.read_text(encoding="utf-8")):
        if re.match(r"https?:", link):
            continue
        target, _, anchor = link.partition("#")
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), link
        assert not anchor or anchor in anchors(there), link


def commands() -> dict[str, set[str]]:
    """Every command with the options it takes."""
    found: dict[str, set[str]] = {}

    def walk(command: object, name: str) -> None:
        found[name] = {option for parameter in command.params for option in parameter.opts}
        for word, below in getattr(command, "commands", {}).items():
            walk(below, f"{name} {word}".strip())

    walk(typer.main.get_command(app), "")
    return found


@page
def test_every_command_named_exists_with_its_options(path):
    known = commands()
    for typed in TYPED.findall(path.read_text(encoding="utf-8")):
        words = typed.split()
        name = next((n for n in (" ".join(words[:k]) for k in range(min(len(words), 3), 0, -1)) if n in known), None)
        if words[0].startswith("-"):
            continue
        assert name, f"`closebook {typed}` is no command"
        strange = {w for w in words if re.fullmatch(r"--[a-z-]+", w)} - known[name] - known[""] - {"--help"}
        assert not strange, f"`closebook {typed}` has no {strange}"


def test_every_question_is_listed_with_its_first_line():
    listed = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
    for example in sorted((ROOT / "sql" / "examples").glob("*.sql")):
        first = example.read_text(encoding="utf-8").splitlines()[0].removeprefix("-- ")
        assert f"| [{example.name}](../sql/examples/{example.name}) | {first} |" in listed


def test_every_word_on_a_row_is_explained_to_the_controller():
    faq = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")
    words = {*PRICE_BASES, *BOUND_STATUSES, *OPENING_KINDS}
    assert not {word for word in words if f"`{word}`" not in faq}


def test_every_fault_and_column_of_the_sandbox_is_described():
    text = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*)\|", text, re.MULTILINE))
    assert set(rows) == {*faults.ON_THE_WAY, *faults.SHOWN}
    assert all(f"`{key}`" in rows[kind] for kind, keys in faults.ON_THE_WAY.items() for key in keys)
    assert f"\n{','.join(ledger.COLUMNS)}\n" in text
    assert f"\n{','.join(candles.COLUMNS)}\n" in text
