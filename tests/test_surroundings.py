"""The book stands when what surrounds it changes: ids at the venue, portfolios, calendars, documents, the window that is closed."""

from __future__ import annotations

import sqlite3
import time
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines import accounts, closing, histories, journalled, replay
from pipelines.config import Config
from pipelines.errors import ConfigError
from pipelines.journal import Journal
from pipelines.pages import Batch, Page
from pipelines.sandbox.serve import Sandbox
from pipelines.tables import ACCOUNTS, CLOSED_DAYS, DAILY_BALANCES, DAILY_VALUES, DIRTY, POSTINGS, SUSPENSE, TRANSFERS
from pipelines.warehouse import Reading
from tests import tiny
from tests.closing_once import DAILY, House, house
from tests.command import begin, ended
from tests.conftest import closebook
from tests.ledger_text import instant

TWO = tiny.LEDGER + "coinbase,vault,BTC,2025-01-01T12:00:00.000000Z,transfer,7,7,,9\n"
TOKYO = '[[calendar]]\nname = "tokyo"\ntimezone = "Asia/Tokyo"\n'


def daily(book: House) -> list[pl.DataFrame]:
    return [book.table(t) for t in DAILY]


def same(left: list[pl.DataFrame], right: list[pl.DataFrame]) -> None:
    for one, other in zip(left, right, strict=True):
        assert one.height
        assert one.equals(other)


def test_an_account_that_gets_another_id_at_the_venue_keeps_its_rows_and_gets_the_new_ones(tmp_path: Path) -> None:
    with (
        Sandbox(tiny.dataset(tmp_path / "d")) as sandbox,
        house(tmp_path / "book", sandbox) as book,
        house(tmp_path / "calm", sandbox) as calm,
    ):
        end = sandbox.now
        sandbox.now = end - timedelta(days=4)
        book.run()
        ids = book.table(ACCOUNTS)
        with book.warehouse.commit("another id") as commit:
            commit.replace(ACCOUNTS, ids.with_columns(venue_account_id=pl.lit("what it was called before")))
        sandbox.now = end
        book.run()
        calm.run()
        same(daily(book), daily(calm))
        assert book.table(POSTINGS).height == 4
        assert book.table(ACCOUNTS).equals(ids)


def test_a_portfolio_that_is_no_longer_configured_survives_the_loss_of_the_warehouse(tmp_path: Path) -> None:
    with Sandbox(tiny.dataset(tmp_path / "d", TWO, portfolios=("desk", "vault"))) as sandbox:
        with house(tmp_path / "book", sandbox) as book:
            book.run()
            before, known = daily(book), book.table(ACCOUNTS)
            text = sandbox.config_text()
        first = text.index("[[portfolio]]")
        last = text.index("[[portfolio]]", first + 1)
        assert 'name = "desk"' in text[first:last]
        kept = text[:last] + text[text.index("[prices]") :]
        sandbox.config_text = lambda: kept  # type: ignore[method-assign]
        with house(tmp_path / "again", sandbox) as again:
            again.archive = book.archive
            again.run()
            same(daily(again), before)
            assert again.table(ACCOUNTS).equals(known)
            assert set(known["portfolio"]) == {"desk", "vault"}


def test_a_calendar_that_is_dropped_takes_its_days_and_one_that_moves_is_refused(tmp_path: Path) -> None:
    both, moved = '[book]\ncalendars = ["utc", "tokyo"]', TOKYO.replace("Tokyo", "Seoul")
    with Sandbox(tiny.dataset(tmp_path / "d")) as sandbox:
        plain = sandbox.config_text()
        sandbox.config_text = lambda: TOKYO + plain.replace("[book]", both)  # type: ignore[method-assign]
        with house(tmp_path, sandbox) as book:
            book.run()
            assert set(book.table(CLOSED_DAYS)["calendar"]) == {"utc", "tokyo"}
        sandbox.config_text = lambda: moved + plain.replace("[book]", both)  # type: ignore[method-assign]
        with house(tmp_path, sandbox) as book, pytest.raises(ConfigError, match="closed days in the calendar tokyo"):
            book.run()
        sandbox.config_text = lambda: plain  # type: ignore[method-assign]
        with house(tmp_path, sandbox) as book:
            book.run()
            assert [set(t["calendar"]) for t in (*daily(book), book.table(CLOSED_DAYS))] == [{"utc"}] * 4


