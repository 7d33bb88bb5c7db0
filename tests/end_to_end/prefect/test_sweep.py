"""A poller that dies with a dataset in hand: do sweep and trigger bring it to its result?"""

from __future__ import annotations

import os
import signal

from prefect.client.schemas.objects import StateType

from stages.engine.records import parse_taken
from tests.end_to_end.prefect.conftest import MakeLine


def test_from_a_killed_poller_to_the_result(make_line: MakeLine, pool: str, control: str) -> None:
    line = make_line(pool, "carry_through_gate")
    line.deploy()
    line.add(1)
    killed = line.ask()
    line.gates.wait("ds0.1")
    taken = os.readlink(line.root / "RAW" / "ds0" / f"taken.{line.stages[0]}.1")
    os.kill(parse_taken(taken, "ds0").pid, signal.SIGKILL)
    line.wait(killed, StateType.CRASHED)
    assert "killed by SIGKILL" in line.state(killed)

    line.sweep(control)
    assert line.pull() == f"Completed: {line.stages[0]}: 1 asked, 1 claimable, 0 of 4 pollers"
    line.gates.open("ds0.2")
    (heir,) = [run.id for run in line.runs() if run.id != killed]
    line.wait(heir, StateType.COMPLETED)
    assert line.names("RESULTS") == ["ds0"]
    assert line.broken() == []
