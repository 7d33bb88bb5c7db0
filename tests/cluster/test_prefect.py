"""With a real Prefect server and workers: what the runs say of a cluster's jobs, and what became of the datasets."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.states import Cancelling

from infra.cluster.cluster import Cluster
from infra.stack import environment
from infra.stack.choices import SERVER
from infra.stack.stack import Stack
from tests.cluster.line import ClusterLine
from tests.end_to_end.prefect.conftest import make_pool
from tests.end_to_end.prefect.entry import Moment
from tests.end_to_end.prefect.stacks import place_in
from tests.end_to_end.prefect.workers import Workers
from tests.ports import free_port
from tests.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

SECONDS = 90.0
SECONDS_MAX = 20.0


@pytest.fixture
def slurm(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The session's cluster, as workers and their jobs find it."""
    for name, value in cluster.environment().items():
        monkeypatch.setenv(name, value)
    return cluster


@pytest.fixture
def pool(client: SyncPrefectClient) -> str:
    """A pool without a worker."""
    return make_pool(client, f"slurm-{uuid4().hex[:6]}")


@pytest.fixture
def line(client: SyncPrefectClient, tmp_path: Path, pool: str, slurm: Cluster) -> Iterator[ClusterLine]:
    found = ClusterLine(
        client=client,
        top=tmp_path / "line",
        pool=pool,
        works=("carry_through_gate",),
        transport="sbatch",
        datasets_per_poller=1,
    )
    found.deploy()
    yield found
    found.end()


def told_once(line: ClusterLine, run: UUID) -> None:
    """All that the job said is in the log, and the run began once and ended once."""
    kinds = [state.type for state in line.client.read_flow_run_states(run)]
    assert (kinds.count(StateType.RUNNING), kinds.count(StateType.COMPLETED)) == (1, 1)
    assert line.lines(run) == line.printed(run)


def test_completed_cancelled_and_requeued(line: ClusterLine, pool: str, workers: Workers, slurm: Cluster) -> None:
    workers.start(pool, "one").wait()
    line.add(3)
    runs = dict[str, UUID]()
    for name in line.arrived:
        runs[name] = line.ask()
        wait_until(lambda: len(line.gates.reached()) == len(runs), SECONDS, "another dataset is at its gate")
    held = {line.dataset_of(run): run for run in runs.values()}
    for run in runs.values():
        line.wait(run, StateType.RUNNING)

    line.gates.open("ds0.1")
    line.wait(held["ds0"], StateType.COMPLETED)
    told_once(line, held["ds0"])

    line.client.set_flow_run_state(held["ds1"], Cancelling())
    since = time.monotonic()
    line.wait(held["ds1"], StateType.CANCELLED)
    assert time.monotonic() - since < SECONDS_MAX
    ended = os.readlink(line.root / "RAW" / "ds1" / f"ended.{line.stages[0]}.1")
    assert ended.startswith("retry:-:0:0:"), "released, and nobody pays"

    slurm.ask("scontrol", "requeue", line.number_of(held["ds2"]))
    line.gates.open(*(f"ds{number}.{attempt}" for number in (1, 2) for attempt in (1, 2, 3)))
    line.wait(held["ds2"], StateType.COMPLETED, SECONDS)
    line.wait(line.ask(), StateType.COMPLETED, SECONDS)
    assert line.names("RESULTS") == line.arrived
    assert line.broken() == []


def test_workers_are_killed_while_they_hand_in_and_while_jobs_run(
    line: ClusterLine, pool: str, workers: Workers
) -> None:
    worker = workers.start(pool, "same", at=line.gates).wait()
    for number, moment in enumerate((Moment.BEFORE_SUBMISSION, Moment.AFTER_SUBMISSION, Moment.JOB_OVER)):
        line.gates.arm(moment)
        (name,) = line.add(1, f"{number}-")
        line.gates.open(f"{name}.1")
        run = line.ask()
        line.gates.wait(moment)
        worker.kill()
        worker = workers.start(pool, "same", at=line.gates).wait()
        line.wait(run, StateType.COMPLETED, SECONDS)
        told_once(line, run)
        assert len(line.lines(run)) == 2, "published, ended: of one job"
    worker.kill()
    assert line.names("RESULTS") == line.arrived
    assert line.broken() == []


class TestServerAway:
    """A server of its own."""

    @pytest.fixture
    def stack(self, tmp_path: Path) -> Iterator[Stack]:
        found = Stack(place_in(tmp_path))
        try:
            found.start_server(free_port())
            found.wait_for_server()
            yield found
        finally:
            found.end([SERVER])

    @pytest.fixture
    def prefect_server(self, stack: Stack) -> str:
        return environment.api(stack.port)

    @pytest.fixture
    def workers(self, prefect_server: str, tmp_path: Path) -> Iterator[Workers]:
        with Workers(prefect_server, tmp_path / "workers", slots_name=f"test-{uuid4().hex[:12]}") as found:
            yield found

    def test_jobs_begin_and_end_without_prefect(
        self, line: ClusterLine, pool: str, workers: Workers, stack: Stack
    ) -> None:
        worker = workers.start(pool, "one").wait()
        line.add(1)
        run = line.ask()
        line.gates.wait("ds0.1")
        line.wait(run, StateType.RUNNING)
        stack.kill(SERVER)
        line.gates.open("ds0.1")
        wait_until(lambda: line.names("RESULTS") == ["ds0"], SECONDS, "it gets through without a server")
        wait_until(lambda: "the API does not answer" in worker.said, SECONDS, lambda: worker.said)
        stack.start_server(stack.port)
        stack.wait_for_server()
        line.wait(run, StateType.COMPLETED, SECONDS)
        told_once(line, run)
        assert worker.process.is_alive()
        assert line.broken() == []
