"""Whatever a venue does wrong, the book is that of a calm day, or it says what it lacks and the next calm run completes it."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.sandbox.coinbase import account_id
from pipelines.venues import limits
from tests.faults.house import END, Facts, dataset, house, same, venues

NO_LONGER = END - timedelta(days=3)  # where the book stands before the faults begin, when it is not new

BTC = account_id("desk", "BTC")

WEATHERED = {
    "slow replies": '[[latency]]\npath = "/ledger"\nseconds = 0.2\ntimes = 3',
    "a reply that trickles": '[[drip]]\npath = "/user/balances/history/"\nseconds = 0.5',
    "a storm of refusals at coinbase": '[[storm]]\npath = "/ledger"\ntimes = 3',
    "a storm of refusals at pacifica": '[[storm]]\npath = "/api/v1/account/balance/history"\ntimes = 3',
    "a refusal that says how long": '[[storm]]\npath = "/user/balances/"\nretry_after = 0\ntimes = 2',
    "a venue that stumbles": '[[failure]]\npath = "/accounts"\nstatus = 502\ntimes = 3',
    "a request fails now and then": 'seed = 3\n[[failure]]\nchance = 0.15\ntimes = 0',
    "a connection is reset now and then": 'seed = 5\n[[reset]]\nchance = 0.15\ntimes = 0',
    "a reply is cut now and then": 'seed = 7\n[[truncated]]\nchance = 0.15\ntimes = 0',
    "a clock that is two minutes off": "[[skew]]\nseconds = 120\ntimes = 0",
    "a token that is not accepted any more": '[[expired_token]]\npath = "/user/balances/history/"',
    "a ledger row shown twice": '[[duplicate]]\npath = "/ledger"\ntimes = 4',
    "a row of pacifica shown twice": '[[duplicate]]\npath = "/api/v1/account/balance/history"\ntimes = 2',
    "a row of cryptofuse shown twice": '[[duplicate]]\npath = "/user/balances/history/"\ntimes = 2',
    "a candle shown twice": '[[duplicate]]\npath = "/candles"\ntimes = 2',
    "candles that do not come at first": '[[empty]]\npath = "/candles"',
}  # fmt: skip
NAMED = {
    "a storm that does not pass": (f'[[storm]]\npath = "/accounts/{BTC}/ledger"\ntimes = 6', {"desk": "too many requests"}),
    "a refusal that lasts for hours": ('[[storm]]\npath = "/api/v1/"\nretry_after = 7200', {"perps": "too many requests"}),
    "a venue that is down": ('[[failure]]\npath = "/user/"\ntimes = 6', {"shop": "answered 503"}),
    "a reply slower than we wait": ('[[drip]]\npath = "/products"\nseconds = 30\ntimes = 2', {"products": "did not answer within 2 s"}),
    "garbage from accounts": ('[[garbage]]\npath = "/accounts"', {"desk": "did not reply in the published shape"}),
    "garbage from pacifica": ('[[garbage]]\npath = "/api/v1/account/balance/history"', {"perps": "published shape"}),
    "garbage instead of candles": ('[[garbage]]\npath = "/candles"', {"BTC-USD|ETH-USD": "published shape"}),
    "another shape of a history": ('[[shape]]\npath = "/user/balances/history/"', {"shop": "the keys renewed"}),
    "another shape of a ledger": ('[[shape]]\npath = "/ledger"', {"desk": "published shape; it sent the keys renewed"}),
    "another shape of live balances": ('[[shape]]\npath = "/api/v1/account"', {"perps": "published shape"}),
    "a history that comes empty": ('[[empty]]\npath = "/user/balances/history/"\ntimes = 5', {"shop": "during each of 5 walks"}),
    "a token that is never accepted": ('[[expired_token]]\npath = "/user/balances/history/"\ntimes = 2', {"shop": "token is not accepted"}),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("faults") / "dataset")


@pytest.fixture(scope="module")
def calm(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    with venues(data) as sandbox, house(tmp_path_factory.mktemp("calm"), sandbox.config_text()) as book:
        assert book.run() == {}
        facts = book.facts()
        assert facts["postings"].height == 30 + 24 + 30 + 30
        assert facts["candles"].height > 400
        return facts


@pytest.fixture(scope="module")
def old(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A book that stands three days back, and the port of its venues."""
    folder = tmp_path_factory.mktemp("old")
    with venues(data, now=NO_LONGER) as sandbox, house(folder, sandbox.config_text()) as book:
        assert book.run() == {}
        return folder, int(sandbox.base_url.rpartition(":")[2])


