"""The systemd units: each starts something that exists, on loopback, as nobody special, locked in; keys reach only those who ask venues."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "deploy").glob("*.service"))
INSTALLED = "/opt/closebook/.venv/bin/"
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed here")
unit = pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
LOCKED_IN = {
    "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes",
    "CapabilityBoundingSet": "", "SystemCallFilter": "@system-service", "RestrictNamespaces": "yes",
    "User": "closebook", "StateDirectory": "closebook", "StateDirectoryMode": "0750",
}  # fmt: skip


def settings(path: Path) -> dict[str, list[str]]:
    """Every setting of a unit; a section that is repeated, or a line that is none, is refused."""
    found: dict[str, list[str]] = defaultdict(list)
    sections = []
    for line in path.read_text().splitlines():
        if line.startswith("["):
            sections.append(line)
        elif line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            assert re.fullmatch(r"[A-Z]\w+=", name + equals), line
            found[name].append(value)
    assert len(set(sections)) == len(sections)
    return found


def command(path: Path) -> list[str]:
    (line,) = settings(path)["ExecStart"]
    return line.split()


def test_there_is_a_unit_for_each_part():
    assert [path.stem for path in UNITS] == ["closebook-daemon", "closebook-reports", "closebook-run", "closebook-ui"]


@unit
def test_a_unit_starts_a_program_of_ours_with_options_it_has(path):
    program, *words = command(path)
    assert program.startswith(INSTALLED)
    here = Path(sys.executable).parent / program.removeprefix(INSTALLED)
    commands = [w for w in words if re.fullmatch(r"[a-z]+", w)]
    helped = subprocess.run([here, *commands, "--help"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert helped.returncode == 0, helped.stderr
    missing = [w for w in words if w.startswith("-") and not re.search(rf"(?<![\w-]){re.escape(w)}\b", helped.stdout)]
    assert not missing


@unit
def test_a_unit_is_locked_in(path):
    told = settings(path)
    assert {name: told[name][-1] for name in LOCKED_IN} == LOCKED_IN
    assert told["WorkingDirectory"] == ["/var/lib/closebook"]
    assert "CLOSEBOOK_HOME=/var/lib/closebook " in told["Environment"][0]


def test_keys_reach_only_those_who_ask_venues():
    given = {path.stem for path in UNITS if "/etc/closebook/secrets.env" in settings(path)["EnvironmentFile"]}
    assert given == {"closebook-daemon", "closebook-run"}
    for path in UNITS:
        assert path.stem in given or any("secrets.env" in value for value in settings(path)["InaccessiblePaths"]), path


def test_publications_are_for_the_group_and_the_rest_for_nobody_else():
    masks = {path.stem: settings(path)["UMask"] for path in UNITS}
    writes_books = ["closebook-daemon", "closebook-run"]
    assert masks == {path.stem: ["0027" if path.stem in writes_books else "0077"] for path in UNITS}


def test_what_listens_does_so_on_loopback_and_the_ui_changes_nothing():
    words = command(ROOT / "deploy" / "closebook-ui.service")
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert "--read-only" in words
    words = command(ROOT / "deploy" / "closebook-reports.service")
    assert words[words.index("--host") + 1] == "127.0.0.1"


@needs_systemd
@unit
def test_systemd_takes_the_unit(path, tmp_path):
    here = tmp_path / path.name
    here.write_text(path.read_text().replace(INSTALLED, f"{Path(sys.executable).parent}/"))
    told = subprocess.run([ANALYZE, "verify", "--man=no", here], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")


@needs_systemd
@unit
def test_systemd_finds_the_unit_little_exposed(path):
    told = subprocess.run([ANALYZE, "security", "--offline=yes", "--threshold=25", path], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout.splitlines()[-1]
