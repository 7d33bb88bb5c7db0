"""Do datasets go through all stages, and does Prefect tell an operator how?"""

from __future__ import annotations

import re

from prefect.client.schemas.objects import StateType

from tests.end_to_end.prefect.conftest import MakeLine

DATASETS = 10


def test_from_arrival_to_result(make_line: MakeLine, pool: str, control: str) -> None:
    line = make_line(pool, "carry", "dump_environment", datasets_per_poller=DATASETS, idle_seconds=60.0)
    line.deploy()
    line.add(DATASETS)
    trigger = line.wait(line.ask_flow("flows.trigger.trigger", control), StateType.COMPLETED)
    assert trigger.state is not None
    assert trigger.state.message == (
        f"{line.stages[0]}: 1 asked, 10 claimable, 0 of 4 pollers; "
        f"{line.stages[1]}: 1 asked, 0 claimable, 0 of 4 pollers"
    )
    for stage in line.stages:
        (run,) = line.runs(stage)
        run = line.wait(run.id, StateType.COMPLETED)
        assert re.fullmatch(rf"{stage} poller \d\d:\d\d:\d\d", run.name)
        assert run.tags == [f"stage:{stage}"]
        assert run.run_count == 1
        kinds = [state.type for state in line.client.read_flow_run_states(run.id)]
        assert kinds == sorted(kinds, key=["SCHEDULED", "PENDING", "RUNNING", "COMPLETED"].index)
        assert line.lines(run.id) == line.printed(run.id)
        assert line.lines(run.id)[-1] == f"poller ended: datasets_per_poller reached stage={stage} attempts=10"
    assert line.names("RESULTS") == sorted(line.arrived)
    told = {path.read_text() for path in line.root.glob("RESULTS/*/environment")}
    assert not [name for names in told for name in names.splitlines() if name.startswith("PREFECT_")]
    assert line.broken() == []


def test_a_job_is_told_nothing_of_prefect(make_line: MakeLine, pool: str) -> None:
    line = make_line(pool, "carry")
    line.deploy()
    run = line.ask(job_variables={"command": ["env"]})
    line.wait(run, StateType.COMPLETED)
    told = {name: value for name, _, value in (text.partition("=") for text in line.lines(run))}
    assert told["PHASELINE_ROOT"] == str(line.root)
    assert told["PHASELINE_PARAMETERS"] == f'{{"stage": "{line.stages[0]}"}}'
    assert not [name for name in told if name.startswith("PREFECT_")]
