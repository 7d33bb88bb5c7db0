"""What does a dataset cost Prefect? Nothing: requests are counted between the worker and the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from prefect.client.schemas.objects import StateType

from tests.end_to_end.prefect.conftest import MakeLine
from tests.end_to_end.prefect.line import Line
from tests.end_to_end.prefect.proxy import CountingProxy
from tests.end_to_end.prefect.workers import Workers

FEW, MANY = 10, 1000
PER_SECOND_MAX = 6  # a look for new runs, one at all jobs; half a second each after a wake
CHANCE = 4  # a run may be seen in the queue or not


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Requests while a poller's run lasted: those that name it, and all others, which time brings."""

    of_run: int
    others: int
    seconds: float


def poll(line: Line, proxy: CountingProxy, count: int) -> Cost:
    """Let one poller get so many datasets through."""
    since, began = len(proxy.requests), time.monotonic()
    line.add(count, f"of-{count}-")
    run = line.ask(parameters={"stage": line.stages[0], "datasets": count})
    line.wait(run, StateType.COMPLETED, 120)
    seconds, found = time.monotonic() - began, proxy.requests[since:]
    of_run = sum(str(run) in request for request in found)
    return Cost(of_run=of_run, others=len(found) - of_run, seconds=seconds)


def test_no_request_for_a_dataset(
    make_line: MakeLine,
    bare_pool: str,
    workers: Workers,
    prefect_server: str,
    record_property: Callable[[str, object], None],
) -> None:
    line = make_line(bare_pool, "carry", idle_seconds=60.0)
    line.deploy()
    with CountingProxy(prefect_server) as proxy:
        worker = workers.start(bare_pool, "counted", url=proxy.url).wait()
        costs = {count: poll(line, proxy, count) for count in (FEW, MANY)}
        worker.kill()
    record_property("prefect requests", f"{costs[FEW]} for {FEW} datasets, {costs[MANY]} for {MANY}")
    assert abs(costs[MANY].of_run - costs[FEW].of_run) <= CHANCE, costs
    for cost in costs.values():
        assert cost.others <= 20 + PER_SECOND_MAX * cost.seconds, costs
    assert len(line.names("RESULTS")) == FEW + MANY
    assert line.broken() == []
