"""One portfolio under two names would count twice: refused by the configuration, by the pull, and by what commits its pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines import ingest
from pipelines.config import Config, load
from pipelines.errors import ConfigError
from tests.faults.house import END, House, dataset, house, venues

PORTFOLIO = "[[portfolio]]"
CODES = {"desk": "BTC", "perps": "USDC", "shop": "ETH"}
KEYS = {"desk": "key", "perps": "account", "shop": "client_id"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("twice") / "dataset")


def copied(text: str, name: str, monkeypatch: pytest.MonkeyPatch | None = None) -> str:
    """The configuration with one portfolio a second time, under another name; the key written otherwise, if it is to be found later."""
    head, *parts = text.split(PORTFOLIO)
    [part] = [p for p in parts if f'name = "{name}"' in p]
    copy = part.split("[prices]")[0].replace(f'name = "{name}"', 'name = "copy"')
    if monkeypatch:
        copy = copy.replace("127.0.0.1", "localhost")
        key = next(line for line in copy.splitlines() if line.startswith(KEYS[name]))
        monkeypatch.setenv("COPY", key.split('"')[1])
        copy = copy if name == "perps" else copy.replace(key, f'{KEYS[name]} = "env:COPY"')
    return PORTFOLIO.join([head + PORTFOLIO + copy, *parts][:1] + parts)


@pytest.mark.parametrize("name", CODES)
def test_a_configuration_with_one_key_under_two_names_is_refused(name: str, data: Path, tmp_path: Path) -> None:
    with venues(data) as sandbox:
        (tmp_path / "closebook.toml").write_text(copied(sandbox.config_text(), name))
    with pytest.raises(ConfigError, match=f"copy and {name} open the same: one portfolio under two names doubles the book") as refused:
        load(tmp_path / "closebook.toml")
    assert str(refused.value).count("*") == 0


@pytest.mark.parametrize("name", CODES)
def test_a_key_that_turns_out_to_open_the_same_is_refused_by_the_pull(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with venues(data) as sandbox:
        text = copied(sandbox.config_text(), name, monkeypatch)
        with house(tmp_path, text) as book:
            for _ in range(2):
                errors = book.run()
                assert len(errors) == 1, errors
                assert set(errors) < {"copy", name}
                assert "Give the portfolio its own key, or a new name." in next(iter(errors.values()))
                held = book.warehouse.sql("SELECT DISTINCT portfolio FROM accounts WHERE portfolio IN (?, 'copy')", name)
                assert held.height == 1, "one of the two is in the book"


@pytest.mark.parametrize("name", CODES)
def test_a_portfolio_under_a_new_name_is_not_a_second_one(name: str, data: Path, tmp_path: Path) -> None:
    with venues(data) as sandbox, house(tmp_path, sandbox.config_text()) as book:
        assert book.run() == {}
        before = book.balances()
        renamed = House(renaming(book.config, name), book.warehouse, book.archive)
        assert set(renamed.run()) == {"renamed"}
        assert renamed.balances() == before


def renaming(config: Config, name: str) -> Config:
    portfolios = tuple(p.model_copy(update={"name": "renamed"}) if p.name == name else p for p in config.portfolio)
    return config.model_copy(update={"portfolio": portfolios})


@pytest.mark.parametrize("name", CODES)
def test_pages_that_are_another_s_wait_in_suspense(name: str, data: Path, tmp_path: Path) -> None:
    with venues(data) as sandbox, house(tmp_path, sandbox.config_text()) as book:
        assert book.run() == {}
        before = book.facts()
        mine = (book.archive.get(n) for n in list(book.archive.names()))
        history = next(a.batch for a in mine if a.batch.kind == "HISTORY" and a.batch.portfolio == name and a.batch.subject in ("", "BTC"))
        book.archive.put(replace(history, portfolio="copy", until=END + timedelta(days=1)), book.warehouse.next_instant())
        [told] = ingest.catch_up(book.warehouse, book.archive, book.config)
        assert f"but {name} is bound to" in told.error
        assert [f.equals(before[t]) for t, f in book.facts().items()] == [True] * 3


def test_a_merchant_s_renewed_client_opens_the_same_portfolio(data: Path, tmp_path: Path) -> None:
    with venues(data) as sandbox, house(tmp_path, sandbox.config_text()) as book:
        assert book.run() == {}
        mine = (book.archive.get(n) for n in list(book.archive.names()))
        [*_, balances] = [a.batch for a in mine if a.batch.kind == "BALANCES" and a.batch.portfolio == "shop"]
        book.archive.put(replace(balances, identity="key:renewed"), book.warehouse.next_instant())
        assert [i.error for i in ingest.catch_up(book.warehouse, book.archive, book.config)] == [""]
        bound = "SELECT venue_id FROM portfolios WHERE portfolio = 'shop'"
        assert book.warehouse.sql(bound)["venue_id"].to_list() == ["key:renewed"]


def test_no_client_id_is_written_down(data: Path, tmp_path: Path) -> None:
    with venues(data) as sandbox, house(tmp_path, sandbox.config_text()) as book:
        assert book.run() == {}
        client_id = next(line for line in sandbox.config_text().splitlines() if line.startswith("client_id")).split('"')[1]
        [venue_id] = book.warehouse.sql("SELECT venue_id FROM portfolios WHERE portfolio = 'shop'")["venue_id"]
        assert venue_id.startswith("key:")
        assert client_id not in venue_id
