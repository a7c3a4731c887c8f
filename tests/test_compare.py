"""`closebook compare`: the venue's own report beside the book, ordered once and kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines import comparing, publications, screen
from pipelines.archive import Archive
from pipelines.config import load
from pipelines.errors import Unreadable, UsageError
from pipelines.exports import proven
from pipelines.home import Home
from pipelines.proof import completeness
from pipelines.sandbox.serve import Sandbox
from pipelines.sandbox.settings import Settings
from pipelines.statements import Answer, Question
from pipelines.venues.coinbase.reports import Waiting
from pipelines.warehouse import Warehouse
from tests import tiny
from tests.conftest import closebook
from tests.ledger_text import D, instant

AT = instant("2025-01-04T00:00:00Z")
HASTE = Waiting(first=0.02, longest=0.05, total=5.0)
LATE = """[[late]]
portfolio = "desk"
native_code = "BTC"
occurred_at = 2025-01-03T10:00:00Z
event_type = "transfer"
amount = "0.125"
visible_from = 2025-01-03T11:00:00Z
restate = true
"""


@dataclass
class Desk:
    home: Home
    config: Path
    dataset: Path
    port: int

    @contextmanager
    def venue(self, faults: str = "", **settings: object) -> Iterator[Sandbox]:
        path = self.config.with_name("faults.toml")
        path.write_text(faults)
        made = Settings(report_seconds=(0, 0), **settings)
        with Sandbox(self.dataset, self.port, faults=path, settings=made, limit_scale=1e5) as sandbox:
            yield sandbox

    def compare(self, again: bool = True, name: str = "desk", extra: str = "") -> comparing.Comparison:
        self.config.with_name("more.toml").write_text(self.config.read_text() + extra)
        return comparing.compare(load(self.config.with_name("more.toml")), self.home, name, AT, again, HASTE)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("compare")
    made = Desk(Home(folder / "data"), folder / "closebook.toml", tiny.dataset(folder / "dataset"), 0)
    with made.venue() as sandbox:
        sandbox.write_config(made.config)
        made.port = int(sandbox.base_url.rpartition(":")[2])
        assert closebook("run", cwd=folder).returncode == 0
    return made


def labels(found: comparing.Comparison) -> dict[str, tuple[str | None, str | None]]:
    return {code: (balance, price) for code, balance, price in found.rows.select("native_code", "balance_label", "price_label").iter_rows()}


def test_a_report_that_says_what_the_book_says_is_exact(desk: Desk) -> None:
    with desk.venue():
        found = desk.compare()
    assert {code: labels(found)[code] for code in ("BTC", "USD", "EUR")} == {
        "BTC": ("EXACT", "EXACT"), "USD": ("EXACT", "EXACT"), "EUR": ("EXACT", None)
    }  # fmt: skip
    assert found.unexplained == 0
    assert found.rows.filter(native_code="BTC")["balance"].to_list() == [D("1.5")]


def test_the_hour_that_begins_then_is_an_explanation(desk: Desk) -> None:
    with desk.venue(report_hours_inclusive=True):
        found = desk.compare()
    assert labels(found)["BTC"] == ("EXACT", "EXPLAINED_METHOD")
    assert found.unexplained == 0


def test_what_the_book_does_not_know_is_unexplained(desk: Desk) -> None:
    with desk.venue(LATE):
        found = desk.compare()
    assert labels(found)["BTC"] == ("UNEXPLAINED", "EXACT")
    assert found.rows.filter(native_code="BTC")["difference"].to_list() == [D("0.125")]
    assert found.unexplained == 1


def test_a_report_is_kept_and_answers_again_with_nobody_there(desk: Desk) -> None:
    with desk.venue():
        first = desk.compare()
    assert desk.compare(again=False).rows.equals(first.rows)
    archive = Archive(desk.home.archive)
    [*_, kept] = [b for b in (archive.get(name).batch for name in archive.names()) if b.kind == "REPORT"]
    assert [page.body for page in kept.pages] == [page.body for page in first.report.pages]
    assert b"pat@example.com" not in kept.pages[0].body


def test_a_report_is_no_part_of_the_book(desk: Desk) -> None:
    def changed_at() -> object:
        warehouse = Warehouse(desk.home.warehouse)
        try:
            return warehouse.changed_at()
        finally:
            warehouse.close()

    before = changed_at()
    with desk.venue():
        desk.compare()
    assert changed_at() == before, "nothing worth publishing"


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ('[balance_report.columns]\ncurrency = "native_code"\nbalance = "balance"\n', "has a column 'portfolio' that nobody explained"),
        ('[balance_report.columns]\ncurrency = "native_code"\n', "nobody explained"),
    ],
)
def test_a_column_that_nobody_explained_is_refused(desk: Desk, columns: str, complaint: str) -> None:
    with desk.venue(), pytest.raises(Unreadable, match=complaint):
        desk.compare(extra=columns)


def test_only_coinbase_makes_reports(desk: Desk) -> None:
    other = '[[portfolio]]\nname = "perps"\nvenue = "pacifica"\nbase_url = "http://127.0.0.1:9"\naccount = "a"\n'
    with pytest.raises(UsageError, match="pacifica makes no balance reports"):
        desk.compare(name="perps", extra=other)
    with pytest.raises(UsageError, match="There is no portfolio 'dsek'"):
        desk.compare(name="dsek")


def test_the_command_says_both_and_ends_with_the_answer(desk: Desk) -> None:
    words = ("compare", "--config", desk.config, "--home", desk.home.root, "--portfolio", "desk", "--day", "2025-01-03")
    with desk.venue(LATE):
        late = closebook(*words, "--again", cwd=desk.config.parent)
    assert (late.returncode, "Balances: 4 EXACT, 1 UNEXPLAINED." in late.stdout) == (1, True)
    with desk.venue():
        exact = closebook(*words, "--again", "--format", "csv", cwd=desk.config.parent)
    assert exact.returncode == 0
    assert exact.stdout.splitlines()[1].startswith("BTC,BTC,1.5,1.5,0,EXACT,")


def test_rows_that_cannot_be_read_are_shown_and_count(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    refused = pl.DataFrame({"row": ['["desk", "BTC"]'], "reason": ["it has 2 cells under 9 headings"]})
    with desk.venue():
        found = replace(desk.compare(), refused=refused)
    assert found.unexplained == 1
    for form in ("table", "csv"):
        screen.show_comparison(found.rows, found.refused, form)
        told = capsys.readouterr()
        assert 'Not read: ["desk", "BTC"] (it has 2 cells under 9 headings)' in (told.err if form == "csv" else told.out)


def test_a_kept_report_is_counted_by_the_publications_that_know_it(desk: Desk) -> None:
    with desk.venue(report_hours_inclusive=True):
        desk.compare()
    with publications.newest(desk.home) as told:
        assert comparing.kept(desk.home, told, AT).is_empty(), "ordered after it was published"
    warehouse = Warehouse(desk.home.warehouse)
    try:
        publications.publish(desk.home, publications.build(desk.home, warehouse, AT.date(), None), keep=9)
    finally:
        warehouse.close()
    with publications.newest(desk.home) as told:
        [counts] = comparing.kept(desk.home, told, AT).to_dicts()
        assert comparing.kept(desk.home, told, AT + timedelta(days=1)).is_empty()
        report = completeness(Answer(told, Question(AT), reports=comparing.kept(desk.home, told, AT)))
    assert (counts["portfolio"], counts["quantities"], counts["quantities_exact"]) == ("desk", 5, 5)
    assert (counts["prices_explained"], counts["refused"]) == (1, 0)
    assert report.reports.to_dicts() == [counts]
    assert proven.pdf(report)
