"""How a run becomes a job, though storage, cluster and API come and go."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from infra.slurm.runs import Proposal, RunState
from infra.slurm.submission import NoLongerWantedError
from infra.slurm.transport import SubmissionRefusedError
from tests.fakes_runs import Trouble
from tests.unit.slurm.scene import Crew, Scene, living

END = Proposal(state=RunState.CRASHED, name="Crashed", message="no")


def play(tmp_path: Path, test: Callable[[Scene, Crew], Awaitable[None]]) -> None:
    async def run() -> None:
        scene = Scene(top=tmp_path)
        await test(scene, scene.crew(living("w1")))

    anyio.run(run)


def test_a_job_has_its_directory_and_its_follower_before_it_is_handed_in(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        scene.transport.refusal = "no such partition"
        with pytest.raises(SubmissionRefusedError, match="no such partition"):
            await scene.hand_in(crew, "r")
        assert os.listdir(tmp_path / "_jobs") == ["r.0"]
        assert os.listdir(tmp_path / "_jobs" / "r.0") == ["followed.0"]
        assert crew.follower.followed == {}

    play(tmp_path, test)


def test_a_lost_answer_makes_no_second_job(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        scene.transport.lose_answers("submit", 3)
        followed = await scene.hand_in(crew, "r")
        assert (followed.job, followed.tag, len(scene.transport.jobs)) == ("fake:1", "r.0", 1)
        assert scene.now == 1015.0  # it has waited between
        assert [(proposal.name, proposal.message) for _, proposal in scene.runs.proposals] == [
            ("Not handed in yet", "the fake cluster's answer to submit was lost")
        ]

    play(tmp_path, test)


def test_what_is_not_wanted_any_more_is_not_tried_again(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        scene.runs.add("r")
        scene.runs.set_state("r", RunState.CANCELLING)
        with scene.transport.away(), pytest.raises(NoLongerWantedError, match="Cancelling"):
            await scene.hand_in(crew, "r")
        del scene.runs.runs["r"]
        scene.runs.add("gone")
        gone = scene.runs.runs.pop("gone")
        with scene.transport.away(), pytest.raises(NoLongerWantedError, match="deleted"):
            await crew.submission.hand_in(gone, scene.runs.where, scene.spec)

    play(tmp_path, test)


@pytest.mark.parametrize("state", [RunState.CANCELLING, RunState.FAILED])
def test_a_run_is_cancelled_though_its_directory_cannot_be_made(tmp_path: Path, state: RunState) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        scene.runs.add("r")
        scene.runs.set_state("r", state)
        with pytest.raises(NoLongerWantedError):
            await scene.hand_in(crew, "r")
        assert scene.state("r") is (RunState.CANCELLED if state is RunState.CANCELLING else state)

    (tmp_path / "_jobs").touch()  # in the way
    play(tmp_path, test)


def test_an_api_that_is_away_is_no_reason_to_give_up(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        scene.transport.lose_answers("submit", 2)
        scene.runs.is_away = True
        assert (await scene.hand_in(crew, "r")).job == "fake:1"

    play(tmp_path, test)


def test_whom_the_api_gave_the_run_to_follows_it(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        other = scene.crew(living("w2", host="h2", boot="b2"))
        await scene.hand_in(other, "r")
        followed = await scene.hand_in(crew, "r")
        assert followed.number == 1
        await scene.pass_time(other)
        assert other.follower.followed == {}

    play(tmp_path, test)


def test_a_refusal_is_told_until_the_api_has_heard_it(tmp_path: Path) -> None:
    async def test(scene: Scene, crew: Crew) -> None:
        scene.runs.add("r")
        scene.runs.trouble("propose", *[Trouble.AWAY] * 7)
        await crew.submission.tell("r", END)
        assert scene.state("r") is RunState.CRASHED
        await crew.submission.tell("deleted", END)

    play(tmp_path, test)
