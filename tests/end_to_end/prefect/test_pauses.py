"""A stage that fails at its start, and what a person pauses: is it left alone, is that said, and does it go on?"""

from __future__ import annotations

import re
from datetime import timedelta

from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolUpdate
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.schedules import IntervalSchedule

from stages.engine.plan import FAILURES_MIN
from tests.end_to_end.prefect.conftest import MakeLine
from tests.end_to_end.prefect.line import OVER, Line
from tests.waiting import wait_until

MINUTE = 61.0


def only(line: Line, kind: StateType) -> bool:
    """Let the one poller end that the trigger has asked for, and see how."""
    (run,) = [run.id for run in line.runs() if run.state_type not in OVER]
    return line.wait(run, kind).state_type is kind


def test_a_stage_that_cannot_be_set_up_is_left_alone_until_it_is_mended(make_line: MakeLine, pool: str) -> None:
    line = make_line(pool, "breakable")
    broken = line.gates.directory / "broken"
    broken.touch()
    line.deploy()
    line.add(1)
    why = "The job ended on \\S+: exit code 78 \\(EX_CONFIG: the stage cannot be set up\\)"
    for _ in range(FAILURES_MIN):
        assert line.pull() == f"Completed: {line.stages[0]}: 1 asked, 1 claimable, 0 of 4 pollers"
        assert only(line, StateType.FAILED)
    assert re.fullmatch(
        rf"Completed: {line.stages[0]}: paused until [-0-9]+ [:0-9]+, 5 in a row failed: {why}\. Its log is /.*/output",
        line.pull(),
    )
    assert len(line.runs()) == FAILURES_MIN
    assert re.search(rf"! {line.stages[0]}, no new pollers until .*\n +the latest 5 all failed, .*{why}", line.status())

    broken.unlink()
    assert line.pull(MINUTE).endswith("1 asked, 1 claimable, 0 of 4 pollers, 5 in a row failed: one is tried")
    assert only(line, StateType.COMPLETED)
    assert "no new pollers" not in line.status()
    assert line.names("RESULTS") == ["ds0"]
    line.add(1, "more")
    assert line.pull() == f"Completed: {line.stages[0]}: 1 asked, 1 claimable, 0 of 4 pollers"
    assert only(line, StateType.COMPLETED)
    assert line.broken() == []


def test_a_pool_that_is_paused_begins_nothing_and_ends_nothing(make_line: MakeLine, pool: str) -> None:
    line = make_line(pool, "carry_through_gate")
    line.deploy()
    line.add(1)
    running = line.ask()
    line.gates.wait("ds0.1")
    try:
        line.client.update_work_pool(pool, WorkPoolUpdate(is_paused=True))
        waiting = line.ask()
        line.add(1, "more")
        assert line.pull().endswith(f": its work pool is paused: prefect work-pool resume {pool}")
        line.gates.open("ds0.1", "more0.1")
        line.wait(running, StateType.COMPLETED)
        assert line.run(waiting).state_type is StateType.SCHEDULED
        assert len(line.runs()) == 2
    finally:
        line.client.update_work_pool(pool, WorkPoolUpdate(is_paused=False))
    line.wait(waiting, StateType.COMPLETED)
    assert line.names("RESULTS") == ["ds0", "more0"]
    assert line.broken() == []


def test_a_deployment_that_is_paused_is_given_no_pollers(make_line: MakeLine, pool: str) -> None:
    line = make_line(pool, "carry_through_gate")
    line.deploy()
    line.add(1)
    running = line.ask()
    line.gates.wait("ds0.1")
    deployment = line.client.read_deployment_by_name(f"poll/{line.stages[0]}").id
    line.client.pause_deployment(deployment)
    assert ": its deployment is paused: " in line.pull()
    line.gates.open("ds0.1")
    line.wait(running, StateType.COMPLETED)
    line.client.resume_deployment(deployment)
    assert line.pull().endswith(": 0 claimable, 0 of 4 pollers")
    assert line.broken() == []


def test_a_schedule_that_is_paused_plans_nothing(make_line: MakeLine, bare_pool: str) -> None:
    line = make_line(bare_pool, "carry")
    line.deploy(schedules=[DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(seconds=60)))])
    (stage,) = line.stages
    wait_until(lambda: bool(line.runs()), 60, "the server plans runs")
    deployment = line.client.read_deployment_by_name(f"poll/{stage}")
    line.client.update_deployment_schedule(deployment.id, deployment.schedules[0].id, active=False)
    wait_until(lambda: not line.runs(), 60, "what was planned is planned no more")
