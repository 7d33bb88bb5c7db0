"""A line of stages of its own on a shared server: a ground, and deployments."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Collection, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from unittest.mock import patch
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun, Log, StateType
from prefect.client.schemas.sorting import FlowRunSort, LogSort
from prefect.utilities.callables import parameter_schema

from flows import facts
from flows.poll import poll
from flows.trigger import trigger
from infra.stack import pollers
from stages.engine.cli import main
from stages.engine.clock import SystemClock
from tests.end_to_end.fleet import CHECKOUT, living
from tests.end_to_end.prefect.ground import Ground
from tests.waiting import wait_until

TEMPLATE = CHECKOUT / "work-pools" / "slurm-cpu.json"
END_SECONDS = 60.0
PAGE = 200
OVER = {StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED}
STAMP = re.compile(r"^\d{4}-\d\d-\d\d \S+ [A-Z]+ +")
SCHEMA = parameter_schema(poll).model_dump_for_openapi()


def template() -> dict[str, object]:
    """The base job template of the pools that the stack makes."""
    return json.loads(TEMPLATE.read_text())


class Ahead(SystemClock):
    """The real clock, so many seconds ahead."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def now(self) -> float:
        return super().now() + self._seconds


@dataclass(kw_only=True)
class Line(Ground):
    """Its stages have deployments; jobs go to `pool`, and are carried by `transport`."""

    client: SyncPrefectClient
    pool: str
    transport: str = "local"

    # ---- what is done

    def deploy(self, variables: Mapping[str, object] | None = None, **more: object) -> None:
        """Give every stage its deployment; job variables and `more` go to all of them."""
        flow = self.client.create_flow_from_name("poll")
        for stage in self.stages:
            own = {
                "command": [sys.executable, "-m", "stages.engine", "poll", stage],
                "env": self.environment,
                "jobs_directory": str(self.jobs),
                "transport": self.transport,
            }
            told = {
                "job_variables": own | dict(variables or {}),
                "parameters": {"stage": stage},
                "parameter_openapi_schema": SCHEMA,
                "tags": [f"stage:{stage}"],
                **more,
            }
            self.client.create_deployment(flow, stage, work_pool_name=self.pool, **told)  # pyright: ignore[reportArgumentType]  # options by name

    def ask(self, stage: str | None = None, **more: object) -> UUID:
        """Ask for a poller of a stage (default: the first), as the button in the UI does."""
        deployment = self.client.read_deployment_by_name(f"poll/{stage or self.stages[0]}")
        return self.client.create_flow_run_from_deployment(deployment.id, **more).id  # pyright: ignore[reportArgumentType]  # options by name

    def ask_flow(self, entrypoint: str, pool: str) -> UUID:
        """Ask for a run of the trigger or the sweep, by a deployment in `pool` that works on this line."""
        name = entrypoint.rpartition(".")[2]
        deployment = self.client.create_deployment(
            self.client.create_flow_from_name(name),
            f"{name}-{self.suffix}",
            work_pool_name=pool,
            entrypoint=entrypoint,
            job_variables={"env": self.environment},
        )
        return self.client.create_flow_run_from_deployment(deployment).id

    def sweep(self, pool: str) -> str:
        """Sweep, by a deployment in `pool`; returns what the run's state says."""
        run = self.ask_flow("flows.sweep.sweep", pool)
        self.wait(run, StateType.COMPLETED)
        return self.state(run)

    def pull(self, later_seconds: float = 0.0) -> str:
        """Let the trigger ask for what this line needs, in this process; returns what its state says.

        Its clock is so many seconds ahead.
        """
        with patch.dict(os.environ, self.environment):
            at = facts.opened()
            with patch.object(facts, "opened", lambda: replace(at, clock=Ahead(later_seconds))):
                state = trigger(return_state=True)
        return f"{state.name}: {state.message}"

    def status(self) -> str:
        """What `phaseline status` says."""
        with patch.dict(os.environ, self.environment), redirect_stdout(StringIO()) as said:
            assert main(["status"]) == 0
        return said.getvalue()

    # ---- what Prefect says

    def run(self, run: UUID) -> FlowRun:
        return self.client.read_flow_run(run)

    def state(self, run: UUID) -> str:
        """A run's state: type, name, and message."""
        state = self.run(run).state
        return "" if state is None else f"{state.type.value} {state.name}: {state.message}"

    def wait(self, run: UUID, wanted: StateType | Collection[StateType], seconds: float = END_SECONDS) -> FlowRun:
        """Wait until a run is in a state of this type."""
        kinds = {wanted} if isinstance(wanted, StateType) else set(wanted)
        wait_until(
            lambda: self.run(run).state_type in kinds | OVER, seconds, lambda: f"{wanted}, not {self.state(run)}"
        )
        found = self.run(run)
        assert found.state_type in kinds, self.state(run)
        return found

    def wait_queued(self, run: UUID) -> FlowRun:
        """Wait until a run is said to wait for a slot."""
        wait_until(lambda: " Queued" in self.state(run), END_SECONDS, lambda: f"Queued, not {self.state(run)}")
        return self.run(run)

    def runs(self, *stages: str) -> list[FlowRun]:
        """The runs of stages' pollers (default: of all), the first asked for first."""
        wanted = DeploymentFilter(name=DeploymentFilterName(any_=[*(stages or self.stages)]))
        return self.client.read_flow_runs(deployment_filter=wanted, sort=FlowRunSort.EXPECTED_START_TIME_ASC)

    def logs(self, run: UUID) -> list[Log]:
        """What the log of a run holds, in its order."""
        found, wanted = list[Log](), LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run]))
        while len(page := self._page(wanted, len(found))) == PAGE:
            found += page
        return [*found, *page]

    def _page(self, wanted: LogFilter, offset: int) -> list[Log]:
        return self.client.read_logs(wanted, limit=PAGE, offset=offset, sort=LogSort.TIMESTAMP_ASC)

    def lines(self, run: UUID) -> list[str]:
        """What the job of a run has said, as its log holds it."""
        return [log.message for log in self.logs(run) if log.name == "job"]

    def job(self, run: UUID) -> set[str]:
        """What stands in the directories of a run's jobs: `launcher` if there is one, `began`, `result`."""
        return {name for directory in self.jobs.glob(f"{run}.*") for name in os.listdir(directory)}

    def printed(self, run: UUID) -> list[str]:
        """What its job has printed, by the file itself, without time and level. One run, one job: raises ValueError."""
        (directory,) = self.jobs.glob(f"{run}.*")
        lines = (directory / "output").read_text().splitlines()
        return [STAMP.sub("", line) for line in lines if line.strip()]

    def end(self) -> None:
        """End the jobs that are left, and see to it that nothing of this line is."""
        if left := pollers.living(self.root):
            pollers.ask_to_end(self.root, left)
        wait_until(lambda: not living(self.root), END_SECONDS, lambda: f"still there: {living(self.root)}")
