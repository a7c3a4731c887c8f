"""An issued statement has a number, a state and an envelope; its bytes stay, its chain has no missing link, its signature holds."""

from __future__ import annotations

import hashlib
import json
import random
import stat
import subprocess
import sys
import zipfile
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines import backups, filing, issuing, journalled, publications, register, revisions
from pipelines import tables as t
from pipelines.envelopes import ENVELOPE, Envelope, broken_link
from pipelines.errors import UsageError
from pipelines.exports.bundle import bundle, pack
from pipelines.home import Home
from pipelines.statements import Answer, Question
from pipelines.tables import STATEMENTS
from pipelines.warehouse import Warehouse
from tests.conftest import closebook
from tests.exports import january
from tests.exports.conftest import january_book  # noqa: F401  # the fixture
from tests.exports.forms import words_of
from tests.issued import Issuer
from tests.ledger_text import D, instant, rows


@pytest.fixture
def issuer(tmp_path: Path, january_book: Path) -> Issuer:  # noqa: F811
    return Issuer(tmp_path / "home", january_book)


@pytest.fixture
def paper() -> None:
    """Asked for by a test that reads what is printed; the others do without, and are quick."""


@pytest.fixture(autouse=True)
def _quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "paper" not in request.fixturenames:
        monkeypatch.setattr(filing, "_printed", lambda document: b"%PDF of a test")


def files_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_numbers_say_whose_of_when_and_which_version(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filing, "contents", lambda answer: {"statement.pdf": b"short"})

    def number(**asked: object) -> str:
        return issuer.issue(**asked).number  # type: ignore[arg-type]

    assert number() == "ACME-2025-01/1"
    assert number(as_of=instant("2025-01-16")) == "ACME-2025-01-15/1"
    assert number(as_of=instant("2025-01-16T09:30:00Z")) == "ACME-20250116T093000Z/1"
    assert number(entity=None, portfolio="treasury") == "TREASURY-2025-01/1"
    assert number(since=january.OPEN, entity="zeta") == "ZETA-2025-01/1"
    assert number(since=instant("2025-01-10"), entity="zeta") == "ZETA-2025-01-FROM-20250110T000000Z/1"
    with pytest.raises(UsageError, match="Whose statement"):
        number(entity=None)
    with pytest.raises(UsageError, match="known-at"):
        number(known_at=january.CLOSE)


def test_a_state_is_that_of_its_day_and_stands_on_every_form(issuer: Issuer, tmp_path: Path, paper: None) -> None:
    states = [issuer.issue(as_of).record.words["state"] for as_of in (january.CLOSE + timedelta(hours=1), january.CLOSE)]
    issuer.lock()
    final = issuer.issue()
    assert [*states, final.record.words["state"], final.number] == ["draft", "preliminary", "final", "ACME-2025-01/2"]
    files = files_of(issuer.bundle(final, tmp_path))
    assert "No. ACME-2025-01/2 · FINAL · supersedes ACME-2025-01/1" in words_of(files["statement.pdf"])
    for name in ("statement.json", "manifest.json", ENVELOPE):
        told = json.loads(files[name])
        assert (told["number"], told["state"], told["supersedes"]) == ("ACME-2025-01/2", "final", "ACME-2025-01/1")
    listed = {row["number"]: row["state"] for row in register.rows(issuer.journal)}
    assert listed == {"ACME-20250201T010000Z/1": "draft", "ACME-2025-01/1": "superseded", "ACME-2025-01/2": "final"}


