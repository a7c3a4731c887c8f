"""One owner a home, one run at a time, and a kernel that knows which runs live."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.errors import Busy, ConfigError, MachineError
from pipelines.home import MAY_LIE_BESIDE, Home, clear_drafts, exclusive, holder, lives, sign_of_life, write_atomically
from pipelines.options import home_of


def test_who_moves_in_stays(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert home.kind() is None
    home.move_in("demo")
    home.move_in("demo")
    assert home.kind() == "demo"
    with pytest.raises(ConfigError, match="belongs to a demo, not to a book"):
        home.move_in("book")


def test_a_folder_with_other_files_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("…")
    with pytest.raises(ConfigError, match="files that are not a book's"):
        Home(tmp_path).move_in("book")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_default_home_may_hold_its_readme_and_the_demo(tmp_path: Path) -> None:
    for name in MAY_LIE_BESIDE:
        (tmp_path / name).mkdir()
    Home(tmp_path).move_in("book")


def test_the_lock_is_held_by_one_and_says_by_whom(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.move_in("book")
    assert holder(home) is None
    with exclusive(home, "run 1234", 0):
        assert "run 1234" in (holder(home) or "")
        with pytest.raises(Busy, match="being written by run 1234"), exclusive(home, "run 5678", 0.2):
            pass
    with exclusive(home, "run 5678", 0):
        pass


def started(script: str, path: Path) -> subprocess.Popen[bytes]:
    """A process that runs the script on the path, as soon as it has printed its first line."""
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.move_in("book")
    script = (
        "import sys, time; from pathlib import Path; from pipelines.home import *\n"
        "h = Home(Path(sys.argv[1]))\n"
        "with sign_of_life(h, 'r'), exclusive(h, 'r', 0): print('held', flush=True); time.sleep(60)\n"
    )
    run = started(script, home.root)
    assert lives(home, "r")
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    assert not lives(home, "r")
    assert holder(home) is None


def test_a_run_lives_while_its_sign_is_held(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.move_in("book")
    assert not lives(home, "x")
    with sign_of_life(home, "x"):
        assert lives(home, "x")
    assert not lives(home, "x")


def test_a_full_disk_is_said_before_anything_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "home")
    home.move_in("book")
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    with pytest.raises(MachineError, match="1 MiB free; a run needs 64 MiB"):
        home.require_room()


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "statement.csv"
    write_atomically(path, b"first", 0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"second")
    assert path.read_bytes() == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["statement.csv"]


def test_what_a_killed_process_had_begun_to_write_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.move_in("book")
    script = (
        "import os, sys, time; from pathlib import Path; from pipelines.home import *\n"
        "os.fsync = lambda _: (print('written', flush=True), time.sleep(60))\n"
        "write_atomically(Path(sys.argv[1]) / '202501' / 'batch.parquet', b'half')\n"
    )
    writer = started(script, home.archive)
    drafts = lambda: [p.name for p in (home.archive / "202501").iterdir()]  # noqa: E731
    clear_drafts(home)
    assert drafts() == [f".batch.parquet.{writer.pid}.tmp"]
    writer.kill()
    writer.communicate()
    (home.publication.parent / ".closebook.duckdb.7.tmp").symlink_to("versions/gone.duckdb")
    clear_drafts(home)
    assert drafts() == []
    assert not os.path.lexists(home.publication.parent / ".closebook.duckdb.7.tmp")


@pytest.mark.parametrize("path", ["/dev/null", "file", "file/below", "loop", "x" * 300])
def test_a_path_at_which_no_directory_can_be_is_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigError, match=r"cannot be a home: .*\. Name a directory with --home\."):
        home_of(Path(path))
    assert home_of(Path("not/yet/there")).root == tmp_path / "not/yet/there"
