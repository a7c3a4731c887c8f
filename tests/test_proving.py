"""What is taken away at a venue is found: where, how much, and which days it leaves in doubt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines import pull, replay, statements
from pipelines.pages import Page
from pipelines.sandbox.serve import Sandbox
from pipelines.tables import CHAIN_BREAKS, COMPLETENESS, DAILY_BALANCES, TIE_OUTS
from pipelines.venues.cryptofuse.client import CryptofuseClient
from tests.closing_once import House, house
from tests.ledger_text import D, instant

START, DAYS = instant("2025-01-01"), 12
OWNERS = {"desk": ("coinbase", "BTC", "match"), "perps": ("pacifica", "USDC", "trade"), "shop": ("cryptofuse", "ETH", "deposit")}
AMOUNTS = [D("2.5"), D(-1), D("0.125"), D("3.5"), D(-2), D("0.75"), D(5), D(-5), D("1.25"), D("0.5")]
Rows = list[dict[str, object]]


def ledger() -> Rows:
    """One row a day for each venue's one account; the seventh and the eighth undo each other."""
    rows: Rows = []
    for portfolio, (venue, code, word) in OWNERS.items():
        balance = D(0)
        for n, amount in enumerate(AMOUNTS):
            balance += amount
            own = {"pending_after": 0 if venue == "pacifica" else "", "event_id": 40 + 7 * n if venue == "coinbase" else ""}
            kind = "withdrawal" if venue == "cryptofuse" and amount < 0 else word
            at = f"{START + timedelta(days=n, hours=10):%Y-%m-%dT%H:%M:%S.000000Z}"
            row = {"venue": venue, "portfolio": portfolio, "native_code": code, "occurred_at": at, "event_type": kind}
            rows.append(row | {"amount": amount, "balance_after": balance} | own)
    return rows


def dataset(folder: Path, rows: Rows) -> Path:
    folder.mkdir(parents=True)
    owners = "".join(f'[[portfolio]]\nname = "{p}"\nvenue = "{v}"\nentity = "acme"\n' for p, (v, _, _) in OWNERS.items())
    end = START + timedelta(days=DAYS)
    (folder / "dataset.toml").write_text(f'name = "gaps"\nstart = {START:%Y-%m-%d}\nend = {end:%Y-%m-%d}\n{owners}')
    pl.DataFrame([{k: str(v) for k, v in row.items()} for row in rows]).write_csv(folder / "ledger.csv")
    hours = [START - timedelta(days=2) + timedelta(hours=n) for n in range((DAYS + 2) * 24)]
    candles = [f"{c}-USD,{int(t.timestamp())},90,110,100,{100 + n / 100},1.5" for c in ("BTC", "ETH") for n, t in enumerate(hours)]
    (folder / "candles.csv").write_text("\n".join(["product_id,time,low,high,open,close,volume", *candles]) + "\n")
    market = {"quote_currency": "USD", "status": "online", "trading_disabled": False}
    (folder / "products.json").write_text(json.dumps([{"id": f"{c}-USD", "base_currency": c, **market} for c in ("BTC", "ETH")]))
    return folder


@contextmanager
def closed(folder: Path, rows: Rows) -> Iterator[House]:
    with Sandbox(dataset(folder / "data", rows)) as sandbox, house(folder / "book", sandbox) as book:
        assert [o.error for o in book.run() if o.error] == []
        yield book


def statuses(book: House, portfolio: str) -> dict[int, tuple[str, str, str | None]]:
    """Day of January → balance status, movements status, reasons."""
    rows = book.warehouse.sql(
        "SELECT day, balance_status, movements_status, status_reasons FROM daily_balances JOIN accounts USING (account_id) "
        f"WHERE portfolio = '{portfolio}' AND native_code = '{OWNERS[portfolio][1]}' ORDER BY day"
    )
    return {day.day: (b, m, r) for day, b, m, r in rows.iter_rows()}


def proofs(book: House, portfolio: str) -> list[tuple]:
    """The account's intervals: since, balance status, movements status."""
    return book.warehouse.sql(
        "SELECT since, balance_status, movements_status FROM completeness JOIN accounts USING (account_id) "
        f"WHERE retired_at IS NULL AND portfolio = '{portfolio}' AND native_code = '{OWNERS[portfolio][1]}' ORDER BY since"
    ).rows()


def breaks(book: House) -> list[tuple]:
    return book.warehouse.sql(
        "SELECT portfolio, kind, since, until, missing FROM chain_breaks JOIN accounts USING (account_id) "
        "WHERE retired_at IS NULL ORDER BY ALL"
    ).rows()


def without(*places: int) -> Rows:
    """The ledger less these rows of each portfolio."""
    mine = {p: [row for row in ledger() if row["portfolio"] == p] for p in OWNERS}
    return [row for p in OWNERS for n, row in enumerate(mine[p]) if n not in places]


