"""One portfolio under two names would count twice: refused by the configuration, by the pull, and by what commits its pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines import replay
from pipelines.config import Config, CryptofusePortfolio, load
from pipelines.errors import ConfigError
from pipelines.pages import Batch
from tests.faults.house import END, House, dataset, house, venues

PORTFOLIO = "[[portfolio]]"
CODES = {"desk": "BTC", "perps": "USDC", "shop": "ETH"}
BOUND = "SELECT venue_id FROM portfolios WHERE portfolio = 'shop'"
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


@pytest.fixture(scope="module")
def pulled(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A book that stands; every test leaves it as it was."""
    with venues(data) as sandbox, house(tmp_path_factory.mktemp("pulled"), sandbox.config_text()) as book:
        assert book.run() == {}
        yield book


def test_a_portfolio_under_a_new_name_is_not_a_second_one(pulled: House) -> None:
    before = pulled.balances()
    for name in CODES:
        renamed = House(renaming(pulled.config, name), pulled.warehouse, pulled.archive, pulled.journal)
        assert set(renamed.run()) == {f"renamed-{name}"}
    assert pulled.balances() == before


def renaming(config: Config, name: str) -> Config:
    portfolios = tuple(p.model_copy(update={"name": f"renamed-{name}"}) if p.name == name else p for p in config.portfolio)
    return config.model_copy(update={"portfolio": portfolios})


def batches(book: House, kind: str, portfolio: str) -> list[Batch]:
    found = (book.archive.get(name).batch for name in list(book.archive.names()))
    return [b for b in found if (b.kind, b.portfolio) == (kind, portfolio) and b.subject in ("", "BTC")]


@pytest.mark.parametrize("name", CODES)
def test_pages_that_are_another_s_wait_in_suspense(name: str, pulled: House) -> None:
    before = pulled.facts()
    history = batches(pulled, "HISTORY", name)[-1]
    pulled.archive.put(replace(history, portfolio="copy", until=END + timedelta(days=1)), pulled.warehouse.next_instant())
    [told] = replay.catch_up(pulled.warehouse, pulled.archive, pulled.journal, pulled.config)
    assert f"but {name} is bound to" in told.error
    assert [f.equals(before[t]) for t, f in pulled.facts().items()] == [True] * 3


def test_a_merchant_s_renewed_client_opens_the_same_portfolio(pulled: House) -> None:
    [venue_id] = pulled.warehouse.sql(BOUND)["venue_id"]
    for identity in ("key:renewed", venue_id):
        pulled.archive.put(replace(batches(pulled, "BALANCES", "shop")[-1], identity=identity), pulled.warehouse.next_instant())
        assert [i.error for i in replay.catch_up(pulled.warehouse, pulled.archive, pulled.journal, pulled.config)] == [""]
        assert pulled.warehouse.sql(BOUND)["venue_id"].to_list() == [identity]


def test_no_client_id_is_written_down(pulled: House) -> None:
    [shop] = [p for p in pulled.config.portfolio if isinstance(p, CryptofusePortfolio)]
    [venue_id] = pulled.warehouse.sql(BOUND)["venue_id"]
    assert venue_id.startswith("key:")
    assert shop.client_id.get_secret_value() not in venue_id
