"""The Prefect worker itself, as far as it goes without a server: what becomes of a run that it is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import cast
from uuid import uuid4

import anyio
import anyio.abc
import httpx
import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import InfrastructureNotAvailable
from prefect.workers.base import BaseWorker

from infra.slurm.runs import RunState
from infra.slurm.variables import SlurmConfiguration
from infra.slurm.worker import SlurmWorker
from tests.unit.slurm.scene import Crew, Scene, living


class Status:
    """What the base class waits for: the job's id, or why there is none."""

    said: object = None

    def started(self, value: object = None) -> None:
        assert self.said is None
        self.said = value


class Stage:
    """A worker that is set up, but for Prefect's part."""

    def __init__(self, top: Path) -> None:
        self.scene = Scene(top=top)
        self.crew: Crew = self.scene.crew(living("w1"))
        self.worker = SlurmWorker(work_pool_name="pool", name="w1")
        self.flow_run = FlowRun(id=uuid4(), flow_id=uuid4(), name="phase4 poller")
        self.run_id = str(self.flow_run.id)
        self.scene.runs.add(self.run_id)
        self.status = Status()
        vars(self.worker).update(_follower=self.crew.follower, _submission=self.crew.submission, _wake=anyio.Event())

    def configuration(self, **variables: object) -> SlurmConfiguration:
        said = {"command": ["true"], "transport": "local", "jobs_directory": str(self.scene.top / "_jobs"), **variables}
        configuration = SlurmConfiguration.model_validate(said)
        configuration.prepare_for_flow_run(self.flow_run)
        return configuration

    async def run(self, **variables: object) -> int:
        status = cast("anyio.abc.TaskStatus[int]", self.status)
        result = await self.worker.run(self.flow_run, self.configuration(**variables), status)
        return result.status_code


def play(tmp_path: Path, test: Callable[[Stage], Awaitable[None]]) -> None:
    async def run() -> None:
        await test(Stage(tmp_path))

    anyio.run(run)


def test_a_run_is_one_job_and_its_end_is_the_followers_business(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(stage.run)
            while stage.status.said is None:
                await anyio.lowlevel.checkpoint()
            assert stage.status.said == "fake:1"
            stage.scene.transport.begin("fake:1")
            stage.scene.transport.end("fake:1", exit_code=78)
            await stage.scene.pass_time(stage.crew)
        assert stage.scene.state(stage.run_id) is RunState.FAILED

    play(tmp_path, test)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"command": []}, "job variable 'command' is empty"),
        ({"env": {"PREFECT_API_URL": "x"}}, "jobs get nothing of Prefect's"),
        ({"transport": "pigeon"}, "there are: auto, local"),
    ],
)
def test_a_run_that_can_be_no_job_is_crashed_and_says_why(
    tmp_path: Path, variables: dict[str, object], words: str
) -> None:
    async def test(stage: Stage) -> None:
        assert await stage.run(**variables) == 0
        assert isinstance(stage.status.said, Exception)
        assert stage.scene.state(stage.run_id) is RunState.CRASHED
        assert words in stage.scene.runs.proposals[-1][1].message
        assert stage.scene.transport.jobs == {}

    play(tmp_path, test)


def test_a_run_that_was_cancelled_before_it_became_a_job_is_left_alone(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        stage.scene.runs.set_state(stage.run_id, RunState.CANCELLING)
        with stage.scene.transport.away():
            assert await stage.run() == 0
        assert isinstance(stage.status.said, Exception)
        assert stage.scene.runs.proposals == []

    play(tmp_path, test)


def test_infrastructure_is_killed_as_often_as_prefect_likes(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        await stage.scene.hand_in(stage.crew, stage.run_id)
        for job in ("fake:1", "fake:1", "unknown"):
            await stage.worker.kill_infrastructure(job, stage.configuration())
        assert stage.scene.transport.cancelled == ["fake:1", "fake:1", "unknown"]
        with stage.scene.transport.away(), pytest.raises(InfrastructureNotAvailable):
            await stage.worker.kill_infrastructure("fake:1", stage.configuration())

    play(tmp_path, test)


def test_an_api_that_is_busy_neither_ends_the_worker_nor_crashes_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found with two workers and a server short of breath: a label that was not taken crashed a run that was well."""
    crashed: list[str] = []

    async def busy(*_: object) -> None:
        raise httpx.ConnectError("no route")

    async def crash(worker: object, flow_run: FlowRun, message: str, client: object = None) -> None:
        crashed.append(message)

    for name in ("_submit_run", "_give_worker_labels_to_flow_run"):
        monkeypatch.setattr(BaseWorker, name, busy)
    monkeypatch.setattr(BaseWorker, "_propose_crashed_state", crash)

    async def test(stage: Stage) -> None:
        worker, run = stage.worker, stage.flow_run
        vars(worker).update(_submitting_flow_run_ids={run.id})
        await methods(worker)["_give_worker_labels_to_flow_run"](run.id)
        await methods(worker)["_submit_run"](run)
        assert vars(worker)["_submitting_flow_run_ids"] == set()
        for error in (httpx.ReadTimeout("busy"), ValueError("these job variables are none")):
            try:
                raise error
            except (httpx.HTTPError, ValueError) as caught:
                await methods(worker)["_propose_crashed_state"](run, str(caught))
        assert crashed == ["these job variables are none"]

    play(tmp_path, test)


def methods(worker: SlurmWorker) -> Mapping[str, Callable[..., Awaitable[None]]]:
    """What the base class calls: nobody else has business with these."""
    names = ("_submit_run", "_give_worker_labels_to_flow_run", "_propose_crashed_state")
    return {name: getattr(worker, name) for name in names}


def test_a_pools_template_offers_all_job_variables() -> None:
    template = SlurmWorker.get_default_base_job_template()
    assert set(template["variables"]["properties"]) == set(template["job_configuration"])
    assert "required" not in template["variables"]
