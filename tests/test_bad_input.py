"""Bad input gets one clear sentence, what to do, and its exit code; nothing half-written remains."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pipelines import cli, ui
from pipelines.errors import MachineError
from pipelines.home import Home, exclusive
from pipelines.sandbox.generate import generate
from pipelines.sandbox.serve import Sandbox
from tests import tiny
from tests.conftest import closebook


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    generate(folder, 12)
    return folder


def said(done, code: int, *words: str) -> None:
    """One line, the code, the words, no traceback."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stdout + done.stderr


def test_no_configuration(tmp_path: Path) -> None:
    said(closebook("run", cwd=tmp_path), 2, "There is no configuration at closebook.toml.", "--config")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[book", "is not TOML"),
        ("[book]\nstart = 2025-01-01\n", "portfolio: Field required"),
        ('[book]\nstart = 2025-01-01\n[[portfolio]]\nname = "x"\nvenue = "binance"\nbase_url = "http://127.0.0.1"\n', "portfolio.0"),
        (
            '[book]\nstart = 2025-01-01\n[[portfolio]]\nname = "all"\nvenue = "pacifica"\nbase_url = "http://127.0.0.1"\naccount = "a"\n',
            "reserved",
        ),
    ],
)
def test_a_wrong_configuration(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "closebook.toml").write_text(text)
    said(closebook("run", cwd=tmp_path), 2, complaint)


def test_a_wrong_key_leaves_the_others_closed(tmp_path: Path, dataset: Path) -> None:
    with Sandbox(dataset) as sandbox:
        text = sandbox.config_text()
        head, _, tail = text.partition('passphrase = "')
        (tmp_path / "closebook.toml").write_text(head + 'passphrase = "wrong' + tail)
        done = closebook("run", cwd=tmp_path)
    said(done, 3, "Not pulled: ", "Published 1")
    assert 'passphrase = "' not in done.stdout


def test_a_venue_that_is_down_is_said_and_nothing_is_published_before_the_first_pull(tmp_path: Path, dataset: Path) -> None:
    with Sandbox(dataset) as sandbox:
        (tmp_path / "closebook.toml").write_text(sandbox.config_text())
    done = closebook("run", cwd=tmp_path)
    said(done, 3, "Not pulled: ")
    assert not (tmp_path / "data/published/closebook.duckdb").exists()


def test_a_malformed_ledger_row(tmp_path: Path, dataset: Path) -> None:
    broken = tmp_path / "dataset"
    broken.mkdir()
    for path in dataset.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    lines = (broken / "ledger.csv").read_text().splitlines()
    lines[5] = lines[5].replace(lines[5].split(",")[5], "12,5x", 1)
    (broken / "ledger.csv").write_text("\n".join(lines) + "\n")
    said(closebook("sandbox", "--dataset", broken, "--write-config", tmp_path / "c.toml", cwd=tmp_path), 2, "ledger.csv", "6")
    assert not (tmp_path / "c.toml").exists()


def test_a_book_already_running(tmp_path: Path, dataset: Path) -> None:
    with Sandbox(dataset) as sandbox:
        (tmp_path / "closebook.toml").write_text(sandbox.config_text().replace("[book]", "[book]\nlock_wait = 0.5"))
        home = Home(tmp_path / "data")
        home.move_in("book")
        with exclusive(home, "somebody", 0):
            said(closebook("run", cwd=tmp_path), 4, "is being written by somebody")


def test_somebody_elses_home(tmp_path: Path, dataset: Path) -> None:
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers/letter.txt").write_text("dear")
    with Sandbox(dataset) as sandbox:
        (tmp_path / "closebook.toml").write_text(sandbox.config_text())
        said(closebook("run", "--home", "papers", cwd=tmp_path), 2, "holds files that are not a book's")
    assert [p.name for p in (tmp_path / "papers").iterdir()] == ["letter.txt"]
    Home(tmp_path / "mine").move_in("book")
    said(closebook("demo", "--home", "mine", cwd=tmp_path), 2, "belongs to a book, not to a demo")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("snapshot", "--day", "2025-01-01"), "Nothing has been published here yet."),
        (("snapshot",), "Nothing has been published here yet."),
        (("run", "--through", "31.1.2025"), "'31.1.2025' is not a day."),
        (("nonsense",), "No such command"),
    ],
)
def test_a_question_that_cannot_be_answered(tmp_path: Path, words: tuple[str, ...], complaint: str) -> None:
    said(closebook(*words, cwd=tmp_path), 2, complaint)


def test_a_disk_that_fills_up_stops_the_run_and_leaves_what_was_there(tmp_path: Path) -> None:
    """No file may pass so many bytes, as if the disk were full there; with room again the same run succeeds."""
    no_run_can_be_noted, no_candidate_fits = 20_000, 700_000
    with Sandbox(tiny.dataset(tmp_path / "dataset")) as sandbox:
        sandbox.write_config(tmp_path / "closebook.toml")
        for room in (no_run_can_be_noted, no_candidate_fits):
            said(closebook("run", cwd=tmp_path, room=room), 4, "then run again.")
            published = tmp_path / "data/published"
            assert not (published / "closebook.duckdb").exists()
            assert [p for p in published.rglob("*") if p.is_file()] == []
        said(closebook("run", cwd=tmp_path), 0, "Published ")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("lock",), "Missing option '--through'. See closebook --help."),
        (("reopen",), "Missing option '--from'. See"),
        (("explain",), "Missing option '--portfolio'. See"),
        (("demo", "--days", "3"), "Invalid value for '--days': "),
        (("run", "--config", ""), "is a directory, not a configuration. Name the file with --config."),
        (("doctor", "--home", "/dev/null"), "/dev/null cannot be a home: not a directory. Name a directory with --home."),
        (("snapshot", "--home", "/etc/passwd", "--day", "2025-01-01"), "/etc/passwd cannot be a home: not a directory."),
        (("demo", "--home", "/dev/null"), "/dev/null cannot be a home"),
        (("restore", "none.tar", "--home", "new"), "There is no backup at none.tar. Name the file"),
        (("restore", "letter", "--home", "new"), "letter is no .tar, or one that is cut short. Name a file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_missing_or_wrong_is_said_in_one_line_by_the_name_people_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "letter").write_text("dear")
    assert cli._guarded(list(words), debug=False) == 2
    told = capsys.readouterr()
    assert complaint in told.err
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


def test_a_port_in_use_is_said_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy, pytest.raises(MachineError, match=r"is in use\. Name another with --port\."):
        ui.serve(Home(tmp_path / "home"), tmp_path / "closebook.toml", busy.getsockname()[1])
    assert list(tmp_path.iterdir()) == []
