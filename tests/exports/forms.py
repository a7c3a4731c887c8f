"""What the tests of forms share: an answer of the invented January, golden files, and readers that are not ours."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pypdf import PdfReader

GOLDEN = Path(__file__).parents[1] / "golden"
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def golden(name: str, text: str) -> None:
    """Byte for byte what was looked at once. A missing file is written, and waits to be looked at."""
    path = GOLDEN / name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        pytest.fail(f"{path.name} was not there and is written now: look at it, then run again")
    assert text == path.read_text(encoding="utf-8")


def words_of(pdf: bytes) -> str:
    """The text of a PDF, line by line, blanks made one."""
    pages = (page.extract_text(extraction_mode="layout") for page in PdfReader(io.BytesIO(pdf)).pages)
    lines = (" ".join(line.split()) for page in pages for line in page.splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def cells_of(xlsx: bytes) -> dict[str, list[list[tuple[str, str]]]]:
    """Sheet → rows of (kind, text): kind is s for text, n for a number, f where there is a formula."""
    with zipfile.ZipFile(io.BytesIO(xlsx)) as book:
        strings = ["".join(t.text or "" for t in item.iter(f"{_MAIN}t")) for item in _xml(book, "xl/sharedStrings.xml")]
        names = [sheet.get("name") or "" for sheet in _xml(book, "xl/workbook.xml").iter(f"{_MAIN}sheet")]
        sheets = [_xml(book, f"xl/worksheets/sheet{n}.xml") for n in range(1, len(names) + 1)]
    return {name: [_row(row, strings) for row in sheet.iter(f"{_MAIN}row")] for name, sheet in zip(names, sheets, strict=True)}


def column(rows: list[list[tuple[str, str]]], title: str) -> list[tuple[str, str]]:
    """The cells of a column that are not empty, below its title."""
    place = [text for _, text in rows[0]].index(title)
    return [row[place] for row in rows[1:] if len(row) > place and row[place][1]]


def _xml(book: zipfile.ZipFile, name: str) -> ElementTree.Element:
    return ElementTree.fromstring(book.read(name))


def _row(row: ElementTree.Element, strings: list[str]) -> list[tuple[str, str]]:
    """Cells in their places; one that is not there is an empty text."""
    cells: list[tuple[str, str]] = []
    for cell in row:
        letters = (cell.get("r") or "").rstrip("0123456789")
        place = sum((ord(letter) - 64) * 26**n for n, letter in enumerate(reversed(letters))) - 1
        cells += [("s", "")] * (place - len(cells)) + [_cell(cell, strings)]
    return cells


def _cell(cell: ElementTree.Element, strings: list[str]) -> tuple[str, str]:
    value = cell.find(f"{_MAIN}v")
    text = "" if value is None else value.text or ""
    if cell.find(f"{_MAIN}f") is not None:
        return "f", text
    return ("s", strings[int(text)]) if cell.get("t") == "s" else ("n", text)
