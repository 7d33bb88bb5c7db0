"""What lasts minutes: the server away while pollers go on, a limit that is held by leases. `make verify-prefect`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions, StateType

from infra.stack import environment
from infra.stack.choices import SERVER
from infra.stack.stack import Stack
from tests.end_to_end.prefect.conftest import MakeLine, make_pool
from tests.end_to_end.prefect.line import Line
from tests.end_to_end.prefect.proxy import CountingProxy
from tests.end_to_end.prefect.stacks import place_in
from tests.end_to_end.prefect.workers import Workers
from tests.ports import free_port
from tests.waiting import wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

THREE_MINUTES = 180.0
AFTERWARDS = 120.0
WIDTH, ASKED = 2, 5


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A server of its own, as `phaseline up` starts it."""
    found = Stack(place_in(tmp_path))
    try:
        found.start_server(free_port())
        found.wait_for_server()
        yield found
    finally:
        found.end([SERVER])


@pytest.fixture
def prefect_server(stack: Stack) -> str:
    return environment.api(stack.port)


@pytest.fixture
def workers(prefect_server: str, tmp_path: Path) -> Iterator[Workers]:
    with Workers(prefect_server, tmp_path / "workers", slots_name=f"test-{uuid4().hex[:12]}") as found:
        yield found


def pass_by(seconds: float, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Let time pass, and look at something all the while."""
    ends = time.monotonic() + seconds

    def is_over() -> bool:
        meanwhile()
        return time.monotonic() >= ends

    wait_until(is_over, seconds + 60, "time")


def told_once(line: Line) -> None:
    """All that the jobs said is in the logs, and every run began once and ended once."""
    for run in line.runs():
        kinds = [state.type for state in line.client.read_flow_run_states(run.id)]
        assert (kinds.count(StateType.RUNNING), kinds.count(StateType.COMPLETED)) == (1, 1)
        assert line.lines(run.id) == line.printed(run.id)


def test_the_server_is_away_for_three_minutes(
    make_line: MakeLine, bare_pool: str, workers: Workers, stack: Stack, client: SyncPrefectClient
) -> None:
    control = make_pool(client, "control", "process")
    there = [workers.start(bare_pool, "jobs"), workers.start(control, "control", kind="process")]
    for worker in there:
        worker.wait()
    line = make_line(bare_pool, "carry_through_gate", datasets_per_poller=1)
    line.deploy()
    line.add(3)
    running = [line.ask() for _ in range(2)]
    for run in running:
        line.wait(run, StateType.RUNNING)
    wait_until(lambda: len(line.gates.reached()) == len(running), 60, "two datasets are at their gates")
    first, second = sorted(line.gates.reached())
    with workers.without_slots(held=len(running)):
        waiting = line.ask()
        line.wait_queued(waiting)
        stack.kill(SERVER)
    line.gates.open(first, *(f"{name}.1" for name in line.arrived if f"{name}.1" != second))
    wait_until(lambda: len(line.names("RESULTS")) == 2, 60, "one that ran and one that waited finish without a server")
    pass_by(THREE_MINUTES)
    stack.start_server(stack.port)
    stack.wait_for_server()
    for run in (*running, waiting):
        state = line.wait(run, {StateType.RUNNING, StateType.COMPLETED}, AFTERWARDS).state_type
        assert state is not StateType.CRASHED
    line.gates.open(second)
    for run in (*running, waiting):
        line.wait(run, StateType.COMPLETED, AFTERWARDS)
    told_once(line)
    assert all(worker.process.is_alive() for worker in there), [worker.said for worker in there]
    line.add(1, "later")
    line.gates.open("later0.1")
    line.wait(line.ask_flow("flows.trigger.trigger", control), StateType.COMPLETED, AFTERWARDS)
    (heir,) = [run.id for run in line.runs() if run.id not in {*running, waiting}]
    line.wait(heir, StateType.COMPLETED, AFTERWARDS)
    assert line.names("RESULTS") == sorted(line.arrived)
    assert line.broken() == []


def test_a_limit_of_two_is_held_by_leases(
    make_line: MakeLine, bare_pool: str, workers: Workers, prefect_server: str
) -> None:
    line = make_line(bare_pool, "carry_through_gate", datasets_per_poller=1)
    line.deploy(
        concurrency_limit=WIDTH,
        concurrency_options=ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
    )
    line.add(ASKED)
    with CountingProxy(prefect_server) as proxy:
        worker = workers.start(bare_pool, "jobs", url=proxy.url).wait()
        runs = [line.ask() for _ in range(ASKED)]
        most = set[int]()

        def look() -> None:
            most.add(sum(run.state_type is StateType.RUNNING for run in line.runs()))

        wait_until(lambda: len(line.gates.reached()) == WIDTH, 60, "two are at their gates")
        pass_by(THREE_MINUTES, look)
        assert len(line.gates.reached()) == WIDTH
        line.gates.open(*(f"{name}.1" for name in line.arrived))
        for run in runs:
            wait_until(lambda run=run: look() or line.run(run).state_type is StateType.COMPLETED, 240, line.state(run))
        renewals = sum("/leases/" in request for request in proxy.requests)
        worker.kill()
    assert max(most) == WIDTH
    assert renewals >= WIDTH * 2, proxy.requests
    told_once(line)
    assert line.broken() == []
