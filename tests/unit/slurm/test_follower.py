"""A worker follows its jobs: what the runs are told, and when, whatever fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from infra.slurm.runs import RunState
from infra.slurm.states import JobState
from tests.fakes_runs import Trouble
from tests.fakes_slurm import FakeTransport
from tests.unit.slurm.scene import Crew, Scene, living

Play = Callable[[Scene, Crew], Awaitable[None]]


def play(tmp_path: Path, test: Play, *, transport: FakeTransport | None = None, log_lines_max: int = 1000) -> None:
    async def run() -> None:
        scene = Scene(top=tmp_path, transport=transport or FakeTransport(), log_lines_max=log_lines_max)
        await test(scene, scene.crew(living("w1")))

    anyio.run(run)


def test_a_run_is_told_what_becomes_of_its_job(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        followed = await scene.hand_in(crew, "r")
        await scene.pass_time(crew, turns=3)
        scene.transport.begin("fake:1")
        scene.transport.say("fake:1", "one\ntwo")
        await scene.pass_time(crew, turns=3)
        assert scene.runs.texts("r") == ["one"]
        scene.transport.end("fake:1")
        await scene.pass_time(crew)
        assert scene.runs.states("r") == ["Queued: Resources", "Running", "Completed"]
        assert scene.runs.texts("r") == ["one", "two"]
        assert scene.runs.runs["r"].run_count == 1
        assert followed.finished.is_set()
        assert crew.follower.followed == {}

    play(tmp_path, test)


def test_the_last_lines_come_before_the_end(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        await scene.hand_in(crew, "r")
        scene.transport.begin("fake:1")
        scene.transport.say("fake:1", "".join(f"{number}\n" for number in range(30_000)))
        scene.transport.end("fake:1", exit_code=3)
        await scene.pass_time(crew)
        assert scene.state("r") is RunState.RUNNING  # the log is not sent to its end
        await scene.pass_time(crew, turns=6)
        assert scene.runs.texts("r") == [str(number) for number in range(30_000)]
        assert scene.state("r") is RunState.FAILED
        last = len(scene.runs.calls) - scene.runs.calls[::-1].index("send_logs")
        assert "propose" in scene.runs.calls[last:]

    play(tmp_path, test, log_lines_max=40_000)


def test_many_jobs_cost_one_look_and_one_call_a_turn(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        for number in range(100):
            await scene.hand_in(crew, f"r{number}")
            scene.transport.begin(f"fake:{number + 1}")
        await scene.pass_time(crew, turns=2)
        scene.runs.calls.clear()
        scene.transport.calls.clear()
        await scene.pass_time(crew, turns=30)  # a minute
        assert scene.transport.calls == ["look"] * 30
        assert scene.runs.calls.count("to_cancel") == 30
        assert sorted(set(scene.runs.calls)) == ["to_cancel", "unfinished"]
        assert scene.runs.calls.count("unfinished") <= 4
        for number in range(100):
            scene.transport.say(f"fake:{number + 1}", "all at once\n")
        scene.runs.calls.clear()
        await scene.pass_time(crew)
        assert scene.runs.calls.count("send_logs") == 1
        assert len(scene.runs.logs) == 100

    play(tmp_path, test)


@pytest.mark.parametrize("runs_first", [False, True])
def test_a_cancelled_run_takes_its_job_with_it(tmp_path: Path, runs_first: bool) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        await scene.hand_in(crew, "r")
        if runs_first:
            scene.transport.begin("fake:1")
        await scene.pass_time(crew)
        scene.runs.set_state("r", RunState.CANCELLING)
        await scene.pass_time(crew, turns=2)
        assert scene.transport.cancelled == ["fake:1"]
        assert scene.state("r") is RunState.CANCELLED
        assert scene.runs.runs["r"].run_count == int(runs_first)

    play(tmp_path, test)


def test_a_job_that_does_not_end_is_asked_again(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        await scene.hand_in(crew, "r")
        scene.transport.begin("fake:1")
        await scene.pass_time(crew)
        scene.runs.set_state("r", RunState.CANCELLING)
        with scene.transport.away():
            await scene.pass_time(crew)
        await scene.pass_time(crew, turns=10)
        assert scene.transport.cancelled == ["fake:1"]
        await scene.pass_time(crew, turns=10)
        assert scene.transport.cancelled == ["fake:1", "fake:1"]
        assert scene.state("r") is RunState.CANCELLING
        scene.transport.end("fake:1")
        await scene.pass_time(crew)
        assert scene.state("r") is RunState.CANCELLED

    play(tmp_path, test, transport=FakeTransport(ends_when_cancelled=False))


def test_many_cancelled_runs_are_one_call_to_the_transport(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        for number in range(5):
            await scene.hand_in(crew, f"r{number}")
            scene.runs.set_state(f"r{number}", RunState.CANCELLING)
        await scene.pass_time(crew, turns=2)
        assert scene.transport.calls.count("cancel") == 1
        assert {scene.state(f"r{number}") for number in range(5)} == {RunState.CANCELLED}

    play(tmp_path, test)


def test_a_job_that_somebody_else_cancels_crashes_its_run(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        await scene.hand_in(crew, "r")
        scene.transport.begin("fake:1")
        scene.transport.cancel(["fake:1"])
        await scene.pass_time(crew)
        assert scene.state("r") is RunState.CRASHED
        assert "cancelled outside Prefect" in scene.runs.proposals[-1][1].message

    play(tmp_path, test)


def test_a_cluster_that_does_not_answer_changes_nothing(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        await scene.hand_in(crew, "r")
        scene.transport.begin("fake:1")
        await scene.pass_time(crew)
        with scene.transport.away():
            await scene.pass_time(crew, turns=1000)
        assert scene.runs.states("r") == ["Running"]
        scene.transport.end("fake:1")
        await scene.pass_time(crew)
        assert scene.state("r") is RunState.COMPLETED

    play(tmp_path, test)


def test_a_job_that_nobody_knows_is_given_up_after_half_a_minute(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        await scene.hand_in(crew, "r")
        scene.transport.begin("fake:1")
        await scene.pass_time(crew)
        scene.transport.say("fake:1", "last words\n")
        known = scene.transport.jobs.pop("fake:1")
        await scene.pass_time(crew, turns=15)
        assert scene.state("r") is RunState.RUNNING
        scene.transport.jobs["fake:1"] = known
        await scene.pass_time(crew)
        scene.transport.forget("fake:1")
        await scene.pass_time(crew, turns=15)
        assert scene.state("r") is RunState.RUNNING
        await scene.pass_time(crew, turns=2)
        assert scene.state("r") is RunState.CRASHED
        assert "disappeared" in scene.runs.proposals[-1][1].message
        assert scene.runs.texts("r") == ["last words"]

    play(tmp_path, test)


def test_a_job_that_ended_and_was_purged_has_ended(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        await scene.hand_in(crew, "r")
        scene.transport.begin("fake:1")
        await scene.pass_time(crew)
        scene.runs.is_away = True
        scene.transport.end("fake:1")
        await scene.pass_time(crew)
        scene.transport.forget("fake:1")
        await scene.pass_time(crew, turns=100)
        scene.runs.is_away = False
        await scene.pass_time(crew)
        assert scene.state("r") is RunState.COMPLETED

    play(tmp_path, test)


def test_an_api_that_is_away_costs_delay_only(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        for name in ("a", "b"):
            await scene.hand_in(crew, name)
        scene.runs.is_away = True
        scene.transport.begin("fake:1")
        for number in range(90):
            scene.transport.say("fake:1", f"{number}\n")
            await scene.pass_time(crew)
        scene.transport.end("fake:1", exit_code=75)
        await scene.pass_time(crew)
        assert scene.runs.proposals == []
        scene.runs.is_away = False
        await scene.pass_time(crew, turns=2)
        assert scene.runs.texts("a") == [str(number) for number in range(90)]
        assert scene.runs.states("a") == ["Running", "Failed"]
        assert scene.runs.states("b") == ["Queued: Resources"]

    play(tmp_path, test)


def test_a_job_is_ended_though_the_api_is_away_meanwhile(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        await scene.hand_in(crew, "r")
        scene.transport.begin("fake:1")
        await scene.pass_time(crew)
        scene.runs.set_state("r", RunState.CANCELLING)
        with scene.transport.away():
            await scene.pass_time(crew)
        scene.runs.is_away = True
        await scene.pass_time(crew)
        assert scene.transport.cancelled == ["fake:1"]

    play(tmp_path, test)


@pytest.mark.parametrize("trouble", [Trouble.AWAY, Trouble.LOST])
@pytest.mark.parametrize("method", ["to_cancel", "read", "propose", "send_logs", "last_sent", "unfinished"])
def test_whatever_call_fails_the_run_is_told_once(tmp_path: Path, method: str, trouble: Trouble) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        await scene.hand_in(crew, "r")
        scene.runs.trouble(method, *[trouble] * 3)
        await scene.pass_time(crew, turns=5)
        scene.transport.begin("fake:1")
        for number in range(5):
            scene.runs.trouble(method, trouble)
            scene.transport.say("fake:1", f"same\nline {number}\n")
            await scene.pass_time(crew, turns=2)
        scene.runs.trouble(method, trouble)
        scene.transport.end("fake:1")
        await scene.pass_time(crew, turns=10)
        assert scene.runs.states("r") == ["Queued: Resources", "Running", "Completed"]
        assert scene.runs.texts("r") == [text for number in range(5) for text in ("same", f"line {number}")]
        assert scene.runs.runs["r"].run_count == 1

    play(tmp_path, test)


def test_lines_that_are_refused_do_not_hold_up_the_end_nor_other_runs(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        for number, name in enumerate(("a", "b"), start=1):
            await scene.hand_in(crew, name)
            scene.transport.begin(f"fake:{number}")
            scene.transport.say(f"fake:{number}", f"{name}\n")
            scene.transport.end(f"fake:{number}")
        scene.runs.trouble("send_logs", Trouble.REFUSED, Trouble.REFUSED)  # both together, then a's alone
        await scene.pass_time(crew)
        assert (scene.runs.texts("a"), scene.runs.texts("b")) == ([], ["b"])
        assert scene.state("a") is scene.state("b") is RunState.COMPLETED

    play(tmp_path, test)


def test_one_run_that_the_api_chokes_on_does_not_starve_the_others(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        for number in range(1, 5):
            await scene.hand_in(crew, f"r{number}")
            scene.transport.begin(f"fake:{number}")
        scene.runs.trouble("read", Trouble.AWAY)  # r1's
        await scene.pass_time(crew)
        assert [scene.state(f"r{number}") for number in range(1, 5)] == [RunState.PENDING, *[RunState.RUNNING] * 3]

    play(tmp_path, test)


def test_a_deleted_run_takes_its_job_with_it(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        followed = await scene.hand_in(crew, "r")
        scene.transport.begin("fake:1")
        await scene.pass_time(crew)
        del scene.runs.runs["r"]
        await scene.pass_time(crew, turns=10)
        assert scene.transport.cancelled == ["fake:1"]
        assert followed.finished.is_set()

    play(tmp_path, test)


@pytest.mark.parametrize("state", [RunState.CANCELLED, RunState.FAILED, RunState.SCHEDULED])
def test_a_run_whose_state_is_set_by_hand_takes_its_job_with_it(tmp_path: Path, state: RunState) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        await scene.hand_in(crew, "r")
        scene.transport.begin("fake:1")
        await scene.pass_time(crew)
        scene.runs.set_state("r", state)
        await scene.pass_time(crew, turns=10)
        assert scene.transport.cancelled == ["fake:1"]
        assert scene.state("r") is state

    play(tmp_path, test)


def test_reasons_that_change_all_the_time_are_told_once_a_minute(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        await scene.hand_in(crew, "r")
        for number in range(60):
            reason = ("Priority", "Resources")[number % 2]
            scene.transport.report("fake:1", state=JobState.PENDING, reason=reason)
            await scene.pass_time(crew)
        assert len(scene.runs.states("r")) == 2

    play(tmp_path, test)


def test_a_requeued_job_is_told_in_the_log_and_runs_once(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        await scene.hand_in(crew, "r")
        scene.transport.begin("fake:1")
        scene.transport.say("fake:1", "first\n")
        await scene.pass_time(crew)
        scene.transport.report("fake:1", state=JobState.PENDING, reason="BeginTime", restarts=1)
        await scene.pass_time(crew, turns=3)
        scene.transport.begin("fake:1", node="n2")
        scene.transport.end("fake:1")
        await scene.pass_time(crew)
        assert scene.runs.states("r") == ["Running", "Completed"]
        assert scene.runs.runs["r"].run_count == 1
        assert sorted(scene.runs.texts("r")) == [
            "The scheduler has put the job back into its queue (BeginTime).",
            "first",
        ]

    play(tmp_path, test)
