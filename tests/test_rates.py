"""Rates from a file are kept in the journal by version, close into daily_rates, and are there without the file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from pipelines import rates
from pipelines.book import at, reported
from pipelines.config import Config, Rates, load
from pipelines.errors import ConfigError
from pipelines.sandbox.serve import Sandbox
from pipelines.tables import DAILY_RATES, PUBLICATIONS, RATES
from tests import tiny
from tests.closing_once import House, house
from tests.ledger_text import D, instant

FIRST = "date,rate\n2025-01-01,1.25\n2025-01-02,N/A\n2025-01-03,1.6\n"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tiny.dataset(tmp_path_factory.mktemp("rates") / "d")) as sandbox:
        plain = sandbox.config_text()
        sandbox.config_text = lambda: plain.replace("[book]", '[book]\nreporting_currency = "EUR"', 1)  # type: ignore[method-assign]
        yield sandbox


def entry(file: Path) -> str:
    return f'\n[[rates]]\ncurrency = "USD"\nfile = "{file}"\ndocument = "ECB"\ninverse = true\nlongest = 3\n'


def told(book: House) -> dict[int, tuple]:
    found = book.table(DAILY_RATES).filter(currency="USD", calendar="utc")
    return {d.day: (rate, of and of.day, why) for d, rate, of, why in found.select("day", "rate", "rate_date", "reason").iter_rows()}


def test_rates_close_with_the_days_and_a_book_built_anew_has_them_without_the_file(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "ecb.csv"
    file.write_text(FIRST)
    with house(tmp_path / "book", sandbox, entry(file)) as book:
        book.run()
        assert told(book)[1] == told(book)[2] == (D("0.8"), 1, None)
        assert told(book)[4] == (D("0.625"), 3, None)
        assert told(book)[7] == (None, 3, "RATE_TOO_OLD")
        assert set(book.table(DAILY_RATES).filter(currency="EUR")["source"]) <= {"PAR"}
        changed = book.warehouse.changed_at()
        book.run()
        assert book.warehouse.changed_at() == changed, "a file that says nothing new changes nothing"
        known = book.warehouse.known_through()
        file.write_text("date,rate\n2025-01-01,1.25\n2025-01-02,1.28\n2025-01-03,2\n2025-01-06,2.5\n")
        book.run()
        assert [told(book)[n][0] for n in (2, 3, 7)] == [D("0.78125"), D("0.5"), D("0.4")]
        versions = book.table(RATES).filter(rate_date=date(2025, 1, 3)).sort("recorded_at")
        assert versions["rate"].to_list() == [D("0.625"), D("0.5")]
        assert versions["retired_at"][0] == versions["recorded_at"][1]
        before, now = book.table(RATES), book.table(DAILY_RATES)
        with book.warehouse.commit("a publication") as commit:
            about = {"publication_id": 1, "known_through": commit.recorded_at, "built_at": commit.recorded_at, "software": ""}
            commit.insert(PUBLICATIONS, PUBLICATIONS.frame([about | {"book_start": date(2025, 1, 1)}]))
        for known_at, rate in ((None, D("0.5")), (known, D("0.625"))):
            found = reported(book.warehouse, at(book.warehouse, instant("2025-01-04"), known_at)).rows
            of_usd = found.filter(currency="USD").drop_nulls("value")
            assert set(of_usd["reporting_rate"]) == {rate}
            assert set(of_usd["rate_date"]) == {date(2025, 1, 3)}
            assert of_usd["value"].to_list() == found.filter(currency="USD").drop_nulls("value")["value"].to_list()
    file.unlink()
    for store in ("archive", "journal"):
        shutil.copytree(tmp_path / "book" / store, tmp_path / "anew" / store)
    with house(tmp_path / "anew", sandbox, entry(file)) as anew:
        anew.run()
        assert anew.table(RATES).equals(before)
        assert anew.table(DAILY_RATES).equals(now)


def test_a_book_without_a_reporting_currency_tells_no_rates(tmp_path: Path, sandbox: Sandbox) -> None:
    with Sandbox(tiny.dataset(tmp_path / "d")) as plain, house(tmp_path / "book", plain) as book:
        book.run()
        assert book.table(RATES).is_empty()
        assert book.table(DAILY_RATES).is_empty()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("day,rate\n2025-01-01,1\n", "do not begin with date,rate"),
        ("date,rate\n", "hold no rate"),
        ("date,rate\n2025-01-01,1\n2025-01-01,2\n", "Line 3 of the rates"),
        ("date,rate\n01.02.2025,1\n", "Line 2 of the rates"),
        ("date,rate\n2025-01-01,0\n", "is not a date and a rate"),
        ("date,rate\n2025-01-01,1.0000000000000000001\n", "at most 18 decimals"),
        ("date,rate\n2025-01-01,1e30\n", "is not a date and a rate"),
    ],
)
def test_a_file_that_is_no_table_of_rates_is_refused_in_one_sentence(tmp_path: Path, body: str, says: str) -> None:
    file = tmp_path / "ecb.csv"
    file.write_text(body)
    with pytest.raises(ConfigError) as refused:
        list(rates._read(file, file.read_bytes()))
    assert says in str(refused.value) + refused.value.what


@pytest.mark.parametrize(
    ("book", "table", "says"),
    [
        ('reporting_currency = "EUR"', "", "need each other"),
        ("", 'currency = "USD"', "need each other"),
        ('reporting_currency = "USD"', 'currency = "USD"', "not at all"),
    ],
)
def test_a_reporting_currency_and_its_rates_need_each_other(tmp_path: Path, sandbox: Sandbox, book: str, table: str, says: str) -> None:
    text = sandbox.config_text().replace('reporting_currency = "EUR"', book)
    (tmp_path / "c.toml").write_text(text + (f'\n[[rates]]\n{table}\nfile = "x.csv"\ndocument = "ECB"\n' if table else ""))
    with pytest.raises(ConfigError, match=says):
        load(tmp_path / "c.toml")


def test_a_file_of_rates_lies_beside_the_configuration(tmp_path: Path, sandbox: Sandbox) -> None:
    (tmp_path / "c.toml").write_text(sandbox.config_text() + entry(Path("ecb.csv")))
    config: Config = load(tmp_path / "c.toml")
    [found] = config.rates
    assert isinstance(found, Rates)
    assert found.file == tmp_path / "ecb.csv"