PROVED = {"desk": "NOT_TESTED", "perps": "NOT_TESTED", "shop": "COMPLETE"}
"""The merchant's count is the only proof of movements here: the ids leave gaps."""


def test_a_whole_ledger_is_complete_and_only_a_count_proves_its_movements(tmp_path: Path) -> None:
    with closed(tmp_path, ledger()) as book:
        assert breaks(book) == []
        for portfolio in OWNERS:
            assert set(statuses(book, portfolio).values()) == {("COMPLETE", PROVED[portfolio], None)}, portfolio
        tied = book.table(TIE_OUTS)
        assert set(tied["outcome"]) == {"AGREES"}
        assert {(p, "BALANCE") for p in OWNERS} | {("perps", "PENDING"), ("shop", "ENTRIES")} <= set(
            tied.select("portfolio", "kind").rows()
        )


def test_a_row_taken_away_leaves_the_days_between_its_neighbours_in_doubt_and_no_others(tmp_path: Path) -> None:
    with closed(tmp_path, without(3)) as book:
        between = (instant("2025-01-03T10:00:00Z"), instant("2025-01-05T10:00:00Z"))
        assert breaks(book) == [(portfolio, "BALANCE", *between, D("3.5")) for portfolio in sorted(OWNERS)]
        for portfolio, proved in PROVED.items():
            said = statuses(book, portfolio)
            told = {day: b for day, (b, _, _) in said.items()}
            assert told == {d: "COMPLETE" if d < 3 else "EXCEPTION" if d < 5 else "NOT_TESTED" for d in said}, "the sum is not the venue's"
            assert proofs(book, portfolio)[-1] == (between[1], "COMPLETE", "EXCEPTION"), "the venue's own figure, tied out"
            assert {m for day, (_, m, _) in said.items() if day >= 3} == {"EXCEPTION"}
            assert {m for day, (_, m, _) in said.items() if day < 3} == {proved}
            assert all("CHAIN_BREAK" in str(r) for day, (_, _, r) in said.items() if day >= 3), "marked: the venue's figure is another"


def test_a_page_taken_away_is_one_break_of_its_sum(tmp_path: Path) -> None:
    with closed(tmp_path, without(1, 2, 3)) as book:
        between = (instant("2025-01-01T10:00:00Z"), instant("2025-01-05T10:00:00Z"))
        assert breaks(book) == [(portfolio, "BALANCE", *between, D("2.625")) for portfolio in sorted(OWNERS)]


def test_two_rows_that_cancel_can_be_missing_together_and_movements_are_not_proved(tmp_path: Path) -> None:
    with closed(tmp_path, without(6, 7)) as book:
        assert breaks(book) == []
        assert {b for p in OWNERS for b, _, _ in statuses(book, p).values()} == {"COMPLETE"}
        assert {m for p in ("desk", "perps") for _, m, _ in statuses(book, p).values()} == {"NOT_TESTED"}


def test_what_is_missing_at_the_end_is_told_by_the_live_balance_and_forgiven_when_it_comes(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "data", ledger())
    last = START + timedelta(days=9, hours=10)
    hidden = "\n".join([
        "[[late]]", 'portfolio = "desk"', 'native_code = "BTC"', f'occurred_at = "{last + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"',
        'event_type = "match"', 'amount = "0.25"', f'visible_from = "{START + timedelta(days=11):%Y-%m-%dT%H:%M:%SZ}"', "restate = true\n",
    ])  # fmt: skip
    (folder / "faults.toml").write_text(hidden)
    with Sandbox(folder) as sandbox, house(tmp_path / "book", sandbox) as book:
        sandbox.now = START + timedelta(days=10, hours=12)
        book.run()
        assert statuses(book, "desk")[10] == ("COMPLETE", "NOT_TESTED", None)
        sandbox.now = START + timedelta(days=11, hours=12)
        book.run()
        assert statuses(book, "desk")[10] == ("COMPLETE", "NOT_TESTED", None)
        assert book.warehouse.sql("SELECT DISTINCT outcome FROM tie_outs")["outcome"].to_list() == ["AGREES"]
        assert book.table(COMPLETENESS).filter(pl.col("retired_at").is_not_null()).is_empty()


def test_a_live_balance_without_any_entry_is_a_row_of_every_day_and_never_called_complete(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "data", ledger())
    vault = '[[portfolio]]\nname = "vault"\nvenue = "coinbase"\nentity = "acme"\nopening = { BTC = "5" }\n'
    (folder / "dataset.toml").write_text((folder / "dataset.toml").read_text() + vault)
    with Sandbox(folder) as sandbox, house(tmp_path / "book", sandbox) as book:
        assert [o.error for o in book.run() if o.error] == []
        rows = book.warehouse.sql(
            "SELECT balance, balance_status, movements_status, status_reasons, kind FROM daily_balances JOIN accounts USING (account_id) "
            "JOIN openings USING (account_id) WHERE portfolio = 'vault' AND native_code = 'BTC'"
        ).rows()
        assert rows == [(D(5), "NOT_TESTED", "NOT_TESTED", "NO_ENTRIES", "DERIVED_LIVE")] * DAYS


