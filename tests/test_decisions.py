"""Days are locked as they are known; what comes to be known later is listed beside them, to the last digit, and moves none of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from pipelines import book as books
from pipelines import decisions, doctor, journalled, locks, outgoing, postclose, publications
from pipelines.config import Policy
from pipelines.errors import ChecksFailed, MachineError, UsageError
from pipelines.home import Home
from pipelines.inbox import app
from pipelines.journal import Journal
from pipelines.publications import Publication
from pipelines.sandbox.serve import Sandbox
from pipelines.tables import PORTFOLIOS, STATEMENTS
from tests.closing_once import House, house
from tests.ledger_text import D, instant
from tests.test_proving import DAYS, START, Rows, dataset, ledger, without

LAST = date(2025, 1, 10)
NOW = instant("2026-01-01")


@contextmanager
def published(home: Home, book: House) -> Iterator[Publication]:
    journal = Journal(home.journal)
    journalled.bring_in(book.warehouse, journal)
    postclose.note(book.warehouse, journal, partial(publications.version, home))
    (home.published / "versions").mkdir(parents=True, exist_ok=True)
    publications.publish(home, publications.build(home, book.warehouse, START.date(), None), keep=1)
    with publications.newest(home) as newest:
        yield newest


@contextmanager
def running(folder: Path, rows: Rows, faults: str = "", now: int = DAYS) -> Iterator[tuple[Home, Journal, House, Sandbox]]:
    data = dataset(folder / "data", rows)
    (data / "faults.toml").write_text(faults)
    home = Home(folder / "home")
    with Sandbox(data) as sandbox, house(home.root, sandbox) as book:
        sandbox.now = START + timedelta(days=now)
        book.run()
        yield home, Journal(home.journal), book, sandbox


LATE = """
[[late]]
portfolio = "desk"
native_code = "BTC"
occurred_at = "2025-01-05T12:00:00Z"
event_type = "match"
amount = "-0.05"
visible_from = "2025-01-12T12:00:00Z"
restate = true
"""


def balances(source: Publication, known_at: object = None) -> dict[str, object]:
    rows = books.at(source, books.instant_of(source, LAST, "utc"), known_at).rows  # type: ignore[arg-type]
    return dict(rows.filter(portfolio="desk").select("native_code", "balance").iter_rows())


def told(home: Home, journal: Journal, newest: Publication) -> dict[str, object]:
    """The last day's balances as the book tells them: those of its lock, where it has one."""
    lock = locks.lock_of(journal, newest, "utc", books.instant_of(newest, LAST, "utc"))
    if lock is None:
        return balances(newest)
    with publications.version(home, lock.publication) as locked:
        return balances(locked)


def test_a_locked_day_shows_what_was_locked_and_a_late_event_stands_beside_it(tmp_path: Path) -> None:
    with running(tmp_path, ledger(), LATE, now=11) as (home, journal, book, sandbox):
        with published(home, book) as newest:
            decisions.lock(journal, newest, partial(publications.version, home), "utc", LAST, "ann", "month end", NOW)
            locked = balances(newest)
        sandbox.now = START + timedelta(days=DAYS)
        book.run()
        kept = partial(publications.version, home)
        with published(home, book) as newest:
            moved = {**locked, "BTC": locked["BTC"] - D("0.05")}  # type: ignore[operator]
            assert balances(newest) == moved
            assert told(home, journal, newest) == locked
            [item] = postclose.post_close(journal, newest, kept, "utc").to_dicts()
            assert (item["portfolio"], item["native_code"], item["balance_change"]) == ("desk", "BTC", D("-0.05"))
            assert (item["balance"], item["balance_now"], item["carried_by"]) == (locked["BTC"], moved["BTC"], None)
            after = books.instant_of(newest, LAST, "utc") + timedelta(microseconds=1)
            assert locks.lock_of(journal, newest, "utc", after) is None
            said = [line for _, line in decisions.checklist(journal, newest, kept, "utc", date(2025, 1, 1))]
            assert (said[0], said[3]) == ("12 of 31 days are closed", "not locked"), "the month's last day is not"
            listed = CliRunner().invoke(app, ["issues", "--home", str(home.root)]).output
            assert item["item"] in listed
            assert f"Cumulative: {item['currency']} {item['value_change'].normalize():f}" in listed
            decisions.carry(journal, newest, kept, item["item"], "cat", "immaterial", NOW)
            assert postclose.post_close(journal, newest, kept, "utc")["carried_by"].to_list() == ["cat"]
            assert told(home, journal, newest) == locked, "carried: the day stays"
            decisions.revise(journal, newest, kept, "utc", LAST, "cat", "the auditor asked", NOW)
            assert told(home, journal, newest) == moved
            assert postclose.post_close(journal, newest, kept, "utc").is_empty()
            with pytest.raises(UsageError, match="nothing to revise"):
                decisions.revise(journal, newest, kept, "utc", LAST, "cat", "again", NOW)


