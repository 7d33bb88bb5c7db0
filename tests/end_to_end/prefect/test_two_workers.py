"""Two workers share a pool: is each run followed by one of them, and told once?"""

from __future__ import annotations

import os
from collections import Counter
from uuid import UUID

from prefect.client.schemas.objects import StateType

from infra.slurm.ownership import Identity
from tests.end_to_end.prefect.conftest import MakeLine
from tests.end_to_end.prefect.line import Line
from tests.end_to_end.prefect.workers import Workers

EACH = 3


def followers(line: Line, run: UUID) -> list[str]:
    """The workers that have ever followed a run's job, by its register."""
    found: list[str] = []
    for directory in line.jobs.glob(f"{run}.*"):
        for name in os.listdir(directory):
            who = Identity.parse(os.readlink(directory / name)) if name.startswith("followed.") else None
            found += [who.name] if who else []
    return found


def test_each_run_is_one_workers(make_line: MakeLine, bare_pool: str, workers: Workers) -> None:
    line = make_line(bare_pool, "carry_through_gate")
    line.deploy()
    line.add(2 * EACH)
    both = [workers.start(bare_pool, name, limit=EACH) for name in ("first", "second")]
    for worker in both:
        worker.wait()
    runs = [line.ask() for _ in line.arrived]
    for run in runs:
        line.wait(run, StateType.RUNNING)
    for name in line.arrived:
        line.gates.wait(f"{name}.1")
    line.gates.open(*(f"{name}.1" for name in line.arrived))
    for run in runs:
        line.wait(run, StateType.COMPLETED)
        assert line.lines(run) == line.printed(run)
        kinds = Counter(state.type for state in line.client.read_flow_run_states(run))
        assert (kinds[StateType.RUNNING], kinds[StateType.COMPLETED]) == (1, 1)
    for worker in both:
        worker.kill()
    assert sorted(followers(line, run) for run in runs) == [["first"]] * EACH + [["second"]] * EACH
    assert line.names("RESULTS") == line.arrived
    assert line.broken() == []
