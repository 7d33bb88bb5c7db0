"""The Prefect worker of type `slurm`: hands runs in as jobs, and keeps the follower going that reports on them."""

from __future__ import annotations

import sys
import time
from typing import Any
from uuid import UUID

import anyio
import anyio.abc
import anyio.to_thread
import httpx
from loguru import logger
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.exceptions import InfrastructureNotAvailable, ObjectNotFound
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.workers.base import BaseWorker, BaseWorkerResult
from pydantic import ValidationError

from infra.slurm.carriers import Carriers
from infra.slurm.census import Census
from infra.slurm.follower import Follower
from infra.slurm.outbox import Outbox
from infra.slurm.ownership import Identity
from infra.slurm.prefect_runs import PrefectRuns
from infra.slurm.runs import Place, Proposal, RunNow, RunsRefusedError, RunState, RunsUnavailableError
from infra.slurm.submission import NoLongerWantedError, Submission
from infra.slurm.transport import SubmissionRefusedError, TransportUnavailableError
from infra.slurm.transports import choose_transport, local_slots, open_transport
from infra.slurm.variables import SlurmConfiguration, SlurmVariables

TIDY_SECONDS = 3600.0
TURN_SECONDS = 2.0
HURRIED_TURN_SECONDS = 0.5
CENSUS_SECONDS = 15.0  # new runs do not wait longer for the old ones
CALL_SECONDS = 15.0  # the follower would rather ask again than wait for an answer


class SlurmResult(BaseWorkerResult):
    """Always status 0: the run's end was proposed by the follower."""


