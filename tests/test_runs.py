"""The schedule asks for the newest day and the run finds the rest; runs whose process is gone hold nobody up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest

from pipelines import alerts
from pipelines.closing import newest_day
from pipelines.config import load
from pipelines.definitions import defs
from pipelines.defs import runs
from pipelines.defs.alerts import failed
from pipelines.defs.jobs import every_day
from pipelines.errors import UsageError
from pipelines.home import Home, sign_of_life

CONFIG = """
[book]
start = 2025-01-01
end = 2025-02-01
[[portfolio]]
name = "perps"
venue = "pacifica"
base_url = "http://127.0.0.1:9"
account = "abc"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    (tmp_path / "closebook.toml").write_text(CONFIG)
    monkeypatch.setenv("CLOSEBOOK_CONFIG", str(tmp_path / "closebook.toml"))
    monkeypatch.setenv("CLOSEBOOK_HOME", str(tmp_path / "data"))
    made = Home(tmp_path / "data")
    made.move_in("book")
    return made


@pytest.fixture
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(home.dagster)) as opened:
        yield opened


def tick(instance: dg.DagsterInstance, at: datetime):
    return every_day(dg.build_schedule_context(instance=instance, scheduled_execution_time=at))


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2025, 1, 2, 0, 20, tzinfo=UTC), "2025-01-01"),
        (datetime(2025, 1, 20, 0, 20, tzinfo=UTC), "2025-01-19"),
        (datetime(2025, 3, 1, 0, 20, tzinfo=UTC), "2025-01-31"),  # the book has ended
    ],
)
def test_a_tick_asks_for_the_newest_day_that_has_ended(instance: dg.DagsterInstance, at: datetime, day: str) -> None:
    request = tick(instance, at)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == day


def test_a_tick_before_the_first_day_has_ended_says_so(instance: dg.DagsterInstance) -> None:
    skipped = tick(instance, datetime(2025, 1, 1, 0, 20, tzinfo=UTC))
    assert isinstance(skipped, dg.SkipReason)
    assert "has not ended yet" in (skipped.skip_message or "")


def test_a_configuration_nobody_can_read_fails_the_run_of_the_day_with_its_own_sentence_and_that_is_told(
    instance: dg.DagsterInstance, home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[tuple[str | None, str]] = []
    monkeypatch.setattr(alerts, "_send", lambda to, _mail, _subject, said: told.append((to, said)))
    (tmp_path / "closebook.toml").write_text(CONFIG + '[alerts]\nemail = "ops@acme.example"\n')
    assert isinstance(tick(instance, datetime(2025, 1, 20, 0, 20, tzinfo=UTC)), dg.RunRequest)
    config = tmp_path / "closebook.toml"
    config.write_text("[book")
    request = tick(instance, datetime(2025, 1, 21, 0, 20, tzinfo=UTC))
    assert isinstance(request, dg.RunRequest)
    book = {"config": str(config), "home": str(home.root)}
    ended = defs.resolve_job_def("close_book").execute_in_process(
        {"resources": {"book": {"config": book}}}, instance, partition_key=request.partition_key, raise_on_error=False
    )
    assert "is not TOML" in runs.report(instance, ended.run_id).stopped
    event = next(e.dagster_event for e in instance.all_logs(ended.run_id, of_type=dg.DagsterEventType.RUN_FAILURE))
    failed(dg.build_run_status_sensor_context("failed", event, instance, instance.get_runs()[0]).for_run_failure())
    assert [(to, "is not TOML" in said) for to, said in told] == [("ops@acme.example", True)]


def test_the_newest_day_is_never_before_the_first(home: Home, tmp_path: Path) -> None:
    config = load(tmp_path / "closebook.toml")
    assert newest_day(config, datetime(2025, 1, 2, tzinfo=UTC)) == date(2025, 1, 1)
    with pytest.raises(UsageError):
        newest_day(config, datetime(2025, 1, 1, 23, 59, tzinfo=UTC))


def test_only_runs_without_a_process_are_ended(instance: dg.DagsterInstance, home: Home) -> None:
    job = defs.resolve_job_def("close_book")
    dead, alive = (instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED) for _ in range(2))
    with sign_of_life(home, alive.run_id):
        with sign_of_life(home, alive.run_id):
            pass  # the command shows it, and so does its book
        assert runs.release_orphans(instance, home, grace=3600) == 0, "within its grace a run may not have shown itself yet"
        assert runs.release_orphans(instance, home, grace=0) == 1
        statuses = {r.run_id: r.status for r in instance.get_runs()}
    assert statuses == {dead.run_id: dg.DagsterRunStatus.FAILURE, alive.run_id: dg.DagsterRunStatus.STARTED}
