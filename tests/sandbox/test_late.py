"""A row that the venue shows late: from the data clock's `visible_from` on, with or without restating what came after."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import UsageError
from pipelines.sandbox.serve import Sandbox
from tests.sandbox.asking import Client, at, serving, write
from tests.sandbox.test_coinbase import EVER

LATE = """
[[late]]
portfolio = "desk"
native_code = "BTC"
occurred_at = "2025-01-04T00:00:00Z"
event_type = "transfer"
amount = "0.5"
visible_from = "2025-01-10T00:00:00Z"
restate = true
"""
OWN = [("1030", "0.17"), ("1020", "0.16"), ("1010", "0.15"), ("1001", "0.25")]


def shown(ask: Client) -> list[tuple[str, str]]:
    rows = ask.ledger(EVER).json()
    return [(row["id"], f"{float(row['balance']):g}") for row in rows]


def live(ask: Client) -> str:
    return {a["currency"]: a["available"] for a in ask.coinbase("/accounts").json()}["BTC"]


def test_before_it_is_visible_nothing_hints_at_it(tmp_path: Path) -> None:
    with serving(write(tmp_path, faults=LATE), now=at("2025-01-09T23:59:59.999999")) as ask:
        assert shown(ask) == OWN[1:]
        assert live(ask) == "0.16"


def test_once_visible_it_stands_in_its_place_and_shifts_what_came_after(tmp_path: Path) -> None:
    with serving(write(tmp_path, faults=LATE), now=at("2025-01-10")) as ask:
        assert shown(ask) == [("1030", "0.67"), ("1020", "0.66"), ("1010", "0.65"), ("1005", "0.75"), ("1001", "0.25")]
        assert live(ask) == "0.67"
        ask.sandbox.now = at("2025-01-09")
        assert shown(ask) == OWN[2:], "the data clock may be set back"


def test_without_restating_the_chain_breaks_after_it(tmp_path: Path) -> None:
    with serving(write(tmp_path, faults=LATE.replace("true", "false")), now=at("2025-01-10")) as ask:
        assert shown(ask) == [*OWN[:3], ("1005", "0.75"), ("1001", "0.25")]
        assert live(ask) == "0.17"


def test_a_cursor_walks_over_a_late_row_whose_id_is_higher_than_its_neighbours(tmp_path: Path) -> None:
    faults = LATE.replace("restate", 'event_id = "9999"\nrestate')
    with serving(write(tmp_path, faults=faults), now=at("2025-01-10")) as ask:
        met, cursor = [], ""
        while (rows := ask.ledger(f"{EVER}&limit=1{cursor}").json()) and len(met) < 10:
            met.append(rows[0]["id"])
            cursor = f"&after={rows[0]['id']}"
        assert met == ["1030", "1020", "1010", "9999", "1001"]


def test_two_late_rows_restate_each_other_in_the_order_they_become_visible(tmp_path: Path) -> None:
    second = LATE.replace("2025-01-04", "2025-01-06").replace("0.5", "-0.1").replace("2025-01-10", "2025-01-09")
    with serving(write(tmp_path, faults=LATE + second), now=at("2025-01-09")) as ask:
        assert live(ask) == "0.05"
        ask.sandbox.now = at("2025-01-10")
        assert [balance for _, balance in shown(ask)] == ["0.57", "0.56", "0.55", "0.65", "0.75", "0.25"]


@pytest.mark.parametrize(("portfolio", "code"), [("till", "USDTERC20"), ("margin", "USDC")])
def test_venues_without_ids_show_late_rows_too(tmp_path: Path, portfolio: str, code: str) -> None:
    faults = LATE.replace("desk", portfolio).replace("BTC", code).replace("transfer", "deposit").replace("2025-01-04", "2025-01-01")
    with serving(write(tmp_path, faults=faults), now=at("2025-01-10")) as ask:
        if portfolio == "till":
            rows = ask.cryptofuse("/user/balances/history/?currency=USDTERC20").json()["history"]
            assert [row["balance_after"] for row in rows] == ["475.500000", "500.500000", "0.500000"]
        else:
            rows = ask.pacifica("/account/balance/history", include_trades="true").json()["data"]
            assert [row["balance"] for row in rows[-2:]] == ["1000.500000", "0.500000"]


def test_faults_by_path_win_over_those_beside_the_dataset(tmp_path: Path) -> None:
    (tmp_path / "none.toml").write_text("")
    with serving(write(tmp_path / "d", faults=LATE), now=at("2025-01-10"), faults=tmp_path / "none.toml") as ask:
        assert shown(ask) == OWN


@pytest.mark.parametrize(
    ("faults", "complaint"),
    [
        ("[[late]", "is not TOML"),
        ("[[earthquake]]", "'earthquake' is no fault"),
        (LATE.replace("desk", "nobody"), "'nobody'"),
        (LATE.replace('"0.5"', "0.5"), "amount is missing or not of its form"),
        (LATE.replace('"0.5"', '"half"'), "amount 'half' is not decimal text"),
        (LATE.replace("restate = true", ""), "restate is missing"),
        (LATE.replace("restate", "colour = 1\nrestate"), "'colour' is not known"),
        (LATE.replace("2025-01-10T00:00:00Z", "soon"), "visible_from is not an instant"),
        (LATE.replace("desk", "margin"), "native_code 'BTC' has no balance history at Pacifica"),
        (LATE.replace("desk", "till").replace("00:00:00Z", "00:00:00.5Z"), "finer than cryptofuse prints"),
    ],
)
def test_a_wrong_fault_is_named(tmp_path: Path, faults: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=r"faults\.toml") as error:
        Sandbox(write(tmp_path, faults=faults))
    assert complaint in error.value.what
    assert error.value.todo
