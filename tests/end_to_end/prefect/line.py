"""A line of stages of its own on a shared server: a root, stages with names that nobody else has, their deployments."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Collection
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from unittest.mock import patch
from uuid import UUID, uuid4

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun, Log, StateType
from prefect.client.schemas.sorting import FlowRunSort, LogSort
from prefect.utilities.callables import parameter_schema

from flows import facts
from flows.poll import poll
from flows.trigger import trigger
from infra.stack import pollers
from stages.engine import catalog, roots
from stages.engine.catalog import Catalog
from stages.engine.cli import main
from stages.engine.clock import SystemClock
from stages.engine.fs import Posix
from stages.engine.layout import Root
from tests.end_to_end.fleet import CHECKOUT, living
from tests.end_to_end.prefect import gates
from tests.end_to_end.prefect.gates import Gates
from tests.invariants import Expectation, Stage, observe, violations
from tests.waiting import wait_until

STAGE = """
reads = "{reads}"
writes = "{writes}"
[work]
callable = "tests.end_to_end.prefect.{work}"
timeout_seconds = 300
[retry]
backoff_seconds = [0.1]
[lease] # as short as a test wants it; a real one lasts minutes
heartbeat_seconds = 0.3
expires_seconds = 1.5
[pollers]
pollers_max = 4
datasets_per_poller = {datasets}
idle_seconds = {idle_seconds}
[output]
durability = "none"
"""
TEMPLATE = CHECKOUT / "work-pools" / "slurm-cpu.json"
END_SECONDS = 60.0
PAGE = 200
OVER = {StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED}
MODULES = {"breakable": "breakable"}  # where a stage's work stands, if not in `carried`
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


@dataclass
class Line:
    """Stages called `<work>-<suffix>`, first to last, each from location to location; jobs go to `pool`."""

    client: SyncPrefectClient
    top: Path
    pool: str
    works: tuple[str, ...] = ("carry",)
    datasets_per_poller: int = 1000
    idle_seconds: float = 0.3
    suffix: str = field(default_factory=lambda: uuid4().hex[:6])

    def __post_init__(self) -> None:
        locations = ["RAW", *(f"MADE_{number}" for number in range(1, len(self.works))), "RESULTS"]
        self.stages = [
            f"{work.replace('_', '-')[:16]}-{number}-{self.suffix}" for number, work in enumerate(self.works)
        ]
        for at, (stage, work) in enumerate(zip(self.stages, self.works, strict=True)):
            folder = self.top / "stages" / stage
            folder.mkdir(parents=True)
            text = STAGE.format(
                reads=locations[at],
                writes=locations[at + 1],
                work=f"{MODULES.get(work, 'carried')}:{work}",
                datasets=self.datasets_per_poller,
                idle_seconds=self.idle_seconds,
            )
            (folder / "stage.toml").write_text(text)
        self.root, self.arrived = self.top / "root", list[str]()
        self.gates = Gates(self.top / "gates")
        self.root.mkdir()
        roots.make_directories(Posix(), Root(str(self.root)), self.catalog.locations)
        roots.seal_root(Posix(), Root(str(self.root)))

    # ---- what is there

    @property
    def catalog(self) -> Catalog:
        return catalog.load(str(self.top / "stages"))

    @property
    def jobs(self) -> Path:
        return self.root / "_jobs"

    @property
    def environment(self) -> dict[str, str]:
        """What a process that works here is told."""
        return {
            "PHASELINE_ROOT": str(self.root),
            "PHASELINE_STAGES": str(self.top / "stages"),
            "PHASELINE_ALLOW_SHORT_LEASE": "1",
            "PHASELINE_LOOK_SECONDS_MAX": "0.2",
            "PHASELINE_GRACE_SECONDS": "2",  # a cancelled poller gives its dataset that long to be finished
            gates.VARIABLE: str(self.gates.directory),
        }

    def names(self, location: str) -> list[str]:
        """The datasets in a location."""
        return sorted(name for name in os.listdir(self.root / location) if name[0] not in "_.")

    # ---- what is done

    def deploy(self, **more: object) -> None:
        """Give every stage its deployment; `more` goes to all of them."""
        flow = self.client.create_flow_from_name("poll")
        for stage in self.stages:
            variables = {
                "command": [sys.executable, "-m", "stages.engine", "poll", stage],
                "env": self.environment,
                "jobs_directory": str(self.jobs),
                "transport": "local",
            }
            told = {
                "job_variables": variables,
                "parameters": {"stage": stage},
                "parameter_openapi_schema": SCHEMA,
                "tags": [f"stage:{stage}"],
                **more,
            }
            self.client.create_deployment(flow, stage, work_pool_name=self.pool, **told)  # pyright: ignore[reportArgumentType]  # options by name

    def add(self, count: int, name: str = "ds") -> list[str]:
        """Let so many datasets arrive."""
        names = [f"{name}{number}" for number in range(count)]
        for one in names:
            (self.root / "RAW" / "_incoming" / one).mkdir()
            (self.root / "RAW" / "_incoming" / one / "data.txt").write_text(f"{one}\n")
            (self.root / "RAW" / "_incoming" / one).rename(self.root / "RAW" / one)
        self.arrived += names
        return names

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

    # ---- what came of it

    def broken(self, *, at_rest: bool = True) -> list[str]:
        """Every promise that is broken, in words."""
        stages = tuple(
            Stage(name=spec.name, reads=spec.reads, writes=spec.writes, attempts_max=spec.retry.attempts_max)
            for spec in self.catalog.stages
        )
        expected = Expectation(
            stages=stages,
            arrived={"RAW": self.arrived},
            may_fail=frozenset(),
            may_block=False,
            at_rest=at_rest,
            durable=False,
        )
        return violations(observe(Posix(), str(self.root), self.catalog.locations), expected)

    def end(self) -> None:
        """End the jobs that are left, and see to it that nothing of this line is."""
        if left := pollers.living(self.root):
            pollers.ask_to_end(self.root, left)
        wait_until(lambda: not living(self.root), END_SECONDS, lambda: f"still there: {living(self.root)}")
