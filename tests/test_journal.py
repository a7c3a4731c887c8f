"""The journal: decisions in their order, never changed, and refused when they are not what was written."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.errors import ContractError, MachineError
from pipelines.journal import Journal
from tests.ledger_text import instant

T = instant("2025-02-03T08:00:00Z")
LOCK = {"calendar": "utc", "through": "2025-01-31", "reason": "month end, “final”"}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "journal").rglob("*.json"))


def test_decisions_come_back_in_the_order_in_which_they_were_recorded(journal: Journal) -> None:
    journal.append("LOCK", "ann", LOCK, T)
    journal.append("REOPEN", "bob", {"day": "2025-01-31"}, T + timedelta(days=1))
    assert [(r.kind, r.by, r.words) for r in journal.records()] == [("LOCK", "ann", LOCK), ("REOPEN", "bob", {"day": "2025-01-31"})]
    assert [r.kind for r in journal.records("REOPEN")] == ["REOPEN"]
    assert [r.kind for r in journal.records(known_at=T)] == ["LOCK"]


def test_a_clock_that_runs_back_records_after_what_is_there(journal: Journal) -> None:
    journal.append("LOCK", "ann", LOCK, T)
    late = journal.append("ACCEPTANCE", "ann", {}, T - timedelta(days=9))
    assert late.recorded_at == T + timedelta(microseconds=1)
    assert [r.kind for r in journal.records()] == ["LOCK", "ACCEPTANCE"]
    assert journal.newest() == late.recorded_at


def test_an_empty_journal_says_nothing(journal: Journal) -> None:
    assert list(journal.records()) == []
    assert journal.newest() is None


def test_the_same_decision_has_the_same_bytes_and_only_its_owner_reads_them(journal: Journal, tmp_path: Path) -> None:
    one, other = journal.append("LOCK", "ann", LOCK, T), Journal(tmp_path / "other").append("LOCK", "ann", dict(reversed(LOCK.items())), T)
    assert one.body == other.body
    assert one.name == other.name
    [path] = files(tmp_path)
    assert os.stat(path).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("spoil", [lambda b: b.replace(b"01-31", b"01-30"), lambda b: b[:40], lambda _: b"", lambda b: b + b" "])
def test_a_record_that_is_not_what_was_written_is_refused(journal: Journal, tmp_path: Path, spoil) -> None:
    journal.append("LOCK", "ann", LOCK, T)
    [path] = files(tmp_path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(MachineError, match="backup"):
        list(journal.records())


def test_a_record_under_another_name_is_refused(journal: Journal, tmp_path: Path) -> None:
    journal.append("LOCK", "ann", LOCK, T)
    [path] = files(tmp_path)
    path.rename(path.with_name(path.name.replace("20250203", "20250204")))
    with pytest.raises(MachineError, match="hash"):
        list(journal.records())


def test_only_decisions_are_recorded(journal: Journal) -> None:
    with pytest.raises(ContractError):
        journal.append("THOUGHT", "ann", {}, T)


def test_a_writer_that_is_killed_leaves_no_half_record(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from datetime import UTC, datetime; from pipelines import journal; "
        "os.fsync = lambda handle: os._exit(9); "
        f"journal.Journal(Path({str(tmp_path / 'journal')!r})).append('LOCK', 'ann', {{'a': 'b'}}, datetime.now(UTC))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    assert list(Journal(tmp_path / "journal").records()) == []
