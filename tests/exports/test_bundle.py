"""A bundle proves itself: every flipped byte is found and its file named, and so is every number that does not follow."""

from __future__ import annotations

import ast
import io
import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipelines import verify
from pipelines.errors import UsageError
from pipelines.exports.bundle import bundle
from pipelines.filing import first_difference, form_of
from pipelines.publications import Publication
from pipelines.statements import Answer, Question
from tests.conftest import closebook
from tests.exports import january


@pytest.fixture(scope="module")
def packed(january_book) -> bytes:
    with Publication(january_book) as source:
        return form_of(Answer(source, Question(january.CLOSE, since=january.OPEN)), "bundle")


@pytest.fixture
def made(packed, tmp_path) -> Path:
    path = tmp_path / "january.zip"
    path.write_bytes(packed)
    return path


@pytest.fixture
def unpacked(made, tmp_path) -> Path:
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path / "unpacked")
    return tmp_path / "unpacked"


def files_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def forged(made: Path, name: str, before: str, after: str) -> str:
    """What is found where somebody changed a file and wrote a manifest that agrees."""
    files = files_of(made)
    text = files[name].decode()
    assert before in text, f"{name} has nothing to forge"
    files[name] = text.replace(before, after, 1).encode()
    del files["manifest.json"]
    made.write_bytes(bundle({}, files))
    return first_difference(made)


def test_a_bundle_as_made_differs_nowhere_packed_and_unpacked(made, unpacked):
    assert first_difference(made) == ""
    assert first_difference(unpacked) == ""


def test_it_holds_every_form_the_evidence_and_the_verifier(made):
    names = set(files_of(made))
    assert {"by_portfolio.csv", "by_asset.csv", "manifest.json", "verify.py", "recompute.py"} <= names
    assert {f"{doc}.{form}" for doc in ("statement", "roll_forward") for form in ("json", "pdf", "xlsx", "parquet")} <= names
    assert {f"completeness.{form}" for form in ("csv", "json", "pdf", "xlsx")} <= names
    evidence = "accounts openings postings candles prices policies read_through daily_values suspense history event_columns"
    assert {f"evidence/{name}.csv" for name in evidence.split()} <= names


def test_no_entry_at_or_after_the_instant_and_no_candle_that_ends_after_it_is_evidence(made):
    files = files_of(made)
    assert b",2025-02-01T" not in files["evidence/postings.csv"].replace(b",2025-02-03T07:59:00Z", b"")
    assert files["evidence/candles.csv"].count(b"\n") == 1 + 4 * 24
    assert b",2025-02-01T00" not in files["evidence/candles.csv"]


def test_two_hundred_flipped_bytes_are_each_found_in_their_file(unpacked):
    dice = random.Random(5)
    paths = sorted(p for p in unpacked.rglob("*") if p.is_file())
    for _ in range(200):
        path = dice.choice(paths)
        body = path.read_bytes()
        place = dice.randrange(len(body))
        path.write_bytes(body[:place] + bytes([body[place] ^ 1 << dice.randrange(8)]) + body[place + 1 :])
        assert first_difference(unpacked) == path.relative_to(unpacked).as_posix()
        path.write_bytes(body)
    assert first_difference(unpacked) == ""


def test_two_hundred_flipped_bytes_of_the_archive_itself_are_each_found(made):
    dice, body = random.Random(6), made.read_bytes()
    with zipfile.ZipFile(made) as archive:
        spans = [(entry.header_offset, entry.filename) for entry in archive.infolist()]
        end = archive.start_dir
    for _ in range(200):
        place = dice.randrange(len(body))
        made.write_bytes(body[:place] + bytes([body[place] ^ 1 << dice.randrange(8)]) + body[place + 1 :])
        inside = max((s for s in spans if s[0] <= place), default=(0, ""))[1] if place < end else ""
        try:
            found = first_difference(made)
        except UsageError:
            found = "no bundle"
            assert place >= end, "only the archive's own directory can be damaged beyond recognition"
        assert found, f"byte {place} of {inside or 'the directory'}"
        if inside and place > 200 + max(offset for offset, name in spans if name == inside):
            assert found == inside