@pytest.fixture(params=["new", "old"])
def port(request: pytest.FixtureRequest, old: tuple[Path, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Of the venues: the book has either never been pulled, or is a copy of the old one."""
    folder, port = old
    monkeypatch.setattr(limits, "_shared", {})  # these venues have counted nothing yet
    if request.param == "old":
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return port


@pytest.mark.parametrize("fault", WEATHERED)
def test_the_facts_are_those_of_a_calm_day(fault: str, data: Path, calm: Facts, port: int, tmp_path: Path) -> None:
    with venues(data, WEATHERED[fault], port=port) as sandbox, house(tmp_path, sandbox.config_text()) as book:
        assert book.run() == {}
        assert sandbox.faults_met.total() > 0, "the fault was never met"
        same(book.facts(), calm)
        assert book.suspended() == []


@pytest.mark.parametrize("fault", NAMED)
def test_what_was_not_read_is_named_and_the_next_calm_run_completes_it(
    fault: str, data: Path, calm: Facts, port: int, tmp_path: Path
) -> None:
    told, named = NAMED[fault]
    with venues(data, told, port=port) as sandbox, house(tmp_path, sandbox.config_text()) as book:
        errors = book.run()
        for subject, complaint in named.items():
            assert [e for s, e in errors.items() if re.fullmatch(subject, s) and re.search(complaint, e)], errors
        assert all(re.fullmatch("|".join(named), subject) for subject in errors), "somebody else suffered"
        assert sandbox.faults_met.total() > 0
        nothing_is_silently_missing(book.facts(), calm, errors)
        assert book.run() == {}
        same(book.facts(), calm)


def nothing_is_silently_missing(facts: Facts, calm: Facts, errors: dict[str, str]) -> None:
    read = ~calm["postings"]["portfolio"].is_in(list(errors))
    missing = calm["postings"].filter(read).join(facts["postings"], on=calm["postings"].columns, how="anti", nulls_equal=True)
    assert missing.is_empty(), f"missing, and nobody says so: {missing}"


@pytest.mark.parametrize("port", ["old"], indirect=True)
def test_who_was_not_read_keeps_the_watermark_he_had(data: Path, port: int, tmp_path: Path) -> None:
    with venues(data, '[[failure]]\npath = "/user/"\ntimes = 0', port=port) as sandbox, house(tmp_path, sandbox.config_text()) as book:
        assert set(book.run()) == {"shop"}
        read = book.read_through()
        assert {read["shop", code] for code in ("ETH", "USDTERC20")} == {NO_LONGER}
        assert {read[account] for account in (("desk", "BTC"), ("perps", "USDC"))} == {END}


def test_rows_that_arrive_during_a_walk_are_read_now_or_next_time_and_once(data: Path, calm: Facts, tmp_path: Path) -> None:
    drift = (
        '[[drift]]\npath = "/user/balances/history/"\nseconds = 43200\ntimes = 4\n[[drift]]\npath = "/ledger"\nseconds = 43200\ntimes = 2'
    )
    with venues(data, drift, now=NO_LONGER) as sandbox, house(tmp_path, sandbox.config_text()) as book:
        assert book.run() == {}
        assert sandbox.faults_met["drift"] == 6
        assert sandbox.now == END
        assert book.run() == {}
        same(book.facts(), calm)


@pytest.mark.parametrize(
    ("path", "portfolio"), [("/ledger", "desk"), ("/api/v1/account/balance/history", "perps"), ("/user/balances/history/", "shop")]
)
def test_an_unknown_event_type_is_kept_as_the_venue_says_it_and_corrected_when_it_says_otherwise(
    path: str, portfolio: str, data: Path, calm: Facts, tmp_path: Path
) -> None:
    strange = (
        f'[[unknown_event]]\npath = "{path}"\nname = "wormhole"\ntimes = {4 if portfolio == "desk" else 1}'  # three accounts are empty
    )
    with venues(data, strange) as sandbox, house(tmp_path, sandbox.config_text()) as book:
        assert book.run() == {}
        postings = book.facts()["postings"]
        assert postings.filter(portfolio=portfolio)["event_type"].to_list().count("wormhole") >= 1
        assert postings.height == calm["postings"].height
        assert book.suspended() == []
        assert book.run() == {}
        same(book.facts(), calm)


def test_an_unknown_currency_keeps_its_postings_under_a_name_nothing_maps(data: Path, calm: Facts, tmp_path: Path) -> None:
    strange = '[[unknown_currency]]\npath = "/user/balances/history/"\nname = "MYSTERY"'
    with venues(data, strange) as sandbox, house(tmp_path, sandbox.config_text()) as book:
        assert book.run() == {}
        assert book.facts()["postings"].filter(native_code="MYSTERY").height == 1
        assert book.warehouse.sql("SELECT asset FROM accounts WHERE native_code = 'MYSTERY'")["asset"].to_list() == [None]
        assert book.run() == {}
        same({t: f for t, f in book.facts().items() if t != "openings"}, calm)


def test_trouble_with_what_else_exists_at_the_venue_loses_no_history(data: Path, calm: Facts, tmp_path: Path) -> None:
    with venues(data, '[[failure]]\npath = "/profiles"\ntimes = 0') as sandbox, house(tmp_path, sandbox.config_text()) as book:
        assert set(book.run()) == {"desk"}
        assert sandbox.faults_met["failure"] > 0
        same(book.facts(), calm)


def test_an_accounts_list_that_comes_empty_is_not_an_empty_book(data: Path, calm: Facts, tmp_path: Path) -> None:
    with venues(data) as sandbox, house(tmp_path, sandbox.config_text()) as book:
        book.run()
        port = int(sandbox.base_url.rpartition(":")[2])
    with venues(data, '[[empty]]\npath = "/accounts"', port=port) as sandbox, house(tmp_path, sandbox.config_text()) as book:
        assert re.search("no longer hold BTC", book.run()["desk"])
        same(book.facts(), calm)


@pytest.mark.parametrize(("path", "portfolio"), [("/ledger", "desk"), ("/api/v1/account/balance/history", "perps")])
def test_a_history_that_comes_empty_unsays_nothing(path: str, portfolio: str, data: Path, calm: Facts, tmp_path: Path) -> None:
    with venues(data) as sandbox, house(tmp_path, sandbox.config_text()) as book:
        book.run()
        port = int(sandbox.base_url.rpartition(":")[2])
    with venues(data, f'[[empty]]\npath = "{path}"\ntimes = 0', port=port) as sandbox, house(tmp_path, sandbox.config_text()) as book:
        assert re.search("came empty|empty page", book.run()[portfolio])
        same(book.facts(), calm)


def test_while_the_time_is_not_told_no_watermark_passes_what_the_replies_prove(data: Path, tmp_path: Path) -> None:
    with venues(data, '[[failure]]\npath = "/time"\ntimes = 0', now=NO_LONGER) as sandbox, house(tmp_path, sandbox.config_text()) as book:
        assert book.run() == {}
        assert sandbox.faults_met["failure"] > 0
        assert max(book.read_through().values()) == NO_LONGER, "this machine's clock is years ahead"
