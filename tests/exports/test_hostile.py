"""Names and types that somebody else chose come out as text: in a spreadsheet, in CSV, on paper, in a drawing."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree

import polars as pl
import pytest

from pipelines import filing
from pipelines.exports import drawing, text
from pipelines.filing import first_difference, form_of
from pipelines.publications import Publication
from pipelines.statements import Answer, Question
from tests.exports import january
from tests.exports.forms import cells_of, column, words_of

NAMES = [
    "=cmd()|'/C calc'!A0",
    '#read("/etc/passwd")',
    "<script>alert(1)</script>",
    "*bold* _it_ $x$",
    "@SUM(1)",
    "+1",
    "-2",
    "\tx",
    "'tis",
]
LONG = "=" + "long" * 20_000


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The invented January with every code, asset, network, event type and document somebody's joke."""
    codes = [*NAMES, "a\rb", "c\nd", LONG, 'q"q,']
    accounts = january.ACCOUNTS.with_columns(native_code=pl.Series(codes), asset=pl.Series(codes), network=pl.Series(codes))
    openings = january.OPENINGS.with_columns(document=pl.lit("=HYPERLINK(1)"))
    postings = january.POSTINGS.with_columns(event_type=pl.lit("<script>*x*#read(1)"))
    portfolios = january.PORTFOLIOS.with_columns(venue_id=pl.lit('#eval("1")'))
    path = tmp_path_factory.mktemp("hostile") / "1.duckdb"
    return january.write(path, accounts=accounts, openings=openings, postings=postings, portfolios=portfolios)


@pytest.fixture
def answer(hostile):
    with Publication(hostile) as source:
        yield lambda **question: Answer(source, Question(january.CLOSE, **question))


def test_in_csv_what_a_spreadsheet_might_run_begins_with_an_apostrophe(answer):
    body = form_of(answer(), "csv").decode()
    codes = [row["native_code"] for row in csv.DictReader(io.StringIO(body, newline=""))]
    assert not [code for code in codes if code[0] in "=+-@\t\r\n"]
    assert {code.removeprefix("'") for code in codes} == {*NAMES, "a\rb", "c\nd", LONG, 'q"q,'}
    assert "''tis" in codes, "one more, so that taking one away gives back what was there"


def test_a_negative_number_is_no_formula(answer):
    assert ",-7," in form_of(answer(), "csv").decode()
    frame = pl.DataFrame({"x": [-7], "name": ["-7"]})
    assert text.defused(frame).rows() == [(-7, "'-7")]


def test_in_a_workbook_every_name_is_a_text_cell(answer):
    for question in ({}, {"since": january.OPEN}):
        sheets = cells_of(form_of(answer(**question), "xlsx"))
        assert not [cell for rows in sheets.values() for row in rows for cell in row if cell[0] == "f"]
        first = sheets["Roll-forward" if question else "Statement"]
        names = column(first, "Native code")
        assert {kind for kind, _ in names} == {"s"}
        assert set(NAMES) <= {name for _, name in names}
        assert any(name == LONG[:32_000] + "…" for _, name in names), "what no cell can hold is cut, and says so"


def test_on_paper_nothing_of_a_name_is_markup(answer):
    for question in ({}, {"by": "asset"}, {"since": january.OPEN}):
        paper = words_of(form_of(answer(**question), "pdf"))
        for name in NAMES[:4]:
            assert name in paper
        assert "root:" not in paper
    assert '#eval("1")' in words_of(form_of(answer(), "pdf"))


def test_a_label_of_a_drawing_is_text():
    svg = drawing.bars([("<script>&\x00\"'", january.D(5), "5"), ("owed", january.D(-2), "-2"), ("nothing", january.D(0), "0")])
    labels = [t.text for t in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert labels[0] == "<script>&\"'"


def test_a_bundle_of_such_names_verifies(answer, tmp_path):
    path = tmp_path / "hostile.zip"
    path.write_bytes(filing.bundled(answer(since=january.OPEN)))
    assert first_difference(path) == ""