@pytest.mark.parametrize(
    ("name", "before", "after", "found"),
    [
        ("by_portfolio.csv", "12.5,,98149", "12.6,,98149", "by_portfolio.csv: balance of treasury BTC"),
        ("by_portfolio.csv", "98149.960416666666666667", "98149.960416666666666668", "by_portfolio.csv: price of treasury BTC"),
        ("by_portfolio.csv", "1226874.505208333333333338", "1226874.505208333333333337", "by_portfolio.csv: value of treasury BTC"),
        ("evidence/postings.csv", "match,0.6,", "match,0.60000001,", "by_portfolio.csv: balance of treasury BTC"),
        ("evidence/openings.csv", "ASSERTED,79000", "ASSERTED,79001", "by_portfolio.csv: balance of perps USDC"),
        ("evidence/policies.csv", "false,1,USD", "false,2,USD", "by_portfolio.csv: price of perps USDC"),
        ("by_asset.csv", ",105.123456,", ",105.123457,", "by_asset.csv: balance of ETH"),
        ("statement.json", '"value": "40000"', '"value": "40001"', "statement.json: its rows are not those of the CSV"),
        ("statement.json", '"printed": "1924585.98"', '"printed": "1924585.99"', "statement.json: total acme  USD"),
        ("statement.json", '"units": "2",', '"units": "3",', "statement.json: in transit ETH from treasury"),
        ("statement.json", '"second_total": "', '"second_total": "1', "statement.json: second_total of acme USD"),
        ("completeness.csv", "treasury,BTC,INCEPTION,,3,", "treasury,BTC,INCEPTION,,4,", "completeness.csv: treasury BTC"),
        ("evidence/daily_values.csv", "Z,12.5,", "Z,12.4,", "evidence/daily_values.csv: treasury BTC"),
        ("roll_forward.csv", ",20,-2,15,", ",21,-2,14,", "roll_forward.csv: deposits of treasury ETH"),
        ("roll_forward.csv", ",21,-12,80000", ",21,-11,80000", "roll_forward.csv: opening of perps USDC"),
    ],
)  # fmt: skip
def test_a_forged_number_is_found_though_every_hash_agrees(made, name, before, after, found):
    assert forged(made, name, before, after) == found


def test_a_file_too_few_or_too_many_is_named(unpacked):
    (unpacked / "evidence" / "note.txt").write_text("hello")
    assert first_difference(unpacked) == "evidence/note.txt"
    (unpacked / "evidence" / "note.txt").unlink()
    (unpacked / "statement.pdf").unlink()
    assert first_difference(unpacked) == "statement.pdf"


def test_the_verifier_inside_is_ours_and_needs_only_python(unpacked):
    script = unpacked / "verify.py"
    assert script.read_text() == Path(verify.__file__).read_text()
    used = {n.name for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Import) for n in node.names}
    used |= {node.module or "" for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in used} <= sys.stdlib_module_names

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-I", "-S", script, unpacked], capture_output=True, text=True, check=False)

    assert run().returncode == 0
    (unpacked / "by_asset.csv").write_bytes((unpacked / "by_asset.csv").read_bytes().replace(b"105.123456", b"205.123456"))
    assert (run().returncode, run().stderr.strip()) == (1, "by_asset.csv")


def test_the_manifest_says_what_it_is_about(made):
    told = json.loads(files_of(made)["manifest.json"])
    assert (told["scope"], told["as_of"], told["from"], told["publication"]) == ("all", "2025-02-01T00:00:00Z", "2025-01-01T00:00:00Z", 412)


def test_the_command_says_what_differs_and_how_it_ended(made, tmp_path):
    done = closebook("verify", made, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Nothing differs" in done.stdout
    made.write_bytes(made.read_bytes().replace(b"doc17.pdf", b"doc18.pdf"))
    done = closebook("verify", made, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "This differs: completeness.csv\n")
    (tmp_path / "other.zip").write_bytes(io.BytesIO(b"not a zip").getvalue())
    for strange in (tmp_path / "other.zip", tmp_path, tmp_path / "nothing"):
        done = closebook("verify", strange, cwd=tmp_path)
        assert done.returncode == 2
        assert "is no bundle" in done.stderr


def test_the_short_verifier_recomputes_prices_and_values_alone(unpacked):
    script = unpacked / "recompute.py"
    assert len(script.read_text().splitlines()) <= 60
    ran = lambda: subprocess.run([sys.executable, "-I", script, unpacked], capture_output=True, text=True, check=False)  # noqa: E731
    done = ran()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    candles = unpacked / "evidence/candles.csv"
    honest = candles.read_text()
    first = next(line for line in honest.splitlines() if line.startswith("BTC,"))
    candles.write_text(honest.replace(first + "\n", ""))
    assert "price of treasury BTC" in ran().stderr
    candles.write_text(honest)
    book = unpacked / "by_portfolio.csv"
    book.write_text(book.read_text().replace("1226874.505208333333333338", "1226874.505208333333333337"))
    assert ran().stderr.startswith("value of treasury BTC: 1226874.505208333333333337, not 1226874.505208333333333338")
