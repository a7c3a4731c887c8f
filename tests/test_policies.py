"""Policies and labels have two clocks: what the configuration said then is what is answered of then."""

from __future__ import annotations

import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines import book as books
from pipelines import recompute
from pipelines.config import load
from pipelines.errors import ConfigError
from pipelines.explain import explain
from pipelines.filing import first_difference, form_of
from pipelines.home import Home
from pipelines.sandbox.serve import Sandbox
from pipelines.statements import Answer, Question
from pipelines.tables import DAILY_PRICES, POLICIES, PUBLICATIONS
from tests import tiny
from tests.closing_once import House, house
from tests.ledger_text import D, instant
from tests.test_decisions import published

CLOSE = instant("2025-01-04")
PEG = '\n[[policy]]\nname = "frozen"\nasset = "BTC"\nprice = "{}"\ncurrency = "USD"\napprover = "controller"\n'
AS_ETHER = '\n[[asset]]\nvenue = "coinbase"\nnative_code = "BTC"\nasset = "XBT"\n'


def ran(home: Path, sandbox: Sandbox, more: str = "") -> tuple[House, datetime]:
    """One run, and the instant up to which it knows."""
    with house(home, sandbox, more) as book:
        book.run()
        return book, book.warehouse.known_through()


def publish(book: House, known: datetime) -> None:
    row = {"publication_id": 1, "known_through": known, "built_at": known, "software": "", "book_start": CLOSE.date()}
    with book.warehouse.commit("publication") as commit:
        commit.insert(PUBLICATIONS, PUBLICATIONS.frame([row]))


def answers(home: Path, sandbox: Sandbox, more: str, *known_at: datetime) -> list[dict[str, Any]]:
    """What is said of the bitcoin account at the close, as known at each of these instants."""
    with house(home, sandbox, more) as book:
        publish(book, known_at[-1])
        told = [books.at(book.warehouse, CLOSE, known).rows for known in known_at]
        return [rows.row(by_predicate=pl.col("native_code") == "BTC", named=True) for rows in told]


def test_a_policy_answers_for_the_time_at_which_the_configuration_said_so(tmp_path: Path) -> None:
    with Sandbox(tiny.dataset(tmp_path / "data")) as sandbox:
        texts = ["", PEG.format(7), PEG.format(8), ""]
        moments = [ran(tmp_path / "home", sandbox, text)[1] for text in texts]
        told = answers(tmp_path / "home", sandbox, "", *moments)
        assert [(row["price_basis"], row["price"]) for row in told[1:3]] == [("FIXED_POLICY", D(7)), ("FIXED_POLICY", D(8))]
        assert told[0]["price_basis"] == told[3]["price_basis"] == "VWAP_24H"
        with house(tmp_path / "home", sandbox) as book:
            versions = book.table(POLICIES).sort("recorded_at")
            assert versions.select("price", pl.col("retired_at").is_not_null()).rows() == [(D(7), True), (D(8), True)]
            closed = book.table(DAILY_PRICES).filter(asset="BTC", method="VWAP_24H")
            assert set(closed["price_basis"]) == {"VWAP_24H"}, "the newest knowledge prices at market again"


def test_a_label_answers_for_the_time_at_which_it_held(tmp_path: Path) -> None:
    with Sandbox(tiny.dataset(tmp_path / "data")) as sandbox:
        moments = [ran(tmp_path / "home", sandbox, text)[1] for text in ("", AS_ETHER, "")]
        told = answers(tmp_path / "home", sandbox, "", *moments)
        assert [row["asset"] for row in told] == ["BTC", "XBT", "BTC"]
        assert [row["reason"] for row in told] == [None, "NO_USD_PAIR", None]


def test_an_alias_takes_the_hours_and_the_price_of_an_asset_that_nobody_holds(tmp_path: Path) -> None:
    alias = AS_ETHER + '\n[[policy]]\nasset = "XBT"\nsame_as = "BTC"\napprover = "controller"\n'
    with Sandbox(tiny.dataset(tmp_path / "data")) as sandbox:
        ran(tmp_path / "plain", sandbox)
        with house(tmp_path / "plain", sandbox) as plain, house(tmp_path / "alias", sandbox, alias) as book:
            book.run()
            market = plain.table(DAILY_PRICES).filter(asset="BTC", method="VWAP_24H").select("day", "price", "candle_count", "evidence")
            aliased = book.table(DAILY_PRICES).filter(asset="XBT", price_basis="ALIAS_POLICY")
            assert aliased.select(market.columns).equals(market)
            assert "BTC" not in set(book.table(DAILY_PRICES)["asset"])


