"""A work pool's runs by Prefect's API: what the follower asks for and proposes, as calls of the client."""

from __future__ import annotations

import calendar
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import LogCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    LogFilter,
    LogFilterFlowRunId,
    LogFilterTimestamp,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType, WorkerStatus
from prefect.client.schemas.responses import SetStateStatus
from prefect.client.schemas.sorting import FlowRunSort, LogSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Scheduled

from infra.slurm.runs import (
    LogLine,
    Place,
    Proposal,
    RunGoneError,
    RunNow,
    RunsRefusedError,
    RunState,
    RunsUnavailableError,
)

LOGGER_NAME: Final = "job"  # as the UI's log shows it
PAGE: Final = 200  # the API gives no more at once
_NOT_FOUND: Final = 404
_SERVER_ERROR: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Not the run's fault: too many requests, somebody else was faster, a password that is being changed, a proxy.
_LATER: Final = frozenset({401, 403, 408, 409, 425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefectRuns:
    """The runs of `pool`, of these queues only where any are named. `describe` reads a run's job variables."""

    client: PrefectClient
    pool: str
    queues: frozenset[str]
    describe: Callable[[FlowRun], Awaitable[Place]]

    async def to_cancel(self) -> Sequence[RunNow]:
        with _answers():
            return [_run_now(run) for run in await self._page([StateType.CANCELLING], 0) if self._is_ours(run)]

    async def unfinished(self) -> Sequence[RunNow]:
        runs: dict[str, RunNow] = {}
        kinds = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
        with _answers():
            for number in range(1000):
                page = await self._page(kinds, number * PAGE)
                runs.update({str(run.id): _run_now(run) for run in page if self._is_ours(run)})
                if len(page) < PAGE:
                    break
        return list(runs.values())

    async def read(self, run_id: str) -> RunNow:
        with _answers():
            return _run_now(await self.client.read_flow_run(UUID(run_id)))

    async def propose(self, run_id: str, proposal: Proposal) -> RunNow:
        with _answers():
            answer = await self.client.set_flow_run_state(UUID(run_id), _state(proposal))
        if answer.status is SetStateStatus.ACCEPT and answer.state is not None:
            return RunNow(run_id=run_id, state=RunState(answer.state.type.value), state_name=answer.state.name or "")
        return await self.read(run_id)

    async def place(self, run_id: str) -> Place:
        with _answers():
            return await self.describe(await self.client.read_flow_run(UUID(run_id)))

    async def send_logs(self, lines: Sequence[LogLine]) -> None:
        with _answers():
            await self.client.create_logs(
                LogCreate(
                    name=LOGGER_NAME,
                    level=line.level,
                    message=line.text,
                    timestamp=_time(line.at_us),  # pyright: ignore[reportArgumentType]  # Prefect's own name for datetime
                    flow_run_id=UUID(line.run_id),
                )
                for line in lines
            )

    async def last_sent(self, run_id: str, first_us: int, last_us: int) -> int | None:
        wanted = LogFilter(
            flow_run_id=LogFilterFlowRunId(any_=[UUID(run_id)]),
            timestamp=LogFilterTimestamp(after_=_time(first_us), before_=_time(last_us)),  # pyright: ignore[reportArgumentType]  # as above
        )
        with _answers():
            for number in range(1000):
                page = await self.client.read_logs(
                    wanted, limit=PAGE, offset=number * PAGE, sort=LogSort.TIMESTAMP_DESC
                )
                times = [_microseconds(log.timestamp) for log in page if log.name == LOGGER_NAME]
                if times or len(page) < PAGE:
                    return max(times, default=None)
        return None

    async def renew(self, lease: str, seconds: int) -> bool:
        try:
            with _answers():
                await self.client.renew_concurrency_lease(UUID(lease), float(seconds))
        except (RunGoneError, RunsRefusedError):
            return False
        return True

    async def living_workers(self) -> frozenset[str]:
        with _answers():
            workers = await self.client.read_workers_for_work_pool(self.pool, limit=PAGE)
        return frozenset(worker.name for worker in workers if worker.status is WorkerStatus.ONLINE)

    async def _page(self, kinds: list[StateType], offset: int) -> list[FlowRun]:
        return await self.client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=kinds))),
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[self.pool])),
            sort=FlowRunSort.ID_DESC,
            limit=PAGE,
            offset=offset,
        )

    def _is_ours(self, run: FlowRun) -> bool:
        return not self.queues or run.work_queue_name in self.queues


@contextmanager
def _answers() -> Generator[None]:
    """Sort what a call may end with into the three answers."""
    try:
        yield
    except ObjectNotFound as error:
        raise RunGoneError("the API does not know this run") from error
    except httpx.HTTPStatusError as error:
        code = error.response.status_code
        if code == _NOT_FOUND:
            raise RunGoneError("the API does not know this run") from error
        if code in _LATER or code >= _SERVER_ERROR:
            raise RunsUnavailableError(f"the API answered {code}") from error
        raise RunsRefusedError(f"the API answered {code}: {error.response.text[:500]}") from error
    except httpx.HTTPError as error:
        raise RunsUnavailableError(f"{type(error).__name__}: {error}") from error
    except ValueError as error:  # not JSON, or not of the form: a proxy, or a server that is being upgraded
        raise RunsUnavailableError(f"the API's answer makes no sense: {error}") from error


def _run_now(run: FlowRun) -> RunNow:
    state = run.state
    if state is None:
        raise ValueError(f"run {run.id} has no state")
    lease = state.state_details.deployment_concurrency_lease_id
    return RunNow(
        run_id=str(run.id),
        state=RunState(state.type.value),
        state_name=state.name or "",
        run_count=run.run_count,
        lease="" if lease is None else str(lease),
        worker=str(run.labels.get("prefect.worker.name", "")),
    )


def _state(proposal: Proposal) -> State[None]:
    if proposal.state is RunState.SCHEDULED:
        return Scheduled(name=proposal.name, message=proposal.message)
    return State(type=StateType(proposal.state.value), name=proposal.name, message=proposal.message or None)


def _time(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)


def _microseconds(time: datetime) -> int:
    """Prefect's times may be pendulum's, whose differences do not divide by a timedelta."""
    return calendar.timegm(time.utctimetuple()) * 1_000_000 + time.microsecond