def test_an_opening_that_changes_is_held_against_the_live_balance_without_asking_again(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "data", ledger())
    vault = '[[portfolio]]\nname = "vault"\nvenue = "coinbase"\nentity = "acme"\nopening = { BTC = "5" }\n'
    (folder / "dataset.toml").write_text((folder / "dataset.toml").read_text() + vault)
    asserted = '\n[[opening]]\nportfolio = "vault"\nnative_code = "BTC"\namount = "{}"\nat = 2025-01-01T00:00:00Z\ndocument = "letter"\n'
    with Sandbox(folder) as sandbox:
        with house(tmp_path / "book", sandbox) as book:
            book.run()
        for amount, outcome in (("7", "DIFFERS"), ("5", "AGREES")):
            with house(tmp_path / "book", sandbox, asserted.format(amount)) as book:
                replay.catch_up(book.warehouse, book.archive, book.journal, book.config)
                newest = "SELECT theirs, ours, outcome FROM tie_outs WHERE portfolio = 'vault' ORDER BY recorded_at DESC LIMIT 1"
                assert book.warehouse.sql(newest).rows() == [(D(5), D(amount), outcome)]


def test_a_second_run_proves_nothing_new(tmp_path: Path) -> None:
    with Sandbox(dataset(tmp_path / "data", without(3))) as sandbox, house(tmp_path / "book", sandbox) as book:
        book.run()
        before = [book.table(table) for table in (CHAIN_BREAKS, COMPLETENESS, TIE_OUTS, DAILY_BALANCES)]
        changed = book.warehouse.changed_at()
        book.run()
        assert all(
            table.equals(book.table(t)) for table, t in zip(before, (CHAIN_BREAKS, COMPLETENESS, TIE_OUTS, DAILY_BALANCES), strict=True)
        )
        assert book.warehouse.changed_at() == changed


def test_a_break_is_asked_about_once_more_before_anybody_hears_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    history = pull._Walker._history

    async def leaves_out_the_fourth(self, client, code, account):
        batch = await history(self, client, code, account)
        asked.append(batch.portfolio)
        return replace(batch, pages=tuple(map(_less_one, batch.pages)))

    monkeypatch.setattr(pull._Walker, "_history", leaves_out_the_fourth)
    with closed(tmp_path, ledger()) as book:
        assert {"desk", "perps", "shop"} == set(asked)
        assert book.table(CHAIN_BREAKS).is_empty()
        entries = book.warehouse.sql(
            "SELECT portfolio, count(*) FROM postings JOIN accounts USING (account_id) WHERE retired_at IS NULL GROUP BY ALL"
        )
        assert dict(entries.iter_rows()) == dict.fromkeys(OWNERS, len(AMOUNTS))


def _less_one(page: Page) -> Page:
    told = json.loads(page.body)
    rows = told if isinstance(told, list) else told.get("history") or told["data"]
    if len(rows) > 6:
        del rows[6]  # newest first
    return replace(page, body=json.dumps(told).encode())


@pytest.mark.parametrize(
    ("main", "theirs", "told"), [("5.625", "5.625", "sub_accounts"), ("3.625", "5.625", "booked"), ("4.625", "4.625", None)]
)
def test_sub_accounts_are_in_the_book_where_the_history_ties_out_with_them(
    tmp_path: Path, monkeypatch, main: str, theirs: str, told: str | None
) -> None:
    balances = CryptofuseClient.balances

    async def two_are_in_sub_accounts(self):
        return [
            replace(page, body=json.dumps({"account": {"ETH": main}, "sub_accounts": {"ETH": "2"}}).encode())
            for page in await balances(self)
        ]

    monkeypatch.setattr(CryptofuseClient, "balances", two_are_in_sub_accounts)
    with closed(tmp_path, ledger()) as book:
        [(figure, outcome)] = book.warehouse.sql(
            "SELECT theirs, outcome FROM tie_outs WHERE portfolio = 'shop' AND kind = 'BALANCE'"
        ).rows()
        assert (figure, outcome) == (D(theirs), "AGREES" if told else "DIFFERS")
        assert statuses(book, "shop")[11][0] == ("COMPLETE" if told else "EXCEPTION")
        beside = book.warehouse.sql(statements._LIVE, book.warehouse.changed_at()).filter(portfolio="shop")
        assert beside.select("native_code", "scope", "amount").rows() == [("ETH", told or "sub_accounts", D(2))]
