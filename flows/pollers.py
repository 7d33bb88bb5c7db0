"""What Prefect knows of the stages' pollers: their deployments and pools, which runs are open, how the latest ended."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, StateType, WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort

from stages.engine.plan import End

FLOW = "poll"  # the flow whose deployments are the stages' pollers, called like the stages
PAGE = 200  # what the API gives at once, and at most
ENDS_MAX = 16  # of one stage: more failures in a row do not make its pause longer

_FAILED = frozenset({StateType.FAILED, StateType.CRASHED})
_TELLING = _FAILED | {StateType.COMPLETED}  # a run that a person cancelled tells nothing of its stage
_STARTED = frozenset({StateType.RUNNING, StateType.CANCELLING})
_OURS = FlowFilter(name=FlowFilterName(any_=[FLOW]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pollers:
    """What is known of one stage's. `closed` says why it can be given none; empty: it can.

    `deployment` is None if there is none. `ends` are the latest, newest first.
    """

    deployment: UUID | None = None
    pool: str = ""
    closed: str = ""
    open: int = 0
    ends: tuple[End, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All stages at one moment, and in each pool the slots that nobody takes or waits for."""

    pollers: Mapping[str, Pollers]
    free: Mapping[str, int]


def look(client: SyncPrefectClient, stages: Collection[str]) -> Scene:
    """Look at all stages in four requests, however many runs there have been. Raises httpx.HTTPError."""
    deployments = {one.name: one for one in client.read_deployments(flow_filter=_OURS) if one.name in stages}
    names = sorted({one.work_pool_name for one in deployments.values() if one.work_pool_name})
    asked = WorkPoolFilter(name=WorkPoolFilterName(any_=names))
    pools = {pool.name: pool for pool in client.read_work_pools(work_pool_filter=asked)}
    runs = _open_runs(client)
    latest = _latest(client)
    found = {stage: _pollers(client, deployments.get(stage), pools, runs, latest) for stage in stages}
    return Scene(pollers=found, free={pool.name: _free(pool, runs) for pool in pools.values()})


def _pollers(
    client: SyncPrefectClient,
    deployment: DeploymentResponse | None,
    pools: Mapping[str, WorkPool],
    runs: Iterable[FlowRun],
    latest: list[FlowRun],
) -> Pollers:
    if deployment is None:
        return Pollers(closed="it has no deployment: prefect deploy --all")
    ends = [run for run in latest if run.deployment_id == deployment.id]
    if len(latest) == PAGE and all(_is_failed(run) for run in ends):  # others have filled the page
        ends = _latest(client, deployment.id)
    pool = pools.get(deployment.work_pool_name or "")
    return Pollers(
        deployment=deployment.id,
        pool="" if pool is None else pool.name,
        closed=_closed(deployment, pool),
        open=sum(run.deployment_id == deployment.id for run in runs),
        ends=tuple(map(_end, ends)),
    )


def _closed(deployment: DeploymentResponse, pool: WorkPool | None) -> str:
    """A person who pauses a deployment or a pool wants no new pollers, not a heap of them for later."""
    if deployment.paused:
        mend = f"without `paused` in prefect.yaml, prefect deploy -n {deployment.name}"
        return f"its deployment is paused: {mend}"
    if pool is None:
        return "its deployment names no work pool: prefect deploy --all"
    return f"its work pool is paused: prefect work-pool resume {pool.name}" if pool.is_paused else ""


def _open_runs(client: SyncPrefectClient) -> list[FlowRun]:
    """Return the runs that have not ended, without those that a schedule of somebody's own announces for later."""
    wanted = FlowRunFilterStateType(any_=sorted(frozenset(StateType) - TERMINAL_STATES))
    now, found = datetime.now(tz=UTC), list[FlowRun]()
    while len(page := _read(client, wanted, offset=len(found))) == PAGE:
        found += page
    return [run for run in (*found, *page) if not (run.auto_scheduled and _starts(run, now) > now)]


def _starts(run: FlowRun, otherwise: datetime) -> datetime:
    return run.next_scheduled_start_time or otherwise


def _latest(client: SyncPrefectClient, deployment: UUID | None = None) -> list[FlowRun]:
    """Return the latest ends that tell something, newest first: of all stages, or enough of one."""
    wanted = FlowRunFilterStateType(any_=sorted(_TELLING))
    return _read(client, wanted, deployment, limit=PAGE if deployment is None else ENDS_MAX)


def _read(
    client: SyncPrefectClient,
    wanted: FlowRunFilterStateType,
    deployment: UUID | None = None,
    *,
    offset: int = 0,
    limit: int = PAGE,
) -> list[FlowRun]:
    chosen = FlowRunFilter(state=FlowRunFilterState(type=wanted))
    if deployment is not None:
        chosen.deployment_id = FlowRunFilterDeploymentId(any_=[deployment])
    return client.read_flow_runs(
        flow_filter=_OURS, flow_run_filter=chosen, sort=FlowRunSort.END_TIME_DESC, offset=offset, limit=limit
    )


def _is_failed(run: FlowRun) -> bool:
    return run.state_type in _FAILED


def _end(run: FlowRun) -> End:
    ended = run.end_time or run.expected_start_time or datetime.now(tz=UTC)
    why = run.state.message if run.state is not None else None
    return End(failed=_is_failed(run), at=ended.timestamp(), why=(why or run.state_name or "").rstrip("."))


def _free(pool: WorkPool, runs: Iterable[FlowRun]) -> int:
    """Where one waits, none is free, whatever the limit says: the machines may have fewer."""
    if pool.is_paused or any(run.work_pool_name == pool.name and run.state_type not in _STARTED for run in runs):
        return 0
    return sys.maxsize if pool.concurrency_limit is None else max(0, pool.concurrency_limit - (pool.active_slots or 0))