def test_late_events_that_cancel_before_the_locks_end_are_listed_on_the_day_they_show(tmp_path: Path) -> None:
    back = LATE.replace("2025-01-05T12", "2025-01-08T12").replace('"-0.05"', '"0.05"')
    with running(tmp_path, ledger(), LATE + back, now=11) as (home, journal, book, sandbox):
        with published(home, book) as newest:
            decisions.lock(journal, newest, partial(publications.version, home), "utc", LAST, "ann", "month end", NOW)
            locked = balances(newest)
        sandbox.now = START + timedelta(days=DAYS)
        book.run()
        with published(home, book) as newest:
            assert balances(newest) == locked, "they cancel"
            [item] = postclose.post_close(journal, newest, partial(publications.version, home), "utc").to_dicts()
            assert (item["locked_day"], item["balance_change"]) == (date(2025, 1, 7), D("-0.05"))


def test_what_is_locked_outlives_labels_policies_and_retention(tmp_path: Path) -> None:
    with running(tmp_path, ledger()) as (home, journal, book, _):
        with published(home, book) as newest:
            decisions.lock(journal, newest, partial(publications.version, home), "utc", LAST, "ann", "month end", NOW)
            was = books.at(newest, books.instant_of(newest, LAST, "utc")).rows
        policy = Policy(asset="BTC", price=D(7), currency="USD", approver="ann")
        book.config = book.config.model_copy(update={"policy": (policy,)})
        for _ in range(2):
            book.run()
            with published(home, book) as newest:
                as_of = books.instant_of(newest, LAST, "utc")
                assert books.at(newest, as_of).rows.filter(asset="BTC")["price"].to_list() == [D(7)]
                lock = locks.lock_of(journal, newest, "utc", as_of)
                assert lock is not None
                with publications.version(home, lock.publication) as locked:
                    assert books.at(locked, as_of).rows.equals(was)
                [item] = postclose.post_close(journal, newest, partial(publications.version, home), "utc").to_dicts()
                assert (item["native_code"], item["price_now"], item["balance_change"]) == ("BTC", D(7), D(0))
        assert sorted(p.name for p in (home.published / "versions").iterdir()) == ["000001.duckdb", "000003.duckdb"]


def test_a_locked_day_survives_a_hand_that_clears_old_versions_away(tmp_path: Path) -> None:
    with running(tmp_path, ledger()) as (home, journal, book, _):
        with published(home, book) as newest:
            decisions.lock(journal, newest, partial(publications.version, home), "utc", LAST, "ann", "month end", NOW)
            was = balances(newest)
        publications.keep_locked(home)
        (home.published / "versions" / "000001.duckdb").unlink()
        assert list(doctor._kept(home)) == []
        with publications.version(home, 1) as locked:
            assert balances(locked) == was
        (home.published / "locked" / "000001.duckdb").unlink()
        assert [f.said.partition(" is not at")[0] for f in doctor._kept(home)] == ["The publication 1, with which days were locked,"]
        with pytest.raises(MachineError, match="with which days were locked, is not at"), publications.version(home, 1):
            pass


def changed(home: Home, *statements: str) -> None:
    """The file of publication 1, as another version of ours would have made it."""
    with duckdb.connect(str(publications.path_of(home, 1))) as con:
        for (view,) in con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
            con.execute(f'DROP VIEW "{view}"')
        for statement in statements:
            con.execute(statement)


