"""The runbook has an entry for every alarm the code can raise, so that it cannot rot."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipelines import errors, quality
from pipelines.stages import comparisons, completeness, snapshots
from pipelines.tables import REASONS, STATUSES

RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text(encoding="utf-8")
ENTRIES = set(re.findall(r"^\| `([^`]+)` \|", RUNBOOK, re.MULTILINE))
CODES = {0} | {c.exit_code for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.ClosebookError)}
LABELS = (comparisons.EXACT, comparisons.EXPLAINED, comparisons.UNEXPLAINED)
SHAPES = ("rows", "key", "not_null", "values")


def families(base: type[errors.ClosebookError] = errors.ClosebookError):
    for below in base.__subclasses__():
        if below.__module__ == errors.__name__:
            yield below
            yield from families(below)


def derived(rule: quality.Rule) -> bool:
    return rule.name.removeprefix(f"{rule.table}_") in SHAPES


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("status", STATUSES),
        ("status reason", {*snapshots.STATUS_REASONS, *completeness.WORDS}),
        ("price reason", REASONS),
        ("comparison", LABELS),
        ("exit code", map(str, CODES)),
        ("error", [e.__name__ for e in families() if e is not errors.VenueError]),
        ("check", [rule.name for rule in quality.rules() if not derived(rule)]),
        ("derived check", [f"<table>_{shape}" for shape in SHAPES]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_alarm_has_its_entry(what, words):
    missing = sorted(set(words) - ENTRIES)
    assert not missing, f"docs/runbook.md has no entry for the {what} {', '.join(missing)}"


def test_a_check_stands_with_the_weight_it_has():
    weights = dict(re.findall(r"^\| `(\w+)` \| (BLOCK|QUALIFY|INFO) \|", RUNBOOK, re.MULTILINE))
    assert weights == {rule.name: rule.weight for rule in quality.rules() if not derived(rule)}


def test_nothing_stands_there_that_the_code_does_not_know():
    known = {
        *STATUSES,
        *snapshots.STATUS_REASONS,
        *completeness.WORDS,
        *REASONS,
        *LABELS,
        *map(str, CODES),
        *(f"<table>_{s}" for s in SHAPES),
    }
    known |= {e.__name__ for e in families()} | {rule.name for rule in quality.rules()}
    assert not ENTRIES - known
