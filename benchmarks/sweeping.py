"""What `sweep` measures, in a process with no Prefect settings but its own: `python -m benchmarks.sweeping ROUNDS`."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any, cast

import httpx
from loguru import logger

from benchmarks.figures import interleaved
from flows.sweep import sweep
from stages.engine.cli import main as phaseline
from tests.waiting import wait_until

RECORDED_SECONDS = 60.0
MAPPED_MIN = 2  # one that looks, one that mends


class Counter:
    """Counts the HTTP requests of this process, whoever makes them."""

    def __init__(self) -> None:
        self.requests = 0
        for client in (httpx.Client, httpx.AsyncClient):
            self._listen(client)

    def _listen(self, client: type[httpx.Client | httpx.AsyncClient]) -> None:
        send = cast("Callable[..., object]", client.send)

        def counted(*arguments: Any, **options: Any) -> object:  # noqa: ANN401 - handed on as they are
            self.requests += 1
            return send(*arguments, **options)

        setattr(client, "send", counted)  # noqa: B010 - a method is replaced


def main(rounds: int) -> None:
    """Print one line of JSON."""
    logger.remove()
    counter, requests, runs = Counter(), list[int](), list[str]()

    def flow() -> float:
        before, begun = counter.requests, time.perf_counter()
        state = sweep(full=True, return_state=True)
        seconds = time.perf_counter() - begun
        assert state.is_completed(), state.message
        requests.append(counter.requests - before)
        runs.append(str(state.state_details.flow_run_id))
        return seconds

    def command() -> float:
        begun = time.perf_counter()
        with redirect_stdout(io.StringIO()):
            assert phaseline(["sweep", "--full"]) == 0
        return time.perf_counter() - begun

    by_flow, by_command = interleaved(rounds, flow, command)
    found = {
        "flow": by_flow,
        "command": by_command,
        "requests": requests[1:],
        "mapped": [mapped(run) for run in runs[1:]],
    }
    print(json.dumps(found))


def mapped(run: str) -> int:
    """How many mapped runs the server has recorded of a run; it records them as it finds the time."""
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415 - as set for this process

    seen = [0]

    def settled() -> bool:
        time.sleep(1.0)
        body = {"flow_runs": {"id": {"any_": [run]}}, "task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
        seen.append(int(httpx.post(f"{PREFECT_API_URL.value()}/task_runs/count", json=body).text))
        return seen[-1] >= MAPPED_MIN and seen[-1] == seen[-2]

    wait_until(settled, RECORDED_SECONDS, f"the mapped runs of {run} are not recorded: {seen}")
    return seen[-1]


if __name__ == "__main__":
    main(int(sys.argv[1]))