def test_a_locked_day_is_told_by_a_publication_of_another_version_and_later_ones_are_published(tmp_path: Path) -> None:
    with running(tmp_path, ledger(), LATE, now=11) as (home, journal, book, sandbox):
        with published(home, book) as newest:
            decisions.lock(journal, newest, partial(publications.version, home), "utc", LAST, "ann", "month end", NOW)
            was, views = balances(newest), newest.sql("FROM holdings_now").height
        home.publication.unlink()
        changed(
            home,
            "DROP TABLE statements",
            "ALTER TABLE portfolios DROP COLUMN owner",
            "ALTER TABLE accounts ADD COLUMN what_was_dropped_since VARCHAR",
        )
        sandbox.now = START + timedelta(days=13)
        book.run()
        with published(home, book) as newest:
            assert balances(newest) != was
            assert told(home, journal, newest) == was
            assert newest.sql("SELECT count(*) AS n FROM post_close_items")["n"][0] == 1
        with publications.version(home, 1) as locked:
            assert set(locked.read(PORTFOLIOS)["owner"]) == {None}
            assert locked.read(STATEMENTS).is_empty()
            assert locked.sql("FROM holdings_now").height == views
        changed(home, "ALTER TABLE daily_values RENAME COLUMN balance TO quantity")
        with pytest.raises(MachineError, match=r"did not know daily_values\.balance"), publications.version(home, 1):
            pass


def test_a_reopening_gives_back_the_days_from_there_on(tmp_path: Path) -> None:
    with running(tmp_path, ledger()) as (home, journal, book, _), published(home, book) as newest:
        decisions.lock(journal, newest, partial(publications.version, home), "utc", LAST, "ann", "month end", NOW)
        decisions.reopen(journal, "utc", date(2025, 1, 5), "bob", "restate", NOW)
        assert locks.lock_of(journal, newest, "utc", books.instant_of(newest, LAST, "utc")) is None
        assert [(lock.first, lock.last) for lock in locks.locks(journal, "utc")] == [(date(2025, 1, 1), date(2025, 1, 4))]
        decisions.lock(journal, newest, partial(publications.version, home), "utc", LAST, "bob", "restated", NOW)
        assert [(lock.first, lock.by) for lock in locks.locks(journal, "utc")] == [(date(2025, 1, 1), "ann"), (date(2025, 1, 5), "bob")]


def test_an_exception_must_be_accepted_by_name_before_a_lock(tmp_path: Path) -> None:
    with running(tmp_path, without(3)) as (home, journal, book, _), published(home, book) as newest:
        with pytest.raises(ChecksFailed, match=r"BREAK desk BTC \([0-9a-f]{8}\); BREAK perps USDC"):
            decisions.lock(journal, newest, partial(publications.version, home), "utc", LAST, "ann", "month end", NOW)
        for issue in decisions.issues(journal, newest).filter(matter="BREAK")["issue"]:
            decisions.accept(journal, newest, issue, "ann", "the venue confirmed it", NOW)
        accepted = decisions.issues(journal, newest).filter(state="ACCEPTED")
        assert accepted.select("accepted_by", "accepted_because").unique().rows() == [("ann", "the venue confirmed it")]
        assert (
            decisions.lock(journal, newest, partial(publications.version, home), "utc", LAST, "ann", "month end", NOW).words["first"]
            == "2025-01-01"
        )
        with pytest.raises(UsageError, match="locked already"):
            decisions.lock(journal, newest, partial(publications.version, home), "utc", LAST, "ann", "again", NOW)
        journalled.bring_in(book.warehouse, journal)
        assert book.warehouse.sql("SELECT count(*) AS n FROM decisions")["n"][0] == 4


@pytest.mark.parametrize("gone", ["desk", "perps", "shop"])  # each is all that its venue has
def test_a_portfolio_that_is_no_longer_read_stops_the_lock(tmp_path: Path, gone: str) -> None:
    with running(tmp_path, ledger(), now=8) as (home, journal, book, sandbox):
        left = tuple(p for p in book.config.portfolio if p.name != gone)
        book.config = book.config.model_copy(update={"portfolio": left})
        sandbox.now = START + timedelta(days=DAYS)
        book.run()
        with published(home, book) as newest, pytest.raises(ChecksFailed, match=f"{gone} is STALE from 2025-01-09 on"):
            decisions.lock(journal, newest, partial(publications.version, home), "utc", LAST, "ann", "month end", NOW)
        told = CliRunner().invoke(outgoing.app, ["completeness", "--home", str(home.root)]).output
        assert f"Portfolios: 3 in the book, not read through the newest cut-off: {gone}." in told