def test_asked_for_again_the_stored_bytes_are_the_answer(issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer.lock()
    first = issuer.issue()
    body = issuer.bundle(first, tmp_path).read_bytes()
    monkeypatch.setattr(filing, "contents", None)  # nothing is made any more, it is found
    again = issuer.issue()
    assert (again.again, again.number) == (True, first.number)
    assert issuer.bundle(again, tmp_path / "other").read_bytes() == body
    assert len(list(issuer.journal.records("STATEMENT"))) == 1
    issuer.bundle(again, tmp_path).write_bytes(b"something else")
    with pytest.raises(UsageError, match="not what was issued"):
        issuer.bundle(again, tmp_path)


def test_rendered_again_from_its_record_it_has_the_same_bytes(issuer: Issuer, tmp_path: Path, paper: None) -> None:
    issuer.lock()
    issued = issuer.issue(since=january.OPEN)
    with issuing.answer_of(issuer.home, issued.record) as answer:
        again = filing.contents(answer)
    stored = files_of(issuer.bundle(issued, tmp_path))
    assert {name: body for name, body in stored.items() if name not in ("manifest.json", ENVELOPE)} == again


def test_a_bundle_holds_its_envelope_and_checks_itself(issuer: Issuer, tmp_path: Path) -> None:
    path = issuer.bundle(issuer.issue(), tmp_path / "out")
    assert (path.name, sorted(p.name for p in path.parent.iterdir())) == (
        "ACME-2025-01_1.zip",
        ["ACME-2025-01_1.pdf", "ACME-2025-01_1.zip"],
    )
    found = filing.checked([path])
    assert found.wrong == ""
    assert "It is the first of its scope." in found.said
    assert ENVELOPE not in json.loads(files_of(path)["manifest.json"])["files"]
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    script = tmp_path / "unpacked" / "verify.py"
    assert subprocess.run([sys.executable, "-I", script, tmp_path / "unpacked"], check=False).returncode == 0


def test_one_flipped_byte_of_the_envelope_is_named(issuer: Issuer, tmp_path: Path) -> None:
    files, dice = files_of(issuer.bundle(issuer.issue(), tmp_path)), random.Random(3)
    folder = tmp_path / "unpacked"
    for name, body in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    for _ in range(30):
        place = dice.randrange(len(body := files[ENVELOPE]))
        (folder / ENVELOPE).write_bytes(body[:place] + bytes([body[place] ^ 1 << dice.randrange(8)]) + body[place + 1 :])
        assert filing.first_difference(folder) == ENVELOPE
    (folder / ENVELOPE).unlink()
    assert filing.first_difference(folder) == ENVELOPE, "its number says that it was issued"


def test_who_forges_an_envelope_lacks_the_key(issuer: Issuer, tmp_path: Path) -> None:
    path = issuer.bundle(issuer.issue(), tmp_path)
    files = files_of(path)
    told = json.loads(files[ENVELOPE]) | {"issued_by": "eve", "envelope_sha256": "0" * 64}
    blank = (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode()
    files[ENVELOPE] = blank.replace(b"0" * 64, hashlib.sha256(blank).hexdigest().encode(), 1)
    path.write_bytes(pack(files))
    assert filing.first_difference(path) == "", "every hash agrees"
    assert filing.checked([path]).wrong == "the signature of No. ACME-2025-01/1 is not that of its key"


def test_a_pinned_key_is_the_issuers_or_nobodys(issuer: Issuer, tmp_path: Path, january_book: Path) -> None:  # noqa: F811
    path, key = issuer.bundle(issuer.issue(), tmp_path), issuing.signer(issuer.home).public
    assert stat.S_IMODE((issuer.home.journal / "signing.key").stat().st_mode) == 0o600
    assert filing.checked([path], key=key).wrong == ""
    other_home = Issuer(tmp_path / "third", january_book).home
    other_home.journal.mkdir()
    other = issuing.signer(other_home).public
    assert f"not signed by {other}" in filing.checked([path], key=other).wrong
    with pytest.raises(UsageError, match="is no public key"):
        filing.checked([path], key="ed25519:nonsense")
    with publications.newest(issuer.home) as newest:
        filing.write(Answer(newest, Question(january.CLOSE, entity="acme")), "bundle", tmp_path / "draft")
    [draft] = (tmp_path / "draft").iterdir()
    assert "was never issued" in filing.checked([draft], key=key).wrong


def test_a_missing_link_is_named(issuer: Issuer, tmp_path: Path) -> None:
    days = [instant(f"2025-01-{n:02}") for n in (10, 20, 31)]
    paths = [issuer.bundle(issuer.issue(day), tmp_path) for day in days]
    issuer.bundle(issuer.issue(entity="zeta"), tmp_path)
    assert filing.checked([paths[2]], chain=tmp_path).said[-1] == "No link is missing; statements: 4."
    assert filing.checked(paths).wrong == ""
    paths[1].unlink()
    wrong = filing.checked([paths[2]], chain=tmp_path).wrong
    assert wrong.startswith("No. ACME-2025-01-30/1 follows No. ACME-2025-01-19/1 (envelope ")
    assert filing.checked([paths[0]], chain=tmp_path).wrong == wrong, "whichever is asked about"


def test_a_chain_forks_nowhere() -> None:
    def envelope(number: str, previous: str = "", key: str = "k") -> Envelope:
        facts = {"envelope_sha256": f"hash of {number}", "number": number, "previous": previous, "previous_number": "1", "public_key": key}
        return Envelope(facts | {"scope": "acme", "scope_of": "entity", "issued_at": number})

    first, second = envelope("1"), envelope("2", "hash of 1")
    assert broken_link([second, first, first]) == ""
    assert broken_link([first, second, envelope("3", "hash of 1")]) == "No. 3 and No. 2 both follow No. 1"
    assert broken_link([first, envelope("2")]) == "No. 2 and No. 1 both follow nothing"
    assert broken_link([first, envelope("2", "hash of 1", "another")]) == "No. 2 is signed by another key than No. 1"


def test_the_register_is_a_table_of_the_book(issuer: Issuer, tmp_path: Path) -> None:
    issuer.issue()
    issuer.lock()
    issuer.issue()
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    try:
        for _ in range(2):
            journalled.bring_in(warehouse, issuer.journal)
        rows = warehouse.read(STATEMENTS).sort("number").select("number", "state", "supersedes", "issued_by").rows()
        assert rows == [("ACME-2025-01/1", "superseded", None, "ann"), ("ACME-2025-01/2", "final", "ACME-2025-01/1", "ann")]
    finally:
        warehouse.close()


def revised(folder: Path, **changed: pl.DataFrame) -> Path:
    """January as it was known two weeks later: another publication."""
    known = {"known_through": instant("2025-02-20T09:00:00Z"), "publication_id": 431}
    publication = january.PUBLICATIONS.with_columns(
        **{name: pl.lit(said).cast(january.PUBLICATIONS.schema[name]) for name, said in known.items()}
    )
    return january.write(folder / "000431.duckdb", publications=publication, **changed)


LATE = """
    account_id | occurred_at                 | position | event_id | event_type | amount | balance_after | recorded_at
    1          | 2025-01-30T22:10:04Z        | 0        | 1002     | fee        | -0.05  | 12.45         | 2025-02-19
"""


def test_a_revision_says_what_changed_and_why(issuer: Issuer, tmp_path: Path, paper: None) -> None:
    issuer.lock()
    first = issuer.bundle(issuer.issue(), tmp_path)
    kept = first.read_bytes()
    late = rows(t.POSTINGS, LATE, page_sha256="6a" * 32)
    dearer = pl.when(pl.col("product_id") == "ETH-USD", pl.col("start") == instant("2025-01-31T14:00:00Z")).then(pl.col("close") + 10)
    candles = january.candles().with_columns(close=dearer.otherwise("close").cast(t.MONEY))
    issuer.publish(revised(tmp_path, postings=pl.concat([january.POSTINGS, late]), candles=candles))
    issuer.lock()
    second = issuer.issue()
    assert second.number == "ACME-2025-01/2"
    path = issuer.bundle(second, tmp_path)
    files = files_of(path)
    told = json.loads(files["difference.json"])
    lines = {(r["portfolio"], r["native_code"]): r for r in told["rows"]}
    assert {key: r["causes"] for key, r in lines.items()} == {("treasury", "BTC"): "2", ("treasury", "ETH"): "1", ("shop", "ETH"): "1"}
    btc = lines["treasury", "BTC"]
    assert (btc["balance_old"], btc["balance_new"], btc["price_effect"]) == ("12.5", "12.45", "0")
    assert btc["quantity_effect"] == btc["change"]
    [total] = [r for r in told["totals"] if r["currency"] == "USD"]
    assert (total["unexplained"], D(total["change"])) == ("0", sum(D(r["change"]) for r in told["rows"]))
    assert [(c["kind"], c["at"]) for c in told["causes"]] == [("CANDLE", "2025-01-31T14:00:00Z"), ("LATE_ENTRY", "2025-01-30T22:10:04Z")]
    paper = words_of(files["statement.pdf"])
    assert "No. ACME-2025-01/2 supersedes No. ACME-2025-01/1" in paper
    assert "(publication 412) → 2025-02-20 09:00:00Z (publication 431). Policies: unchanged." in paper
    assert {"difference.csv", "difference.xlsx", "difference.pdf", "causes.csv"} <= set(files)
    assert (first.read_bytes(), filing.checked([path, first]).wrong) == (kept, "")
    with issuing.answer_of(issuer.home, second.record) as answer:
        assert filing.contents(answer).items() <= files.items()
    files["difference.csv"] = files["difference.csv"].replace(b"12.45", b"12.46")
    files["difference.json"] = files["difference.json"].replace(f'"change": "{total["change"]}"'.encode(), b'"change": "-1"')
    del files["manifest.json"], files[ENVELOPE]
    path.write_bytes(bundle({}, files))
    assert filing.first_difference(path).startswith("difference.json: change of acme USD")


def test_a_backup_carries_what_was_issued_and_the_key(issuer: Issuer, tmp_path: Path) -> None:
    issued = issuer.issue()
    body = issuer.bundle(issued, tmp_path).read_bytes()
    backups.backup(issuer.home, tmp_path / "book.tar")
    restored = Home(tmp_path / "restored")
    backups.restore(tmp_path / "book.tar", restored)
    assert issuing.write(restored, issued.record, tmp_path / "again")[0].read_bytes() == body
    assert issuing.signer(restored).public == issuing.signer(issuer.home).public
    assert stat.S_IMODE((restored.journal / "signing.key").stat().st_mode) == 0o600


def test_a_roll_forward_opens_with_what_was_issued_of_that_instant(issuer: Issuer, tmp_path: Path, paper: None) -> None:
    assert issuer.issue(january.OPEN).number == "ACME-2024-12/1"
    issued = issuer.issue(since=january.OPEN)
    files = files_of(issuer.bundle(issued, tmp_path))
    assert "Opening agrees to No. ACME-2024-12/1: yes" in words_of(files["roll_forward.pdf"])
    with issuing.answer_of(issuer.home, issued.record) as answer:
        assert filing.contents(answer).items() <= files.items()
        changed = answer.roll_forward.rows.with_columns(book_opening=pl.lit(7, t.MONEY))
    assert revisions.opening("X/1", files, changed).startswith("agrees to No. X/1: no, ")
    assert issuing.issued_of(issuer.journal, Question(january.CLOSE, entity="acme")) == "ACME-2025-01/1"
    assert issuing.issued_of(issuer.journal, Question(january.CLOSE, entity="zeta")) is None


def test_the_commands_issue_list_give_again_and_check(issuer: Issuer, tmp_path: Path) -> None:
    home, paper = str(issuer.home.root), str(tmp_path / "paper")
    asked = ("statement", "--home", home, "--month", "2025-01", "--entity", "acme", "--out", paper)
    done = closebook(*asked, "--issued-by", "ann", cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "No. ACME-2025-01/1 is issued, preliminary:"), done.stderr
    assert closebook(*asked, "--issued-by", " ", cwd=tmp_path).returncode == 2
    assert "ACME-2025-01/1" in closebook("register", "--home", home, cwd=tmp_path).stdout
    key = closebook("register", "--home", home, "--key", cwd=tmp_path).stdout.strip()
    given = closebook("register", "ACME-2025-01/1", "--home", home, "--out", str(tmp_path / "again"), cwd=tmp_path).stdout.split()
    assert [Path(path).read_bytes() for path in given] == [(tmp_path / "paper" / Path(path).name).read_bytes() for path in given]
    done = closebook("verify", given[0], "--chain", paper, "--key", key, cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "No link is missing; statements: 1.")
    assert "no statement" in closebook("register", "NO-2025-01/1", "--home", home, "--out", paper, cwd=tmp_path).stderr.lower()
    draft = closebook(*asked, cwd=tmp_path)
    assert (draft.returncode, "No. ACME-2025-01/1 was issued of this" in draft.stderr) == (0, True)
    told = closebook("completeness", "--home", home, "--day", "2025-01-31", "--format", "json", "--out", paper, cwd=tmp_path)
    assert Path(told.stdout.strip()).name == "all_completeness_20250201T000000Z_v1.json"


def test_a_final_statement_says_what_is_known_since_and_not_in_it(issuer: Issuer, tmp_path: Path, paper: None) -> None:
    issuer.lock()
    late = rows(t.POSTINGS, LATE, page_sha256="6a" * 32)
    issuer.publish(revised(tmp_path, postings=pl.concat([january.POSTINGS, late])))
    issued = issuer.issue(entity=None, portfolio="treasury")
    assert (issued.record.words["state"], issued.record.words["publication_id"]) == ("final", "412")
    assert issued.record.words["later"] == "1 accounts, cumulative USD -4,907.498020833333333334"
    files = files_of(issuer.bundle(issued, tmp_path))
    assert "Post-close items not applied: 1 accounts, cumulative USD -4,907.49" in words_of(files["statement.pdf"])
    with issuing.answer_of(issuer.home, issued.record) as answer:
        assert filing.contents(answer).items() <= files.items()
    issued = issuer.issue(entity=None, portfolio="perps")
    assert issued.record.words["later"] == "none"
