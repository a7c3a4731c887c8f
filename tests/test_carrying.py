"""What comes to be known of a locked month is carried into the next or the month is made anew; both foot, and no issued byte moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from pipelines import book, decisions, filing, locks, postclose, publications
from pipelines.config import Asset, Policy
from pipelines.errors import ChecksFailed, UsageError
from pipelines.exports.bundle import bundle
from pipelines.exports.model import RollForward
from pipelines.filing import first_difference, form_of
from pipelines.home import Home
from pipelines.inbox import app
from pipelines.journal import Journal
from pipelines.publications import Publication
from pipelines.sandbox.serve import Sandbox
from pipelines.statements import Answer, Question
from pipelines.telling import telling
from tests.closing_once import House
from tests.closing_once import house as house_of
from tests.ledger_text import D, instant
from tests.test_decisions import LAST, LATE, NOW, published, running
from tests.test_proving import DAYS, START, dataset, ledger, without

OPENING, CLOSING = instant("2025-01-11"), instant("2025-01-13")


@contextmanager
def told_late(folder: Path, materiality: dict[str, str] | None = None) -> Iterator[tuple[Home, Journal, House, Publication]]:
    """The first ten days are locked; then an entry of the fifth comes to be known."""
    with running(folder, ledger(), LATE, now=11) as (home, journal, house, sandbox):
        with published(home, house) as newest:
            decisions.lock(journal, newest, partial(publications.version, home), "utc", LAST, "ann", "month end", NOW)
        if materiality:
            of_book = house.config.book.model_copy(update={"materiality": {c: D(most) for c, most in materiality.items()}})
            house.config = house.config.model_copy(update={"book": of_book})
        sandbox.now = START + timedelta(days=DAYS)
        house.run()
        with published(home, house) as newest:
            yield home, journal, house, newest


@contextmanager
def answered(home: Home, newest: Publication, until: object = CLOSING, since: object = OPENING) -> Iterator[Answer]:
    question = Question(until, since=since)  # type: ignore[arg-type]
    with telling(home, newest, question.as_of) as told, telling(home, told, question.since or question.as_of) as opened:
        yield Answer(told, question, opened=opened)


def issued(home: Home, newest: Publication) -> bytes:
    with answered(home, newest, until=OPENING, since=instant("2025-01-01")) as answer:
        return form_of(answer, "bundle")


def verified(answer: Answer, folder: Path) -> str:
    (folder / "one.zip").write_bytes(form_of(answer, "bundle"))
    return first_difference(folder / "one.zip")


def row(moved: RollForward, code: str = "BTC") -> dict[str, object]:
    return moved.rows.row(by_predicate=pl.col("native_code") == code, named=True)


def closing(home: Home, newest: Publication, code: str = "BTC") -> object:
    """What the locked period ends with, as it is told."""
    with answered(home, newest, until=OPENING, since=instant("2025-01-01")) as answer:
        return row(answer.roll_forward, code)["closing"]


def test_a_carried_item_stands_in_a_column_of_its_own_and_the_opening_is_what_was_issued(tmp_path: Path) -> None:
    with told_late(tmp_path) as (home, journal, _, newest):
        was = closing(home, newest)
        [item] = postclose.post_close(journal, newest, partial(publications.version, home), "utc")["item"]
        decisions.carry(journal, newest, partial(publications.version, home), item, "cat", "immaterial", NOW)
        with answered(home, newest) as answer:
            btc, moved = row(answer.roll_forward), answer.roll_forward
            assert (btc["opening"], btc["prior_period"]) == (was, D("-0.05"))
            assert btc["closing"] == balance_now(newest) == was - D("0.05") + sum(btc[c] for c in moved.columns)  # type: ignore[operator]
            [entry] = moved.prior.to_dicts()
            assert (entry["occurred_at"], entry["amount"], entry["withdrawn"]) == (instant("2025-01-05T12:00:00Z"), D("-0.05"), False)
            bridged = moved.bridge.row(by_predicate=pl.col("native_code") == "BTC", named=True)
            assert bridged["opening_units"] == was
            assert moved.rows.filter(pl.col("native_code") != "BTC")["prior_period"].unique().to_list() == [0]
            assert verified(answer, tmp_path) == ""


def test_what_came_after_the_lock_stands_in_the_published_inbox_until_it_is_revised(tmp_path: Path) -> None:
    asked = "SELECT issue, portfolio, native_code, amount, state, accepted_by FROM issues WHERE matter = 'POST_CLOSE'"
    with told_late(tmp_path) as (home, journal, house, newest):
        kept = partial(publications.version, home)
        [item] = postclose.post_close(journal, newest, kept, "utc")["item"]
        assert newest.sql(asked).rows() == [(item, "desk", "BTC", D("-0.05"), "OPEN", None)]
        with pytest.raises(UsageError, match="is a post-close item"):
            decisions.accept(journal, newest, item, "cat", "so what", NOW)
        decisions.carry(journal, newest, kept, item, "cat", "immaterial", NOW)
        with published(home, house) as later:
            assert later.sql(asked).rows() == [(item, "desk", "BTC", D("-0.05"), "CARRIED", "cat")]
            decisions.revise(journal, later, kept, "utc", LAST, "cat", "the auditor asked", NOW)
        with published(home, house) as revised:
            assert revised.sql(asked).is_empty()


def balance_now(newest: Publication) -> object:
    rows = book.at(newest, CLOSING).rows
    return rows.filter(native_code="BTC")["balance"][0]


def test_a_revision_moves_the_opening_along_and_nothing_is_left_to_carry(tmp_path: Path) -> None:
    with told_late(tmp_path) as (home, journal, _, newest):
        before = issued(home, newest)
        was = closing(home, newest)
        decisions.revise(journal, newest, partial(publications.version, home), "utc", LAST, "cat", "the auditor asked", NOW)
        assert closing(home, newest) == was - D("0.05")  # type: ignore[operator]
        with answered(home, newest) as answer:
            btc = row(answer.roll_forward)
            assert (btc["opening"], btc["prior_period"]) == (closing(home, newest), 0)
            assert answer.roll_forward.prior.is_empty()
            assert verified(answer, tmp_path) == ""
        revised = issued(home, newest)
        assert revised != before
        for name, bundle in (("issued.zip", before), ("revised.zip", revised)):
            (tmp_path / name).write_bytes(bundle)
            assert first_difference(tmp_path / name) == ""


def test_mappings_policies_and_portfolios_that_change_later_move_no_issued_byte(tmp_path: Path) -> None:
    with told_late(tmp_path) as (home, _, house, newest):
        was = issued(home, newest)
        (known,) = (p for p in house.config.portfolio if p.name == "shop")
        house.config = house.config.model_copy(
            update={
                "policy": (Policy(asset="BTC", price=D(7), currency="USD", approver="ann"),),
                "asset": (Asset(venue="coinbase", native_code="BTC", asset="XBT"),),
                "portfolio": tuple(p for p in house.config.portfolio if p != known),
            }
        )
        house.run()
        with published(home, house) as later:
            assert later.facts()["publication_id"] != newest.facts()["publication_id"]
            assert book.at(later, CLOSING).rows.filter(native_code="BTC")["asset"].to_list() == ["XBT"]
            assert issued(home, later) == was


def test_what_is_material_is_not_carried_and_a_month_is_not_locked_on_top_of_what_nobody_decided(tmp_path: Path) -> None:
    kept = partial(publications.version, Home(tmp_path / "home"))
    with told_late(tmp_path, {"USD": "1"}) as (home, journal, _, newest):
        [item] = postclose.post_close(journal, newest, kept, "utc")["item"]
        with pytest.raises(UsageError, match=r"With it, USD -5\.\d+ would be carried; \[book\] materiality allows 1\."):
            decisions.carry(journal, newest, kept, item, "cat", "small", NOW)
        with pytest.raises(ChecksFailed, match=f"post-close item {item} of desk BTC is neither carried nor revised"):
            decisions.lock(journal, newest, kept, "utc", date(2025, 1, 12), "ann", "month end", NOW)
        assert "; material above 1" in CliRunner().invoke(app, ["issues", "--home", str(home.root)]).output
        decisions.revise(journal, newest, kept, "utc", LAST, "cat", "material", NOW)
        decisions.lock(journal, newest, kept, "utc", date(2025, 1, 12), "ann", "month end", NOW)
        with pytest.raises(UsageError, match="are locked on top of it"):
            decisions.revise(journal, newest, kept, "utc", LAST, "cat", "again", NOW)


def test_an_effect_under_two_locks_is_material_once(tmp_path: Path) -> None:
    with running(tmp_path, ledger(), LATE, now=11) as (home, journal, house, sandbox):
        kept = partial(publications.version, home)
        of_book = house.config.book.model_copy(update={"materiality": {"USD": D(8)}})
        house.config = house.config.model_copy(update={"book": of_book})
        house.run()
        with published(home, house) as newest:
            for day in (8, 10):
                decisions.lock(journal, newest, kept, "utc", date(2025, 1, day), "ann", "month end", NOW)
        sandbox.now = START + timedelta(days=DAYS)
        house.run()
        with published(home, house) as newest:
            items = postclose.post_close(journal, newest, kept, "utc")
            assert items["balance_change"].to_list() == [D("-0.05"), D("-0.05")]
            for item in items["item"]:
                decisions.carry(journal, newest, kept, item, "cat", "5 dollars", NOW)
            with answered(home, newest) as answer:
                assert row(answer.roll_forward)["prior_period"] == D("-0.05")


def test_an_asset_that_is_labelled_anew_leaves_the_opening_value_what_was_issued(tmp_path: Path) -> None:
    with told_late(tmp_path) as (home, _, house, _newest):
        house.config = house.config.model_copy(update={"asset": (Asset(venue="coinbase", native_code="BTC", asset="XBT"),)})
        house.run()
        with published(home, house) as later, answered(home, later) as answer:
            [bridged] = answer.roll_forward.bridge.filter(native_code="BTC").to_dicts()
            assert bridged["opening_price"] is not None
            assert bridged["reason"] is not None, "the new label has no price"
            assert verified(answer, tmp_path) == ""


def test_an_account_that_was_issued_and_left_the_entity_goes_out_of_its_roll_forward(tmp_path: Path) -> None:
    with told_late(tmp_path) as (home, _, house, newest):
        was = closing(home, newest)
        sold = tuple(p.model_copy(update={"entity": "beta"}) if p.name == "desk" else p for p in house.config.portfolio)
        house.config = house.config.model_copy(update={"portfolio": sold})
        house.run()
        with published(home, house) as later:
            question = Question(CLOSING, since=OPENING, entity="acme")
            with telling(home, later, CLOSING) as told, telling(home, told, OPENING) as opened:
                answer = Answer(told, question, opened=opened)
                btc = row(answer.roll_forward)
                assert (btc["opening"], btc["prior_period"], btc["closing"]) == (was, -was, 0)  # type: ignore[operator]
                assert verified(answer, tmp_path) == ""


def test_a_portfolio_first_read_after_the_lock_opens_with_nothing_and_verifies_alone(tmp_path: Path) -> None:
    with Sandbox(dataset(tmp_path / "data", ledger())) as sandbox, house_of(tmp_path / "young", sandbox) as house:
        home, journal = Home(tmp_path / "young"), Journal(tmp_path / "young/journal")
        everything = house.config
        house.config = everything.model_copy(update={"portfolio": tuple(p for p in everything.portfolio if p.name != "shop")})
        house.run()
        with published(home, house) as newest:
            decisions.lock(journal, newest, partial(publications.version, home), "utc", LAST, "ann", "month end", NOW)
        house.config = everything
        house.run()
        with published(home, house) as later:
            question = Question(CLOSING, since=OPENING, portfolio="shop")
            with telling(home, later, CLOSING) as told, telling(home, told, OPENING) as opened:
                answer = Answer(told, question, opened=opened)
                [eth] = answer.roll_forward.rows.filter(native_code="ETH").to_dicts()
                assert eth["opening"] is None or eth["opening"] == 0
                assert eth["prior_period"] == eth["closing"] != 0
                assert verified(answer, tmp_path) == ""


def test_a_number_that_was_changed_in_a_roll_forward_is_named_though_every_hash_fits(tmp_path: Path) -> None:
    with told_late(tmp_path) as (home, _, _, newest), answered(home, newest) as answer:
        files = filing.contents(answer)
        table = pl.read_csv(files["roll_forward.csv"], infer_schema=False)
        for changes in (
            {"opening": 1, "prior_period": -1},
            {"opening": -1, "unexplained": 1},
            {"opening": 100, "closing": 100, "closing_adjusted": 100},
            {"entries": 5},
            {"book_closing": 1},
        ):
            forged = table.with_columns(
                pl.when(pl.col("native_code") == "BTC").then((pl.col(c).cast(pl.Float64) + by).cast(pl.String)).otherwise(c).alias(c)
                for c, by in changes.items()
            )
            (tmp_path / "forged.zip").write_bytes(bundle(filing.about(answer), files | {"roll_forward.csv": forged.write_csv().encode()}))
            assert "BTC" in first_difference(tmp_path / "forged.zip"), changes
        emptied = files | {"evidence/prior_period.csv": files["evidence/prior_period.csv"].splitlines(keepends=True)[0]}
        (tmp_path / "forged.zip").write_bytes(bundle(filing.about(answer), emptied))
        assert first_difference(tmp_path / "forged.zip") == "roll_forward.csv: prior_period of desk BTC"


def test_an_adjustment_that_is_not_published_yet_stops_a_lock_over_its_days(tmp_path: Path) -> None:
    with running(tmp_path, ledger()) as (home, journal, house, _), published(home, house) as newest:
        kept = partial(publications.version, home)
        adjusted(home, at="2025-01-05T00:00:00Z")
        with pytest.raises(ChecksFailed, match="an adjustment of desk BTC waits to be published"):
            decisions.lock(journal, newest, kept, "utc", LAST, "ann", "month end", NOW)
        decisions.lock(journal, newest, kept, "utc", date(2025, 1, 4), "ann", "before it", NOW)


def test_whose_lock_a_day_is_under_and_which_days_were_opened_again(tmp_path: Path) -> None:
    with running(tmp_path, ledger()) as (home, journal, house, _):
        with published(home, house) as newest:
            kept = partial(publications.version, home)
            for day, who in ((5, "ann"), (8, "bob")):
                decisions.lock(journal, newest, kept, "utc", date(2025, 1, day), who, f"by {who}", NOW)
            decisions.reopen(journal, "utc", date(2025, 1, 7), "eve", "restate", NOW)
        with published(home, house) as newest:
            states = newest.sql("SELECT state, decided_by, count(*) AS n FROM day_states GROUP BY ALL ORDER BY min(day)").rows()
            assert states == [("LOCKED", "ann", 5), ("LOCKED", "bob", 1), ("REOPENED", "eve", 2), ("CLOSED", None, 4)]
            assert locks.locks(journal, "utc")[-1].reason == "by bob"


def adjusted(home: Home, *args: str, **options: str) -> str:
    told = {
        "portfolio": "desk", "code": "BTC", "amount": "0.25", "at": "2025-01-12T00:00:00Z", "by": "ann", "approver": "bob",
        "reason": "in custody elsewhere", "document": "letter 7",
    } | options  # fmt: skip
    words = [text for name, value in told.items() for text in (f"--{name}", value)]
    done = CliRunner().invoke(app, ["adjust", "--home", str(home.root), *words])
    return done.output + str(done.exception or "")


def test_an_adjustment_is_a_column_beside_the_venues_and_moves_no_balance_and_no_proof(tmp_path: Path) -> None:
    with told_late(tmp_path) as (home, _, house, newest):
        before = book.at(newest, CLOSING).rows
        assert "`closebook run` publishes it" in adjusted(home)
        letter = tmp_path / "letter.txt"
        letter.write_text("0.05 less")
        adjusted(home, amount="-0.05", document=str(letter))
        house.run()
        with published(home, house) as later:
            assert book.at(later, CLOSING, newest.facts()["known_through"]).rows.equals(before.with_columns())  # type: ignore[arg-type]
            with answered(home, later) as answer:
                btc, moved = row(answer.roll_forward), answer.roll_forward
                assert (btc["adjustments"], btc["closing_adjusted"]) == (D("0.2"), btc["closing"] + D("0.2"))  # type: ignore[operator]
                assert moved.adjustments["author"].to_list() == ["ann", "ann"]
                assert moved.adjustments["document"][1].startswith("letter.txt sha256:")
                assert verified(answer, tmp_path) == ""
            shown = later.sql("SELECT day, adjustment, adjusted FROM adjusted_balances WHERE native_code = 'BTC' ORDER BY day")
            assert shown.rows()[-1] == (date(2025, 1, 12), D("0.2"), btc["closing"] + D("0.2"))  # type: ignore[operator]
            assert shown.filter(pl.col("day") < date(2025, 1, 12))["adjustment"].unique().to_list() == [0]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"approver": "ann"}, "ann cannot approve"),
        ({"amount": "0"}, "adjusts nothing"),
        ({"amount": "NaN"}, "'NaN' is no amount"),
        ({"amount": "1e18"}, "'1e18' is no amount"),
        ({"amount": "0.0000000000000000001"}, "is no amount"),
        ({"code": "DOGE"}, "has no account DOGE"),
        ({"at": "2025-01-05T00:00:00Z"}, "lies in days that are locked"),
        ({"at": "2999-01-05T00:00:00Z"}, "lies in the future"),
        ({"reason": " "}, "--reason is empty"),
    ],
)
def test_an_adjustment_that_cannot_be_is_refused(late: Home, options: dict[str, str], why: str) -> None:
    assert why in adjusted(late, **options)
    assert not list(Journal(late.journal).records("ADJUSTMENT"))


def test_an_adjustment_before_an_accounts_opening_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, without(0)) as (home, _, house, _), published(home, house):
        assert "an adjustment before it is part of none" in adjusted(home, at="2025-01-01T12:00:00Z")
        assert "publishes it" in adjusted(home, at="2025-01-03T12:00:00Z")


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with told_late(tmp_path_factory.mktemp("late")) as (home, _, _, _):
        yield home


def test_an_issue_is_somebodys(tmp_path: Path) -> None:
    rows = [r for r in ledger() if not (r["portfolio"] == "desk" and str(r["occurred_at"]).startswith("2025-01-04"))]
    with running(tmp_path, rows) as (home, journal, house, _):
        owned = tuple(p.model_copy(update={"owner": "dora"}) if p.name == "desk" else p for p in house.config.portfolio)
        house.config = house.config.model_copy(update={"portfolio": owned})
        house.run()
        house.run()
        with published(home, house) as newest:
            [one] = decisions.issues(journal, newest).filter(matter="BREAK").to_dicts()
            assert one["owner"] == "dora", "its portfolio's"
            decisions.assign(journal, newest, one["issue"], "eve", "ann", "she knows the venue", NOW)
            assert decisions.issues(journal, newest).filter(matter="BREAK")["owner"].to_list() == ["eve"]
        with published(home, house) as newest:
            assert newest.sql("SELECT owner FROM issues WHERE matter = 'BREAK'")["owner"].to_list() == ["eve"]
