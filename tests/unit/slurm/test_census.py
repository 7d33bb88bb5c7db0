"""What a worker left behind: who takes it up, when, and that nothing is told twice."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from infra.slurm.ownership import Identity, beat
from infra.slurm.runs import RunState
from tests.fakes_runs import Trouble
from tests.unit.slurm.scene import Scene, dead, living

Play = Callable[[Scene], Awaitable[None]]


def play(tmp_path: Path, test: Play) -> None:
    anyio.run(test, Scene(top=tmp_path))


def test_a_job_that_ended_while_nobody_followed_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        first = scene.crew(dead("w1"))
        await scene.hand_in(first, "r")
        scene.transport.begin("fake:1")
        scene.transport.say("fake:1", "one\ntwo\n")
        await scene.pass_time(first)
        scene.transport.say("fake:1", "three\nfour")
        scene.transport.end("fake:1", exit_code=1)
        await scene.pass_time(scene.crew(living("w1")))
        assert scene.runs.texts("r") == ["one", "two", "three", "four"]
        assert scene.runs.states("r") == ["Running", "Failed"]
        assert scene.runs.runs["r"].run_count == 1

    play(tmp_path, test)


def test_a_job_whose_id_was_never_stored_is_found(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        await scene.hand_in(scene.crew(dead("w1")), "r")  # the worker died in the same moment
        second = scene.crew(living("w2"))
        await scene.pass_time(second)
        assert scene.runs.states("r") == ["Queued: Resources"]
        scene.transport.begin("fake:1")
        scene.transport.end("fake:1")
        await scene.pass_time(second)
        assert scene.state("r") is RunState.COMPLETED
        assert len(scene.transport.jobs) == 1

    play(tmp_path, test)


def test_a_run_that_was_never_handed_in_goes_back_to_the_queue(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        scene.runs.add("mine", worker="w1")
        scene.runs.add("hers", worker="w2")
        scene.runs.add("unknown")
        scene.runs.add("alive", worker="w3")
        scene.runs.workers = frozenset({"w1", "w3"})
        crew = scene.crew(living("w1"))
        await scene.pass_time(crew)
        assert scene.runs.proposals == []
        await scene.pass_time(crew, turns=10)
        assert [run for run, _ in scene.runs.proposals] == ["mine"]
        await scene.pass_time(crew, turns=60)
        assert {run for run, _ in scene.runs.proposals} == {"mine", "hers", "unknown"}
        assert {proposal.state for _, proposal in scene.runs.proposals} == {RunState.SCHEDULED}

    play(tmp_path, test)


def test_a_run_that_this_worker_is_handing_in_is_left_alone(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        scene.runs.add("r", worker="w1")
        scene.busy.add("r")
        await scene.pass_time(scene.crew(living("w1")), turns=100)
        assert scene.runs.proposals == []

    play(tmp_path, test)


@pytest.mark.parametrize(
    ("state", "end"), [(RunState.RUNNING, RunState.CRASHED), (RunState.CANCELLING, RunState.CANCELLED)]
)
def test_a_run_without_a_trace_of_a_job_ends(tmp_path: Path, state: RunState, end: RunState) -> None:
    async def test(scene: Scene) -> None:
        scene.runs.add("r", state)
        await scene.pass_time(scene.crew(living("w1")), turns=40)
        assert scene.state("r") is end

    play(tmp_path, test)


def test_two_workers_do_not_fight(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        first, second = scene.crew(living("w1")), scene.crew(living("w2", host="h2", boot="b2"))
        await scene.hand_in(first, "r")
        scene.transport.begin("fake:1")
        for number in range(200):
            scene.transport.say("fake:1", f"{number}\n")
            touch_heartbeats(scene)
            await scene.pass_time(first, second)
        assert second.follower.followed == {}
        scene.transport.end("fake:1")
        await scene.pass_time(first, second)
        assert scene.runs.texts("r") == [str(number) for number in range(200)]
        assert scene.runs.states("r") == ["Running", "Completed"]

    play(tmp_path, test)


def test_a_silent_worker_loses_its_jobs_and_notices(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        first, second = scene.crew(living("w1")), scene.crew(living("w2", host="h2", boot="b2"))
        followed = await scene.hand_in(first, "r")
        scene.transport.begin("fake:1")
        await scene.pass_time(first, second)
        await scene.pass_time(second, turns=29)  # the first one is stopped
        assert second.follower.followed == {}
        await scene.pass_time(second, turns=10)
        assert list(second.follower.followed) == ["r"]
        scene.transport.say("fake:1", "hello\n")
        scene.transport.end("fake:1")
        await scene.pass_time(first)  # goes on
        assert followed.finished.is_set()
        assert scene.runs.texts("r") == []
        await scene.pass_time(second, first, second)
        assert scene.runs.texts("r") == ["hello"]
        assert scene.runs.states("r") == ["Running", "Completed"]

    play(tmp_path, test)


def test_a_worker_that_was_started_again_elsewhere_need_not_wait(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        await scene.hand_in(scene.crew(living("w1", host="h1", boot="b1")), "r")
        again = scene.crew(living("w1", host="h2", boot="b2"))
        await scene.pass_time(again)
        assert list(again.follower.followed) == ["r"]

    play(tmp_path, test)


def test_two_workers_of_one_name_by_mistake_do_not_take_from_each_other_for_ever(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        first, second = (scene.crew(living("w1", host=host, boot=host)) for host in ("h1", "h2"))
        await scene.hand_in(first, "r")
        for _ in range(100):
            touch_heartbeats(scene)
            await scene.pass_time(first, second)
        directory = os.path.join(scene.runs.where.jobs_directory, "r.0")
        assert len([name for name in os.listdir(directory) if name.startswith("followed.")]) <= 3

    play(tmp_path, test)


def test_a_cluster_that_cannot_be_asked_gives_no_run_back(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        await scene.hand_in(scene.crew(dead("w1")), "r")
        crew = scene.crew(living("w1"))
        with scene.transport.away():
            await scene.pass_time(crew, turns=100)
        assert scene.runs.proposals == []
        await scene.pass_time(crew, turns=10)
        assert scene.runs.states("r") == ["Queued: Resources"]

    play(tmp_path, test)


def test_a_run_cancelled_in_the_queue_gets_a_job_of_its_own_when_it_is_run_again(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        crew = scene.crew(living("w1"))
        await scene.hand_in(crew, "r")
        await scene.pass_time(crew)
        scene.runs.set_state("r", RunState.CANCELLING)
        await scene.pass_time(crew, turns=2)
        assert scene.state("r") is RunState.CANCELLED
        scene.runs.add("r")  # somebody says: run it again
        again = await scene.hand_in(crew, "r")
        assert again.tag == "r.1"
        scene.transport.begin("fake:2")
        await scene.pass_time(crew)
        assert scene.state("r") is RunState.RUNNING
        other = scene.crew(living("w1", boot="b2"))
        await scene.pass_time(other)
        assert [job.tag for job in other.follower.followed.values()] == ["r.1"]

    play(tmp_path, test)


def test_slots_of_deployments_are_kept(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        crew = scene.crew(living("w1"))
        scene.runs.add("r", lease="lease-1")
        await scene.hand_in(crew, "r")
        await scene.hand_in(crew, "free")
        await scene.pass_time(crew, turns=150)  # five minutes
        assert 4 <= len(scene.runs.renewed) <= 6
        assert set(scene.runs.renewed) == {("lease-1", 900)}
        scene.runs.trouble("renew", Trouble.AWAY)
        scene.runs.leases.clear()  # the server was started again
        await scene.pass_time(crew, turns=100)
        assert list(crew.follower.followed) == ["r", "free"]

    play(tmp_path, test)


def test_an_end_is_not_forgotten_though_its_note_was(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        first = scene.crew(dead("w1"))
        await scene.hand_in(first, "r")
        scene.transport.begin("fake:1")
        scene.transport.end("fake:1")
        scene.runs.trouble("propose", Trouble.AWAY)
        await scene.pass_time(first)
        second = scene.crew(living("w1"))
        await scene.pass_time(second)
        assert scene.runs.states("r") == ["Running", "Completed"]

    play(tmp_path, test)
    assert (tmp_path / "_jobs" / "r.0" / "reported").exists()


def touch_heartbeats(scene: Scene) -> None:
    """The disk's clock ticks too slowly for a test: let the files of the workers that wrote one move."""
    directory = os.path.join(scene.runs.where.jobs_directory, "_workers")
    for number, name in enumerate(sorted(os.listdir(directory)) if os.path.isdir(directory) else []):
        at = int(scene.now * 1e9) + number
        os.utime(os.path.join(directory, name), ns=(at, at))


def test_a_heartbeat_is_a_file_that_moves(tmp_path: Path) -> None:
    me = living("w1")
    beat(str(tmp_path), me)
    assert os.listdir(tmp_path / "_workers") == [me.heartbeat_name]
    assert Identity.parse(str(me)) == me