class SlurmWorker(BaseWorker[SlurmConfiguration, SlurmVariables, SlurmResult]):
    """Runs each flow run as one job, and owns its state: nothing in the job talks to Prefect."""

    type = "slurm"
    job_configuration = SlurmConfiguration
    job_configuration_variables = SlurmVariables
    _description = "Runs commands as jobs of a SLURM cluster, or of this machine. Jobs need no route to the API."

    _follower: Follower
    _census: Census
    _submission: Submission
    _scope: anyio.CancelScope
    _tidying: anyio.CancelScope
    _wake: anyio.Event
    _held: set[str]

    async def setup(self) -> None:
        """Connect, then begin to follow: what was left behind by a worker before this one too."""
        local_slots()  # what it refuses is better said now than with the first job
        await super().setup()
        client = await self._exit_stack.enter_async_context(get_client(httpx_settings={"timeout": CALL_SECONDS}))
        runs = PrefectRuns(
            client=client,
            pool=self._work_pool_name,
            queues=frozenset(self._work_queues),
            describe=self._describe,
        )
        me = Identity.mine(self.name)
        self._follower = Follower(
            runs=runs,
            carriers=Carriers(make=open_transport),
            outbox=Outbox(runs=runs, wall_us=lambda: time.time_ns() // 1000),
            me=me,
            monotonic=time.monotonic,
        )
        self._census = Census(
            runs=runs,
            follower=self._follower,
            me=me,
            monotonic=time.monotonic,
            busy=lambda: {str(run_id) for run_id in self._submitting_flow_run_ids},
            on_adopted=self._hold_slot,
        )
        self._submission = Submission(runs=runs, follower=self._follower, me=me)
        self._scope, self._tidying = anyio.CancelScope(), anyio.CancelScope()
        self._wake, self._held = anyio.Event(), set()
        if self._runs_task_group is not None:
            self._runs_task_group.start_soon(self._follow)
            self._runs_task_group.start_soon(self._tidy)

    async def teardown(self, *exc_info: Any) -> None:  # noqa: ANN401  # the base class's
        """Stop following; jobs go on. With --run-once, not before all are over."""
        if exc_info[0] is None:
            while self._submitting_flow_run_ids or self._follower.followed:  # noqa: ASYNC110  # a set of Prefect's
                await anyio.sleep(0.1)
        self._scope.cancel()
        self._tidying.cancel()
        self._follower.end_heartbeats()
        await super().teardown(*exc_info)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: SlurmConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> SlurmResult:
        """Hand a run in, and wait until its end was reported. Never raises for what is wrong with the run."""
        run = RunNow(
            run_id=str(flow_run.id), state=RunState.PENDING, state_name="Submitting", run_count=flow_run.run_count
        )
        try:
            if configuration.problems:
                raise SubmissionRefusedError("; ".join(configuration.problems))
            followed = await self._submission.hand_in(run, _place(configuration), configuration.spec)
        except (SubmissionRefusedError, NoLongerWantedError) as error:
            self.get_flow_run_logger(flow_run).error("No job was handed in: %s", error)
            if isinstance(error, SubmissionRefusedError):
                message = f"No job was handed in: {error}"
                await self._submission.tell(
                    run.run_id, Proposal(state=RunState.CRASHED, name="Crashed", message=message)
                )
            if task_status is not None:
                task_status.started(error)  # pyright: ignore[reportArgumentType]  # what the base class passes on a failure
            return SlurmResult(identifier="", status_code=0)
        job = followed.job or followed.tag
        if task_status is not None:
            task_status.started(job)  # pyright: ignore[reportArgumentType]  # stored as text
        self._wake.set()
        await followed.finished.wait()
        return SlurmResult(identifier=job, status_code=0)

    async def kill_infrastructure(
        self, infrastructure_pid: str, configuration: SlurmConfiguration, grace_seconds: int = 30
    ) -> None:
        """End a job; one that is over or unknown is no error. Its own grace holds, not `grace_seconds`."""
        del grace_seconds
        carriers = self._follower.carriers
        try:
            place = _place(configuration)
            transport = carriers.get(place.transport, place.jobs_directory)
            await carriers.call(lambda: transport.cancel([infrastructure_pid]))
        except (TransportUnavailableError, SubmissionRefusedError) as error:
            raise InfrastructureNotAvailable(str(error)) from error

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """As the base class, but what was left behind is taken up first, and counts for --limit.

        An API that is away never ends the worker: it follows jobs.
        """
        with anyio.move_on_after(CENSUS_SECONDS):
            await self._census.taken.wait()
        try:
            return await super().get_and_submit_flow_runs()
        except httpx.HTTPError as error:
            logger.bind(reason=_words(error)).warning("could not ask for new runs")
            return []

    async def _get_scheduled_flow_runs(self) -> list[WorkerFlowRunResponse]:
        """As the base class, but asked again at the next turn, not after the client's growing pauses."""
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            return await super()._get_scheduled_flow_runs()

    async def sync_with_backend(self) -> None:
        """As the base class, but an API that is away never ends the worker."""
        try:
            await super().sync_with_backend()
        except httpx.HTTPError as error:
            logger.bind(reason=_words(error)).warning("could not tell the API that this worker lives")

    async def _submit_run(self, flow_run: FlowRun) -> None:
        """As the base class, but an API that is away leaves the run to the next census, and never ends the worker."""
        try:
            await super()._submit_run(flow_run)
        except httpx.HTTPError as error:
            logger.bind(run=str(flow_run.id), reason=_words(error)).warning("a run could not be taken; tried again")
            self._release_limit_slot(flow_run.id)
            self._submitting_flow_run_ids.discard(flow_run.id)

    async def _give_worker_labels_to_flow_run(self, flow_run_id: UUID) -> None:
        """As the base class, asked once: they say who is about to hand the run in, and nothing depends on them."""
        try:
            with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
                await super()._give_worker_labels_to_flow_run(flow_run_id)
        except httpx.HTTPError as error:
            logger.bind(run=str(flow_run_id), reason=_words(error)).warning("a run was not given its worker's labels")

    async def _propose_crashed_state(
        self, flow_run: FlowRun, message: str, client: PrefectClient | None = None
    ) -> None:
        """As the base class, unless it was the API that failed: the run is as it was, and the census sees to it."""
        if not isinstance(sys.exception(), httpx.HTTPError):
            await super()._propose_crashed_state(flow_run, message, client)

    async def _follow(self) -> None:
        """Turn after turn, until the worker ends. An error of ours costs one turn."""
        with self._scope, temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            while True:
                for turn in (self._census.turn, self._follower.turn):
                    try:
                        await turn()
                    except Exception:  # noqa: BLE001  # whatever it is, jobs must be followed
                        logger.exception("a turn failed")
                self._release_slots()
                with anyio.move_on_after(HURRIED_TURN_SECONDS if self._follower.is_hurried else TURN_SECONDS):
                    await self._wake.wait()
                self._wake = anyio.Event()

    async def _tidy(self) -> None:
        with self._tidying:
            while True:
                await anyio.sleep(TIDY_SECONDS)
                await anyio.to_thread.run_sync(self._follower.tidy, abandon_on_cancel=True)

    def _hold_slot(self, run_id: str) -> None:
        """A run that was taken up counts for --limit too, as far as there is room."""
        if self._limiter is not None:
            try:
                self._limiter.acquire_on_behalf_of_nowait(UUID(run_id))
            except (anyio.WouldBlock, RuntimeError):
                return
            self._held.add(run_id)

    def _release_slots(self) -> None:
        for run_id in self._held - self._follower.followed.keys():
            self._release_limit_slot(UUID(run_id))
            self._held.discard(run_id)

    async def _describe(self, flow_run: FlowRun) -> Place:
        """Read a run's job variables again, to find the job of a run that was left behind."""
        if self._work_pool is None:
            raise RunsUnavailableError("the work pool is not known yet")
        try:
            configuration = await self.job_configuration.resolve_for_flow_run(
                flow_run, client=self.client, work_pool=self.work_pool, worker_name=self.name
            )
        except ObjectNotFound:  # the deployment was deleted while the job runs
            configuration = await self.job_configuration.from_template_and_values(
                self.work_pool.base_job_template, flow_run.job_variables or {}, client=self.client
            )
        except ValidationError as error:  # its job variables were changed meanwhile
            raise RunsRefusedError(str(error)) from error
        try:
            return _place(configuration)
        except SubmissionRefusedError as error:
            raise RunsRefusedError(str(error)) from error


def _place(configuration: SlurmConfiguration) -> Place:
    """Raises SubmissionRefusedError."""
    return Place(
        jobs_directory=configuration.jobs_path,
        transport=choose_transport(configuration.transport),
        log_lines_max=configuration.log_lines_max,
    )


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
