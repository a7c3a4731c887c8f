"""The check itself: what passes, what it says when it could not look, and what it leaves behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from pipelines.errors import ContractError, MachineError
from pipelines.quality import _from_file, check, rules
from pipelines.tables import TABLES
from tests.quality.book import BOOK, PUBLICATION, write

RULES = {rule.name: rule for rule in rules()}


@pytest.fixture(scope="module")
def findings(book):
    return {finding.rule.name: finding for finding in check(book, PUBLICATION)}


def test_the_correct_book_blocks_nothing_and_is_marked_where_life_is_untidy(findings):
    assert [f.rule.name for f in findings.values() if f.blocks] == []
    marked = {name: f.violations for name, f in findings.items() if not f.passed}
    assert marked == {"accounts_unmapped": 1, "accounts_opening_unknown": 2, "daily_values_unpriced": 4, "completeness_inbox": 5}


def test_the_first_finding_is_about_the_file_itself(findings):
    assert next(iter(findings)) == "publications_identity"
    assert list(findings) == [rule.name for rule in rules()]


def test_every_check_says_how_much_it_looked_at(findings):
    assert findings["daily_values_exact"].looked_at == BOOK["daily_values"].height
    assert findings["daily_values_unpriced"].looked_at == 10
    assert findings["daily_prices_window"].looked_at == 3
    assert all(f.looked_at > 0 or f.message for f in findings.values())


def test_a_check_prints_nothing(book, capfd):
    check(book, PUBLICATION, among=[RULES["accounts_unmapped"]])
    assert capfd.readouterr() == ("", "")


def test_names_of_rules_are_unique_and_every_table_has_its_suite():
    assert len(RULES) == len(rules())
    assert {rule.table for rule in rules()} == TABLES.keys()


def test_another_candidate_is_refused(book):
    identity, *_ = check(book, 8)
    assert identity.blocks
    assert identity.rows.to_dicts() == [{"publication_id": PUBLICATION, "asked_for": 8}]


def test_nothing_looked_at_is_a_failure_unless_a_reason_is_given(book):
    nothing = replace(RULES["daily_balances_flows"], looked_at="SELECT 0")
    unexcused, excused = check(book, PUBLICATION, among=[nothing, replace(nothing, name="excused", may_look_at_nothing="nobody came")])
    assert unexcused.blocks
    assert unexcused.message == "Nothing was looked at."
    assert excused.passed
    assert (excused.looked_at, excused.violations, excused.message) == (0, 0, "Nothing was looked at: nobody came.")


@pytest.mark.parametrize(
    "broken", [{"sql": "SELECT no_such_column FROM accounts"}, {"sql": "SELEC"}, {"looked_at": "SELECT count(*) FROM nowhere"}]
)
def test_a_check_that_cannot_run_fails_and_says_why(book, broken):
    good = RULES["accounts_code_unique"]
    finding, neighbour = check(book, PUBLICATION, among=[replace(good, name="broken", **broken), good])
    assert finding.blocks
    assert finding.violations == 0
    assert finding.message.startswith("The check could not run: ")
    assert any(word in finding.message for word in ("no_such_column", "SELEC", "nowhere"))
    assert neighbour.passed


def test_a_table_that_is_not_there_fails_each_of_its_rules(planted):
    missing = planted("DROP TABLE openings")
    asked = [RULES["openings_key"], RULES["openings_account_known"], RULES["accounts_code_unique"]]
    key, known, neighbour = check(missing, PUBLICATION, among=asked)
    assert key.blocks
    assert known.blocks
    assert "openings" in key.message
    assert neighbour.passed


def test_a_candidate_that_is_not_there_or_not_a_database_is_one_clear_error(tmp_path):
    with pytest.raises(MachineError, match="no candidate"):
        check(tmp_path / "none.duckdb", PUBLICATION)
    (tmp_path / "text.duckdb").write_text("not a database")
    with pytest.raises(MachineError, match="cannot be opened"):
        check(tmp_path / "text.duckdb", PUBLICATION)


def test_a_path_may_hold_any_character(book, tmp_path):
    odd = Path(shutil.copy(book, tmp_path / "a $HOME b?c=1&d#%20é.duckdb"))
    assert all(not f.blocks for f in check(odd, PUBLICATION, among=[RULES["publications_identity"]]))


def test_afterwards_this_process_and_another_open_the_file_read_write(planted):
    candidate = planted()
    check(candidate, PUBLICATION)
    write_there = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('UPDATE publications SET software = $$other$$')"
    subprocess.run([sys.executable, "-c", write_there, str(candidate)], check=True, capture_output=True)
    with duckdb.connect(str(candidate)) as here:
        assert here.execute("SELECT software FROM publications").fetchall() == [("other",)]
        here.execute("UPDATE publications SET software = 'here'")


def test_afterwards_they_do_so_even_when_checks_could_not_run(planted):
    candidate = planted("DROP TABLE openings")
    check(candidate, PUBLICATION)
    duckdb.connect(str(candidate)).close()


def test_the_old_file_does_not_answer_for_the_new(planted, tmp_path):
    candidate = planted()
    flows = [RULES["daily_balances_flows"]]
    assert check(candidate, PUBLICATION, among=flows)[0].passed
    wrong = BOOK | {"daily_balances": BOOK["daily_balances"].tail(1)}
    write(tmp_path / "new.duckdb", wrong).replace(candidate)
    assert check(candidate, PUBLICATION, among=flows)[0].looked_at == 1


def test_the_check_cannot_write(book):
    attempt = replace(RULES["accounts_code_unique"], looked_at="INSERT INTO accounts FROM accounts RETURNING 1")
    [finding] = check(book, PUBLICATION, among=[attempt])
    assert "read-only" in finding.message


def test_great_expectations_is_not_imported_until_something_is_checked():
    slow = "great_expectations, sqlalchemy, duckdb_engine, duckdb, pandas"
    say = "import sys, pipelines.quality as q; q.rules(); print([m for m in sys.argv[1].split(', ') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", say, slow], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("accounts_odd", "-- description: d\n-- weight: BLOCK\n-- table: accounts"),  # does not say what it looked at
        ("accounts_odd", "-- description: d\n-- weight: LOUD\n-- table: accounts\n-- looked_at: SELECT 1"),
        ("wallets_odd", "-- description: d\n-- weight: INFO\n-- table: wallets\n-- looked_at: SELECT 1"),
        ("odd", "-- description: d\n-- weight: INFO\n-- table: accounts\n-- looked_at: SELECT 1"),
    ],
)
def test_a_check_without_a_good_header_is_a_bug(tmp_path, name, header):
    path = tmp_path / f"{name}.sql"
    path.write_text(f"{header}\nSELECT 1")
    with pytest.raises(ContractError, match=name):
        _from_file(path)
