"""`closebook doctor` on a healthy book, on keys that open less than they should, and on what nobody configured."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from pipelines.doctor import Finding, examine
from pipelines.home import Home
from tests.sandbox.asking import serving, write

GONE = "[[portfolio]]"


def examined(folder: Path, leave_out: str = "", wrong: tuple[str, str] | None = None, **settings: object) -> list[Finding]:
    """What is found with the written configuration, but for one portfolio, or for one secret of one portfolio."""
    with serving(write(folder / "dataset") if folder.mkdir() is None else folder, **settings) as ask:
        parts = ask.sandbox.config_text().split(GONE)
        text = GONE.join(part for part in parts if f'name = "{leave_out}"' not in part)
        text = text.replace(ask.keys[wrong[0]][wrong[1]], "guessed") if wrong else text
        (folder / "closebook.toml").write_text(text)
        return list(examine(folder / "closebook.toml", Home(folder / "home")))


def said(findings: list[Finding], subject: str) -> list[str]:
    return [f.said for f in findings if f.subject == subject]


def test_every_key_of_a_healthy_book_opens_its_portfolio(tmp_path: Path) -> None:
    findings = examined(tmp_path / "book")
    assert [f for f in findings if f.exit_code] == []
    for subject in ("coinbase desk", "pacifica margin", "cryptofuse till"):
        assert said(findings, subject)[0] == "its key opens it"
    assert said(findings, "coinbase") == []


def test_a_profile_that_nobody_configured_is_named(tmp_path: Path) -> None:
    [told] = said(examined(tmp_path / "book", leave_out="vault"), "coinbase")
    assert told.startswith("the profile 'vault' (")
    assert told.endswith("exists and is not configured: it is not in the book")


def test_a_key_that_may_write_is_warned_of(tmp_path: Path) -> None:
    findings = examined(tmp_path / "book")
    assert said(findings, "cryptofuse till")[1] == "its key may do more than read (read write): whoever finds it can move money"
    assert len(said(findings, "coinbase desk")) == 1, "Coinbase does not tell what a key may do"


def test_a_key_that_only_reads_is_enough_for_the_history(tmp_path: Path) -> None:
    findings = examined(tmp_path / "book", scopes=("read",))
    [told] = said(findings, "cryptofuse till")
    assert told.startswith("NO_BALANCE_SCOPE")
    assert [f for f in findings if f.exit_code] == []


def test_a_key_that_opens_nothing_is_the_trouble_of_its_portfolio_alone(tmp_path: Path) -> None:
    findings = examined(tmp_path / "book", wrong=("desk", "passphrase"))
    assert [(f.subject, f.exit_code) for f in findings if f.exit_code] == [("coinbase desk", 3)]
    assert "Invalid Passphrase" in said(findings, "coinbase desk")[0]


def test_a_wrong_secret_is_not_taken_for_a_key_that_only_reads(tmp_path: Path) -> None:
    findings = examined(tmp_path / "book", wrong=("till", "client_secret"))
    assert [(f.subject, f.exit_code) for f in findings if f.exit_code] == [("cryptofuse till", 3)]
    assert "invalid_client" in said(findings, "cryptofuse till")[0]


def test_a_key_that_may_not_even_read_the_history_is_said(tmp_path: Path) -> None:
    findings = examined(tmp_path / "book", scopes=())
    assert [f.subject for f in findings if f.exit_code] == ["cryptofuse till", "cryptofuse kiosk"]


def test_somebody_else_s_directory_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("root")
    [home] = [f for f in examine(tmp_path / "none.toml", Home(tmp_path)) if f.subject == "home"]
    assert (home.exit_code, "holds files that are not a book's" in home.said) == (2, True)


def test_a_home_whose_mark_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "home.toml").write_text("kind =")
    [home] = [f for f in examine(tmp_path / "none.toml", Home(tmp_path)) if f.subject == "home"]
    assert (home.exit_code, "cannot be read" in home.said) == (2, True)


def test_one_portfolio_behind_two_keys_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys do not look the same: one stands in the file, the other comes from the environment."""
    with serving(write(tmp_path / "dataset")) as ask:
        head, *parts = ask.sandbox.config_text().split(GONE)
        [desk] = [part for part in parts if 'name = "desk"' in part]
        copy = desk.replace('name = "desk"', 'name = "copy"').replace(f'key = "{ask.keys["desk"]["key"]}"', 'key = "env:COPY"')
        monkeypatch.setenv("COPY", ask.keys["desk"]["key"])
        (tmp_path / "closebook.toml").write_text(GONE.join([head, copy, *parts]))
        findings = list(examine(tmp_path / "closebook.toml", Home(tmp_path / "home")))
    [twice] = [f for f in findings if f.exit_code]
    assert (twice.subject, twice.exit_code) == ("coinbase desk", 3)
    assert "opens the same as coinbase copy" in twice.said


def test_another_version_s_publication_is_said_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.move_in("book")
    duckdb.connect(str(home.publication)).close()
    with serving(write(tmp_path / "dataset")) as ask:
        (tmp_path / "closebook.toml").write_text(ask.sandbox.config_text())
        findings = list(examine(tmp_path / "closebook.toml", home))
    assert said(findings, "publication") == [
        f"The publication {home.publication} was made by another version. `closebook run` publishes anew."
    ]
    assert said(findings, "coinbase desk")[0] == "its key opens it"