def test_a_portfolio_that_was_emptied_and_closed_for_good_is_accepted_once_and_stops_no_later_lock(tmp_path: Path) -> None:
    mine = [row for row in ledger() if row["portfolio"] == "desk"][:6]
    last = mine[-1] | {"amount": -D(mine[-2]["balance_after"]), "balance_after": D(0)}
    rows = [*mine[:-1], last, *(row for row in ledger() if row["portfolio"] != "desk")]
    with running(tmp_path, rows, now=8) as (home, journal, book, sandbox):
        left = tuple(p for p in book.config.portfolio if p.name != "desk")
        book.config = book.config.model_copy(update={"portfolio": left})
        sandbox.now = START + timedelta(days=DAYS)
        book.run()
        with published(home, book) as newest:
            kept = partial(publications.version, home)
            with pytest.raises(ChecksFailed, match=r"desk is STALE from 2025-01-09 on \(it holds nothing: `accept [0-9a-f]{8}`"):
                decisions.lock(journal, newest, kept, "utc", LAST, "ann", "month end", NOW)
            [issue] = decisions.issues(journal, newest).filter(matter="STALE")["issue"]
            decisions.accept(journal, newest, issue, "ann", "closed at the venue, letter of 9 January", NOW)
            decisions.lock(journal, newest, kept, "utc", date(2025, 1, 9), "ann", "month end", NOW)
        sandbox.now += timedelta(days=1)
        book.run()
        with published(home, book) as newest:
            decisions.lock(journal, newest, kept, "utc", LAST, "ann", "month end", NOW)


def test_a_portfolio_that_was_never_read_stops_the_lock_and_is_told(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with Sandbox(dataset(tmp_path / "data", ledger())) as sandbox, house(home.root, sandbox) as book:
        strange = tuple(p.model_copy(update={"account": "1" * 43}) if p.name == "perps" else p for p in book.config.portfolio)
        book.config = book.config.model_copy(update={"portfolio": strange})
        assert [o.subject for o in book.run() if o.error] == ["perps"]
        with published(home, book) as newest:
            with pytest.raises(ChecksFailed, match="perps was never read"):
                decisions.lock(Journal(home.journal), newest, partial(publications.version, home), "utc", LAST, "ann", "month end", NOW)
            assert newest.sql("SELECT portfolio, says FROM issues WHERE matter = 'STALE'").rows() == [("perps", "it was never read")]
        told = CliRunner().invoke(outgoing.app, ["completeness", "--home", str(home.root)]).output
        assert "not read through the newest cut-off: perps." in told


def test_what_exists_at_a_venue_and_nobody_configured_is_told_and_stops_the_lock(tmp_path: Path) -> None:
    rows = [*ledger(), ledger()[0] | {"portfolio": "vault"}]
    data = dataset(tmp_path / "data", rows)
    with (data / "dataset.toml").open("a") as more:
        more.write('[[portfolio]]\nname = "vault"\nvenue = "coinbase"\nentity = "acme"\n')
    home = Home(tmp_path / "home")
    with Sandbox(data) as sandbox, house(home.root, sandbox) as book:
        everything, journal = book.config, Journal(home.journal)
        left = tuple(p for p in everything.portfolio if p.name != "vault")
        book.config = everything.model_copy(update={"portfolio": left})
        book.run()
        with published(home, book) as newest:
            [told] = newest.sql("SELECT name, seen_by FROM population WHERE portfolio IS NULL").to_dicts()
            assert told == {"name": "vault", "seen_by": "desk"}
            [issue] = decisions.issues(journal, newest).filter(matter="NOT_CONFIGURED").to_dicts()
            assert "exists at coinbase and is in nobody's book" in issue["says"]
            with pytest.raises(ChecksFailed, match="NOT_CONFIGURED desk"):
                decisions.lock(journal, newest, partial(publications.version, home), "utc", LAST, "ann", "month end", NOW)
        book.config = everything
        book.run()
        with published(home, book) as newest:
            assert newest.sql("SELECT count(*) AS n FROM population WHERE portfolio IS NULL")["n"][0] == 0
            assert b"user_id" not in b"".join(p.body for n in book.archive.names() for p in book.archive.get(n).batch.pages)


def test_a_day_that_is_not_closed_cannot_be_locked_nor_an_unlocked_one_reopened(tmp_path: Path) -> None:
    with running(tmp_path, ledger()) as (home, journal, book, _), published(home, book) as newest:
        with pytest.raises(UsageError, match="2025-03-01 is not closed"):
            decisions.lock(journal, newest, partial(publications.version, home), "utc", date(2025, 3, 1), "ann", "month end", NOW)
        with pytest.raises(UsageError, match="is not locked"):
            decisions.reopen(journal, "utc", LAST, "ann", "why", NOW)
        with pytest.raises(UsageError, match="no issue 'nothing'"):
            decisions.accept(journal, newest, "nothing", "ann", "why", NOW)
