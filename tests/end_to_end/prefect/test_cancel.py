"""Is a run that is cancelled over within seconds, and is nothing lost by it?"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.states import Cancelling

from tests.end_to_end.prefect.conftest import MakeLine
from tests.end_to_end.prefect.line import Line
from tests.end_to_end.prefect.workers import Workers
from tests.waiting import wait_until

SECONDS_MAX = 20.0  # 2 to 3 on an idle machine; the server's own clean-up would come after 300

Cancel = Callable[[SyncPrefectClient, UUID], None]


def by_api(client: SyncPrefectClient, run: UUID) -> None:
    """As the button in the UI does."""
    client.set_flow_run_state(run, Cancelling())


def by_command(client: SyncPrefectClient, run: UUID) -> None:
    """As an operator types it."""
    typed = subprocess.run(
        [sys.executable, "-m", "prefect", "flow-run", "cancel", str(run)],
        env={**os.environ, "PREFECT_API_URL": str(client.api_url)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert typed.returncode == 0, typed.stdout + typed.stderr


def cancelled(line: Line, cancel: Cancel, run: UUID) -> None:
    cancel(line.client, run)
    since = time.monotonic()
    line.wait(run, StateType.CANCELLED)
    assert time.monotonic() - since < SECONDS_MAX


def finish(line: Line) -> None:
    """Nothing was lost: the next poller gets everything through."""
    assert line.broken(at_rest=False) == []
    line.gates.open(*(f"{name}.{attempt}" for name in line.arrived for attempt in (1, 2)))
    line.wait(line.ask(), StateType.COMPLETED)
    assert line.names("RESULTS") == line.arrived
    assert line.broken() == []


@pytest.mark.parametrize("cancel", [by_api, by_command])
def test_a_running_one_lets_its_dataset_go(make_line: MakeLine, pool: str, cancel: Cancel) -> None:
    line = make_line(pool, "carry_through_gate")
    line.deploy()
    line.add(2)
    run = line.ask()
    line.wait(run, StateType.RUNNING)
    wait_until(lambda: bool(line.gates.reached()), 60, "a dataset is at the gate")
    (held,) = line.gates.reached()
    cancelled(line, cancel, run)
    dataset, _, number = held.partition(".")
    ended = os.readlink(line.root / "RAW" / dataset / f"ended.{line.stages[0]}.{number}")
    assert ended.startswith("retry:-:0:0:"), "released, and nobody pays"
    assert line.lines(run) == line.printed(run)
    finish(line)


@pytest.mark.parametrize("cancel", [by_api, by_command])
def test_one_that_waits_for_a_slot_never_begins(
    make_line: MakeLine, pool: str, workers: Workers, cancel: Cancel
) -> None:
    line = make_line(pool, "carry")
    line.deploy()
    line.add(2)
    with workers.without_slots():
        run = line.ask()
        line.wait_queued(run)
        cancelled(line, cancel, run)
        assert "began" not in line.job(run)
    assert line.run(run).run_count == 0
    finish(line)


def test_one_that_was_cancelled_while_its_worker_was_away(
    make_line: MakeLine, bare_pool: str, workers: Workers
) -> None:
    line = make_line(bare_pool, "carry_through_gate")
    line.deploy()
    line.add(1)
    worker = workers.start(bare_pool, "one").wait()
    run = line.ask()
    line.gates.wait("ds0.1")
    line.wait(run, StateType.RUNNING)
    worker.kill()
    by_api(line.client, run)
    workers.start(bare_pool, "another").wait()
    line.wait(run, StateType.CANCELLED)
    assert line.lines(run) == line.printed(run)
    finish(line)