def test_a_calendar_with_locked_days_cannot_be_dropped(tmp_path: Path) -> None:
    with Sandbox(tiny.dataset(tmp_path / "d")) as sandbox:
        plain = sandbox.config_text()
        sandbox.config_text = lambda: TOKYO + plain.replace("[book]", '[book]\ncalendars = ["utc", "tokyo"]')  # type: ignore[method-assign]
        with house(tmp_path, sandbox) as book:
            book.run()
            journal = Journal(tmp_path / "journal")
            words = {"calendar": "tokyo", "day": "2025-01-03", "first": "2025-01-01", "publication": "1", "reason": "month end"}
            journal.append("LOCK", "controller", words | {"known_at": "2025-02-01T00:00:00+00:00"}, datetime(2025, 2, 1, tzinfo=UTC))
            journalled.bring_in(book.warehouse, journal)
        sandbox.config_text = lambda: plain  # type: ignore[method-assign]
        with house(tmp_path, sandbox) as book, pytest.raises(ConfigError, match="calendar tokyo are locked"):
            book.run()
        with house(tmp_path, sandbox) as book:
            journal.append("REOPEN", "controller", {"calendar": "tokyo", "day": "2025-01-01", "reason": "dropped"}, datetime.now(UTC))
            journalled.bring_in(book.warehouse, journal)
            book.run()
            assert set(book.table(CLOSED_DAYS)["calendar"]) == {"utc"}


def test_what_was_moved_between_portfolios_is_matched_again_when_one_changes_hands(tmp_path: Path) -> None:
    moved = tiny.LEDGER + (
        "coinbase,desk,BTC,2025-01-05T10:00:00.000000Z,transfer,-1,0.25,,20\n"
        "coinbase,vault,BTC,2025-01-05T10:01:00.000000Z,transfer,1,1,,21\n"
    )
    with Sandbox(tiny.dataset(tmp_path / "d", moved, portfolios=("desk", "vault"))) as sandbox:
        plain = sandbox.config_text()
        with house(tmp_path, sandbox) as book:
            book.run()
            before = book.table(TRANSFERS)
        first, last = plain.split('name = "vault"')
        sandbox.config_text = lambda: first + 'name = "vault"' + last.replace('entity = "acme"', 'entity = "zeta"', 1)  # type: ignore[method-assign]
        with house(tmp_path, sandbox) as book:
            book.run()
            after = book.table(TRANSFERS)
        sandbox.config_text = lambda: plain  # type: ignore[method-assign]
        with house(tmp_path, sandbox) as book:
            book.run()
            assert book.table(TRANSFERS).equals(before)
    assert before.height
    assert not after.equals(before)


def test_a_dirty_day_is_closed_again_wherever_the_window_ends(tmp_path: Path) -> None:
    with Sandbox(tiny.dataset(tmp_path / "d")) as sandbox, house(tmp_path, sandbox) as book:
        book.run()
        with book.warehouse.commit("a change") as commit:
            row = {"kind": "ACCOUNT", "subject": "1", "since": instant("2025-01-04"), "cause": "test", "recorded_at": commit.recorded_at}
            commit.insert(DIRTY, DIRTY.frame([row]))
        days = closing.to_close(book.warehouse, book.config, through=date(2025, 1, 2))
        assert days["day"].to_list() == [date(2025, 1, d) for d in (4, 5, 6, 7)]
        assert not days["whole"].any()


def test_an_account_first_seen_late_has_a_row_on_every_day_closed_before(tmp_path: Path) -> None:
    with Sandbox(tiny.dataset(tmp_path / "d")) as sandbox, house(tmp_path, sandbox) as book:
        book.run()
        with book.warehouse.commit("a balance whose history cannot be read") as commit:
            codes = pl.DataFrame({"native_code": ["LATE"], "venue_account_id": ["x"]}, schema=accounts.CODES)
            accounts.register(book.warehouse, commit, "desk", "coinbase", codes, book.config)
        days = closing.to_close(book.warehouse, book.config)
        closing.close_balances(book.warehouse, days)
        rows = book.warehouse.read(DAILY_BALANCES, "account_id = (SELECT max(account_id) FROM accounts)").sort("day")
        assert rows["day"].to_list() == book.table(CLOSED_DAYS)["day"].to_list()
        assert set(rows["balance"]) == {None}