def test_an_alias_is_explained_and_verified_from_its_evidence(tmp_path: Path) -> None:
    alias = AS_ETHER + '\n[[policy]]\nname = "wrapped"\nasset = "XBT"\nsame_as = "BTC"\napprover = "controller"\n'
    with Sandbox(tiny.dataset(tmp_path / "data")) as sandbox, house(tmp_path / "home", sandbox, alias) as book:
        book.run()
        publish(book, book.warehouse.known_through())
        told = "\n".join(explain(book.warehouse, CLOSE, "desk", "XBT"))
        assert "XBT is priced as BTC (policy wrapped, approved by controller)" in told
        assert told.count("BTC-USD 2025-01-03") == 24
        archive = tmp_path / "bundle.zip"
        with published(Home(tmp_path / "published"), book) as newest:
            archive.write_bytes(form_of(Answer(newest, Question(CLOSE)), "bundle"))
        assert first_difference(archive) == ""
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tmp_path / "bundle")
        assert list(recompute.differences(tmp_path / "bundle")) == []
        policies_file = tmp_path / "bundle/evidence/policies.csv"
        policies_file.write_text(policies_file.read_text().replace("BTC", "ETH"))
        assert any(line.startswith("price of desk BTC") for line in recompute.differences(tmp_path / "bundle"))


def test_all_dollars_keep_their_price_when_one_code_is_mapped_to_them_as_a_coin(tmp_path: Path) -> None:
    as_dollar = '\n[[asset]]\nvenue = "coinbase"\nnative_code = "BTC"\nasset = "USD"\nclass = "crypto"\n'
    with Sandbox(tiny.dataset(tmp_path / "data")) as sandbox, house(tmp_path / "home", sandbox, as_dollar) as book:
        book.run()
        assert set(book.table(DAILY_PRICES).filter(asset="USD")["price_basis"]) == {"PAR"}


MINIMAL = """
[book]
start = 2025-01-01
[[portfolio]]
name = "perps"
venue = "pacifica"
base_url = "https://api.pacifica.fi"
account = "abc"
"""


def policies(*texts: str) -> str:
    return MINIMAL + "".join(f'[[policy]]\napprover = "controller"\n{text}\n' for text in texts)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (policies('asset = "USDC"\nprice = "0"\ncurrency = "USD"'), "price"),
        (policies('asset = "USDC"\nprice = "-1"\ncurrency = "USD"'), "price"),
        (policies('asset = "USDC"\nprice = "1"\ncurrency = "usd"'), "currency"),
        (policies('asset = "USDC"\nprice = "1"\ncurrency = "DOLLAR"'), "currency"),
        (policies('asset = ""\nexclude = true'), "asset"),
        (policies('asset = " "\nexclude = true'), "asset"),
        (policies('asset = "USDC"\nexclude = true\nfrom = 2025-02-01T00:00:00Z\nto = 2025-02-01T00:00:00Z'), "from must lie before to"),
        (policies('asset = "USDC"\nexclude = true\nsame_as = "USD"'), "either excludes an asset"),
        (policies('asset = "USDC"\nexclude = true\nbound = "0.1"'), "a bound says how far"),
        (policies('asset = "USDC"\nprice = "1"\ncurrency = "USD"\nbound = "0"'), "bound"),
        (policies('asset = "WBTC"\nsame_as = "WBTC"'), "same as itself"),
        (policies('asset = "A"\nsame_as = "B"', 'asset = "B"\nsame_as = "C"'), "name the last one"),
        (policies('asset = "USDC"\nexclude = true', 'asset = "USDC"\nprice = "1"\ncurrency = "USD"'), "two policies are called"),
        (
            policies('asset = "USDC"\nexclude = true', 'name = "peg"\nasset = "USDC"\nprice = "1"\ncurrency = "USD"'),
            "speak of USDC at the same time",
        ),
        (
            policies(
                'asset = "USDC"\nexclude = true\nto = 2025-02-01T00:00:00Z',
                'asset = "USDC"\nprice = "1"\ncurrency = "USD"\nfrom = 2025-01-31T00:00:00Z',
            ),
            "speak of USDC at the same time",
        ),
    ],
)
def test_a_policy_that_no_reader_could_follow_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "closebook.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load(file)


def test_policies_that_follow_each_other_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "closebook.toml"
    file.write_text(
        policies(
            'asset = "USDC"\nexclude = true\nto = 2025-02-01T00:00:00Z',
            'asset = "USDC"\nprice = "1"\ncurrency = "USD"\nbound = "0.01"\nfrom = 2025-02-01T00:00:00Z',
            'asset = "WBTC"\nsame_as = "BTC"',
        )
    )
    assert [p.called for p in load(file).policy] == ["USDC", "USDC from 2025-02-01T00:00:00+00:00", "WBTC"]
