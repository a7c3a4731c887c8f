"""A row that a venue puts in far back and whose successors it does not restate: nothing shows it but reading the past again."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.house import house, venues
from tests.faults.test_changes import OWNERS, SHOWN_FROM, dataset, late, rows
from tests.ledger_text import D, instant

DEEP = instant("2025-01-20T00:00:30Z")
BEFORE = SHOWN_FROM - timedelta(hours=1)
LEDGERS = "/accounts/{account_id}/ledger"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("deep") / "dataset")


def test_a_row_put_in_within_the_last_week_is_found_by_the_next_pull(data: Path, tmp_path: Path) -> None:
    """26 entries back: further than the twenty that every walk reads again."""
    at = SHOWN_FROM - timedelta(days=6, hours=12, minutes=5)
    faults = "".join(late(portfolio, code, False, at) for portfolio, (_, code, _) in OWNERS.items())
    with venues(data, faults, now=BEFORE) as sandbox, house(tmp_path, sandbox.config_text(), 100) as book:

        def found(now: datetime) -> dict[str, list[object]]:
            sandbox.now = now
            assert book.run() == {}
            return {p: rows(book, p, code).filter(occurred_at=at)["amount"].to_list() for p, (_, code, _) in OWNERS.items()}

        assert found(BEFORE) == {"desk": [], "perps": [], "shop": []}
        assert found(SHOWN_FROM) == {"desk": [D("0.25")], "perps": [D("0.25")], "shop": [D("0.25")]}


def test_a_row_put_in_three_months_back_is_found_within_a_week(data: Path, tmp_path: Path) -> None:
    """Where the venue does not count its rows, nothing else tells."""
    accounts = {"desk": "BTC", "perps": "USDC"}
    faults = "".join(late(portfolio, code, False, DEEP) for portfolio, code in accounts.items())
    with venues(data, faults, now=BEFORE) as sandbox, house(tmp_path, sandbox.config_text(), 100) as book:

        def found(days: int) -> list[bool]:
            sandbox.now = BEFORE + timedelta(days=days)
            assert book.run() == {}
            return [not rows(book, p, code).filter(occurred_at=DEEP).is_empty() for p, code in accounts.items()]

        assert [found(days) for days in (0, 1, 6, 7)] == [[False] * 2, [False] * 2, [False] * 2, [True] * 2]
        for portfolio, code in accounts.items():
            assert rows(book, portfolio, code)["occurred_at"].is_unique().all(), "and nothing else came twice"


def test_what_is_read_again_is_configured(data: Path, tmp_path: Path) -> None:
    with venues(data, late("desk", "BTC", False, DEEP), now=BEFORE) as sandbox:
        text = sandbox.config_text().replace("[prices]", "[pull]\nwhole_days = 1\n[prices]")
        with house(tmp_path, text, 100) as book:
            book.run()
            sandbox.now = BEFORE + timedelta(days=1)
            book.run()
            assert rows(book, "desk", "BTC").filter(occurred_at=DEEP).height == 1


def test_a_merchant_s_count_finds_it_at_once_though_other_rows_cannot_be_read(tmp_path: Path) -> None:
    """One row with nineteen decimals, which waits in suspense, switches no proof off."""
    folder = dataset(tmp_path / "dataset")
    ledger = (folder / "ledger.csv").read_text()
    (folder / "ledger.csv").write_text(
        ledger + "cryptofuse,shop,SOL,2025-01-03T00:00:00Z,deposit,0.0000000000000000001,0.0000000000000000001,,\n"
    )
    with (
        venues(folder, late("shop", "ETH", False, DEEP), now=BEFORE) as sandbox,
        house(tmp_path / "book", sandbox.config_text(), 100) as book,
    ):
        assert book.run() == {}
        assert set(book.suspended()) == {"amount has more than 18 decimals"}
        before = sandbox.requests["GET", "/user/balances/history/", 200]
        assert book.run() == {}
        assert sandbox.requests["GET", "/user/balances/history/", 200] == before + 1, "the count agrees: no walk to the beginning"
        sandbox.now = SHOWN_FROM
        assert book.run() == {}
        assert rows(book, "shop", "ETH").filter(occurred_at=DEEP).height == 1


def test_an_account_that_was_never_used_is_asked_once_a_week_and_is_read_through_all_the_same(data: Path, tmp_path: Path) -> None:
    with venues(data, now=BEFORE - timedelta(days=9)) as sandbox, house(tmp_path, sandbox.config_text(), 100) as book:

        def asked(now: datetime) -> int:
            sandbox.now = now
            before = sandbox.requests["GET", LEDGERS, 200]
            assert book.run() == {}
            assert {at for (p, _), at in book.read_through().items() if p == "desk"} == {now}
            return sandbox.requests["GET", LEDGERS, 200] - before

        first = asked(BEFORE - timedelta(days=9))
        assert first - asked(BEFORE - timedelta(days=8)) >= 4, "USD, EUR, GBP and USDC are listed and empty"
        assert asked(BEFORE - timedelta(days=2)) >= first