def test_an_asserted_opening_has_an_account_and_prices_though_the_venue_never_shows_the_code(tmp_path: Path) -> None:
    opening = '\n[[opening]]\nportfolio = "desk"\nnative_code = "{}"\namount = "5"\nat = 2025-01-01T00:00:00Z\ndocument = "{}"\n'
    with Sandbox(tiny.dataset(tmp_path / "d", "\n".join(tiny.LEDGER.split("\n")[:1]) + "\n")) as sandbox:
        with house(tmp_path, sandbox, opening.format("BTC", "letter") + opening.format("XBT", "letter")) as book:
            book.run()
            values = book.table(DAILY_VALUES).join(book.table(ACCOUNTS), on="account_id")
            assert set(values.filter(pl.col("native_code") == "BTC")["value"] > 0) == {True}
            assert set(values.filter(pl.col("native_code") == "XBT")["reason"]) == {"UNMAPPED_ASSET"}
        with house(tmp_path, sandbox, opening.format("BTC", "deed")) as book:
            book.run()
            said = book.warehouse.sql(
                "SELECT document FROM openings JOIN accounts USING (account_id) WHERE native_code = 'BTC' ORDER BY ALL"
            )
            assert set(said["document"]) == {"deed", "letter"}


def test_an_opening_that_is_no_longer_asserted_is_unknown_and_one_of_the_future_is_refused(tmp_path: Path) -> None:
    opening = '\n[[opening]]\nportfolio = "desk"\nnative_code = "XBT"\namount = "5"\nat = {}-01-01T00:00:00Z\ndocument = "letter"\n'
    with Sandbox(tiny.dataset(tmp_path / "d")) as sandbox:
        with house(tmp_path, sandbox, opening.format(2025)) as book:
            book.run()
        with house(tmp_path, sandbox) as book:
            book.run()
            rows = book.table(DAILY_BALANCES).join(book.table(ACCOUNTS), on="account_id").filter(pl.col("native_code") == "XBT")
            assert set(rows["balance"]) == {None}
            assert rows["status_reasons"].str.contains("OPENING_UNKNOWN").all()
        with house(tmp_path, sandbox, opening.format(2125)) as book, pytest.raises(ConfigError, match="lies in the future"):
            book.run()


def test_every_day_is_closed_as_it_ends_though_no_account_is_read_from_its_beginning_again(tmp_path: Path) -> None:
    """More postings than a walk overlaps, so that no walk reaches the beginning by itself."""
    head, *_ = tiny.LEDGER.split("\n")
    at = [instant("2025-01-01") + timedelta(hours=4 * n + 1) for n in range(42)]
    rows = [f"coinbase,desk,BTC,{t:%Y-%m-%dT%H:%M:%S.000000Z},match,1,{n + 1},,{n + 1}" for n, t in enumerate(at)]
    with Sandbox(tiny.dataset(tmp_path / "d", "\n".join([head, *rows]) + "\n")) as sandbox, house(tmp_path, sandbox) as book:
        end = sandbox.now
        for left in (3, 2, 1, 0):
            sandbox.now = end - timedelta(days=left)
            book.run()
            assert book.table(CLOSED_DAYS)["as_of"].max() == sandbox.now


def test_the_same_refused_row_shown_to_two_portfolios_waits_twice_under_keys_of_its_own(tmp_path: Path) -> None:
    page = b'[{"currency": 7}]'
    with Sandbox(tiny.dataset(tmp_path / "d")) as sandbox, house(tmp_path, sandbox) as book:
        for name in ("a", "b"):
            at = book.warehouse.next_instant()
            batch = Batch("CURRENCIES", "cryptofuse", name, "", None, at, at, (Page("cryptofuse", name, "currencies", "GET /", at, page),))
            book.archive.put(batch, at)
        replay.catch_up(book.warehouse, book.archive, book.journal, book.config)
        waiting = book.table(SUSPENSE)
        assert waiting.height == 2
        assert waiting.select(SUSPENSE.key).is_unique().all()


