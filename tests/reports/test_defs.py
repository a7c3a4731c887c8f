"""In Dagster: the sensor asks for one run for all that is pending, the run makes it once, the launchpad's form makes one statement."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterInvalidConfigError

from pipelines.defs.reports import one_statement, pending_reports, report_requests
from pipelines.defs.show import newest_statement
from pipelines.errors import UsageError
from pipelines.reports.making import daemon_lives, workshop
from tests.reports.house import CLOSE, House

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def instance(house, monkeypatch, tmp_path) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("CLOSEBOOK_HOME", str(house.home.root))
    monkeypatch.setenv("CLOSEBOOK_CONFIG", str(tmp_path / "none.toml"))
    with dg.DagsterInstance.local_temp(str(house.home.dagster)) as opened:
        yield opened


def tick(instance: dg.DagsterInstance) -> Any:
    return report_requests(dg.build_sensor_context(instance=instance))


def run(instance: dg.DagsterInstance) -> dict[str, Any]:
    """What the run of pending reports says of itself."""
    result = pending_reports.execute_in_process(instance=instance, run_config=QUIET)
    return said(result, "make_pending")


def said(result: Any, op: str) -> dict[str, Any]:
    [output] = [event for event in result.all_events if event.is_successful_output and event.step_key == op]
    return {name: value.value for name, value in output.event_specific_data.metadata.items()}


def ask(house: House, days: range) -> list[str]:
    client = house.client("treasury")
    return [client.ask(datetime=f"2025-01-{day:02}T00:00:00Z") for day in days]


def test_one_run_makes_all_that_is_pending(house, instance) -> None:
    asked = ask(house, range(2, 6))
    request = tick(instance)
    assert isinstance(request, dg.RunRequest)
    assert daemon_lives(house.home)
    told = run(instance)
    assert (told["ready"], told["failed"]) == (4, 0)
    assert all(one in told["requests"] for one in asked)
    assert {row["status"] for row in house.desk.requests.newest(limit=9)} == {"ready"}
    assert isinstance(tick(instance), dg.SkipReason)
    assert run(instance)["ready"] == 0


def test_a_failed_request_is_shown_and_stops_no_other(house, instance) -> None:
    first, _ = ask(house, range(2, 4))
    with house.desk.store.begin() as transaction:
        transaction.exec_driver_sql(f"UPDATE requests SET portfolio = 'gone' WHERE id = '{first}'")
    told = run(instance)
    assert (told["ready"], told["failed"]) == (1, 1)
    assert "There is no portfolio" in told["requests"]


def test_nothing_is_asked_for_twice(house, instance) -> None:
    ask(house, range(2, 3))
    with workshop(house.home):
        assert tick(instance).skip_message == "Another process is making them."
    instance.create_run_for_job(pending_reports, status=dg.DagsterRunStatus.NOT_STARTED)
    assert tick(instance).skip_message == "A run is on its way."


def test_a_run_whose_process_is_gone_holds_nobody_up(house, instance, monkeypatch) -> None:
    ask(house, range(2, 3))
    dead = instance.create_run_for_job(pending_reports, status=dg.DagsterRunStatus.STARTED)
    monkeypatch.setattr("pipelines.defs.runs.time", SimpleNamespace(time=lambda: time.time() + 31))
    assert isinstance(tick(instance), dg.RunRequest)
    assert instance.get_run_by_id(dead.run_id).status == dg.DagsterRunStatus.FAILURE


def test_a_home_without_reports_is_left_alone(house, instance, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("CLOSEBOOK_HOME", str(tmp_path / "other"))
    assert "has not been used" in tick(instance).skip_message
    assert not (tmp_path / "other").exists()


def launch(instance: dg.DagsterInstance, **form: str) -> Any:
    config = {"ops": {"make_statement": {"config": form}}} | QUIET
    return one_statement.execute_in_process(instance=instance, run_config=config)


def test_the_launchpads_form_makes_a_statement(house, instance) -> None:
    told = said(launch(instance, as_of=CLOSE, scope="treasury", grouping="asset", format="csv"), "make_statement")
    assert told["file"] == str(house.desk.folder / "treasury_asset_20250201T000000Z_v1.csv")
    assert told["rows"] == 6
    assert "| acme | USD |" in told["totals"]
    assert told["preview"].count("\n") == 7
    assert told["charts"].count("data:image/svg+xml;base64,") >= 2
    day = said(launch(instance, day="2025-01-31", format="csv", scope="treasury", grouping="asset"), "make_statement")
    assert (day["file"], day["sha256"]) == (told["file"], told["sha256"]), "the same question, the stored bytes"


def test_daily_statements_show_the_newest_day(house) -> None:
    told = newest_statement(house.home)
    assert (told["as_of"], told["rows"], told["unpriced"]) == (CLOSE, 13, 3)
    assert "| acme | USD |" in told["totals"].value
    assert "data:image/svg+xml;base64," in told["charts"].value


def test_the_form_refuses_what_it_does_not_know(house, instance) -> None:
    with pytest.raises(DagsterInvalidConfigError, match="docx"):
        launch(instance, as_of=CLOSE, format="docx")
    with pytest.raises(UsageError, match="Which instant"):
        launch(instance)
    with pytest.raises(UsageError, match="no portfolio 'nobody'"):
        launch(instance, as_of=CLOSE, scope="nobody")
    with pytest.raises(UsageError, match="in the future"):
        launch(instance, as_of="2125-01-01T00:00:00Z")