@pytest.mark.parametrize(
    ("calendars", "at", "newest", "ahead"),
    [
        ('["utc"]', "2025-01-05T23:59:59", date(2025, 1, 4), 0),
        ('["utc", "tokyo"]', "2025-01-05T15:00:00", date(2025, 1, 5), 1),  # the day ends in Tokyo while it is young in UTC
        ('["utc", "new_york"]', "2025-01-05T22:00:00", date(2025, 1, 5), 1),
        ('["line"]', "2025-01-04T10:01:00", date(2025, 1, 5), 2),  # and there before its date begins
        ('["london"]', "2025-01-06T00:00:00", date(2025, 1, 5), 1),  # one hour early, in summer
    ],
)
def test_the_newest_day_is_the_newest_of_any_calendar(tmp_path: Path, calendars: str, at: str, newest: date, ahead: int) -> None:
    zones = {"tokyo": ("Asia/Tokyo", "00:00"), "line": ("Pacific/Kiritimati", "00:01"), "london": ("Europe/London", "00:00")}
    text = f"[book]\nstart = 2025-01-01\ncalendars = {calendars}\n" + "".join(
        f'[[calendar]]\nname = "{name}"\ntimezone = "{zone}"\ncut_off = {cut}:00\n' for name, (zone, cut) in zones.items()
    )
    text += '[[portfolio]]\nname = "p"\nvenue = "pacifica"\nbase_url = "http://127.0.0.1:9"\naccount = "abc"\n'
    config = Config.model_validate(tomllib.loads(text))
    assert closing.newest_day(config, datetime.fromisoformat(at).replace(tzinfo=UTC)) == newest
    assert closing.days_ahead(config) == ahead


def test_the_configuration_named_decides_whatever_the_default_one_says(tmp_path: Path) -> None:
    with Sandbox(tiny.dataset(tmp_path / "d")) as sandbox:
        sandbox.write_config(tmp_path / "ours.toml")
        text = (tmp_path / "ours.toml").read_text()
        (tmp_path / "closebook.toml").write_text(text.replace("end = 2025-01-08", "end = 2025-01-03"))
        assert "end = 2025-01-08" in text
        done = closebook("run", "--config", "ours.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Closed 7 days" in done.stdout


def test_two_first_commands_at_once_in_a_fresh_home_both_end_well(tmp_path: Path) -> None:
    with Sandbox(tiny.dataset(tmp_path / "d")) as sandbox:
        sandbox.write_config(tmp_path / "closebook.toml")
        both = [begin("run", cwd=tmp_path) for _ in range(2)]
        assert [ended(process) for process in both] == [0, 0]
    with sqlite3.connect(tmp_path / "data/dagster/history/runs.db") as history:
        assert history.execute("SELECT status FROM runs").fetchall() == [("SUCCESS",)] * 2, "neither takes the other for a dead one"


@pytest.mark.parametrize("spoil", ["another form", "not a database"])
def test_a_warehouse_that_cannot_be_used_is_put_aside_and_built_anew_from_the_archive(closed: Path, spoil: str) -> None:
    first = closebook("snapshot", "--day", "2025-01-07", "--format", "csv", cwd=closed).stdout
    path = closed / "data/warehouse.duckdb"
    if spoil == "another form":
        with duckdb.connect(str(path)) as con:
            con.execute("ALTER TABLE postings ADD COLUMN note VARCHAR")
    else:
        path.write_bytes(b"no database" * 1000)
    done = closebook("run", cwd=closed)
    assert done.returncode == 0, done.stderr
    assert "built anew from the archive" in done.stdout
    again = closebook("snapshot", "--day", "2025-01-07", "--format", "csv", cwd=closed).stdout
    assert without_known_at(again) == without_known_at(first)
    assert len(first.splitlines()) > 2


def without_known_at(csv: str) -> list[str]:
    return [",".join(line.split(",")[:1] + line.split(",")[2:]) for line in csv.splitlines()]


def test_no_connection_is_asked_while_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB refuses; slices are read ahead by another thread than the one that makes rows of them."""
    busy: set[int] = set()
    plain = Reading.sql

    def asked(self: Reading, query: str, *params: object) -> pl.DataFrame:
        assert id(self) not in busy, query
        busy.add(id(self))
        try:
            time.sleep(0.01)
            return plain(self, query, *params)
        finally:
            busy.remove(id(self))

    with Sandbox(tiny.dataset(tmp_path / "d")) as sandbox, house(tmp_path, sandbox) as book:
        book.run()
        before = book.table(DAILY_BALANCES)
        monkeypatch.setattr(histories, "SLICE", 3)
        monkeypatch.setattr(Reading, "sql", asked)
        days = book.table(CLOSED_DAYS).select("calendar", "day", "as_of")
        for close in (closing.close_balances, closing.close_prices, closing.close_values):
            close(book.warehouse, days)
        assert book.table(DAILY_BALANCES).equals(before)
