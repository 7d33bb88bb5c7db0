"""A pipeline of its own on the shared server: a root, two stages with names that nobody else has, their deployments."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.sorting import FlowRunSort

from stages.engine import catalog, roots
from stages.engine.catalog import Catalog
from stages.engine.layout import Root
from stages.engine.posix import Posix

STAGE = """
reads = "{reads}"
writes = "{writes}"
[work]
command = ["true"]
[pollers]
pollers_max = 4
datasets_per_poller = 50
"""


@dataclass
class Pipeline:
    """Stages `first` and `second`, each name with a suffix of this pipeline's own; so has the pool."""

    client: SyncPrefectClient
    top: Path
    suffix: str = field(default_factory=lambda: uuid4().hex[:8])

    def __post_init__(self) -> None:
        self.first, self.second = f"first-{self.suffix}", f"second-{self.suffix}"
        for name, reads, writes in ((self.first, "IN", "MID"), (self.second, "MID", "RESULTS")):
            folder = self.top / "stages" / name
            folder.mkdir(parents=True)
            (folder / "stage.toml").write_text(STAGE.format(reads=reads, writes=writes))
        self.root = Root(str(self.top / "root"))
        os.mkdir(self.root.path)
        roots.make_directories(Posix(), self.root, self.catalog.locations)
        roots.seal_root(Posix(), self.root)
        self.pool = f"pool-{self.suffix}"

    @property
    def catalog(self) -> Catalog:
        """The two stages."""
        return catalog.load(str(self.top / "stages"))

    @property
    def environment(self) -> dict[str, str]:
        """What tells flows where this pipeline is."""
        return {"PHASELINE_ROOT": self.root.path, "PHASELINE_STAGES": str(self.top / "stages")}

    def deploy(self, *stages: str, limit: int | None = None) -> None:
        """Make the pool, and the stages' deployments (default: of both)."""
        pool = WorkPoolCreate(name=self.pool, type="process", concurrency_limit=limit)
        self.client.create_work_pool(pool, overwrite=True)
        flow = self.client.create_flow_from_name("poll")
        for stage in stages or (self.first, self.second):
            self.client.create_deployment(
                flow, stage, work_pool_name=self.pool, parameters={"stage": stage}, tags=[f"stage:{stage}"]
            )

    def add(self, count: int, location: str = "IN") -> None:
        """Let so many datasets wait."""
        for number in range(count):
            dataset = Path(self.root.path, location, f"ds{number}")
            dataset.mkdir()
            (dataset / "a.txt").touch()

    def deployment(self, stage: str) -> UUID:
        """Return the id of a stage's deployment."""
        return self.client.read_deployment_by_name(f"poll/{stage}").id

    def runs(self, *stages: str) -> list[FlowRun]:
        """Return the poll runs of stages (default: of both), the first asked for first."""
        wanted = DeploymentFilter(name=DeploymentFilterName(any_=[*(stages or (self.first, self.second))]))
        sort = FlowRunSort.EXPECTED_START_TIME_ASC
        return sorted(self.client.read_flow_runs(deployment_filter=wanted, sort=sort), key=lambda run: run.name)

    def end(self, stage: str, states: Collection[State], *, name: str = "of old") -> None:
        """Let pollers of a stage have ended so, one after the other."""
        for state in states:
            run = self.client.create_flow_run_from_deployment(self.deployment(stage), name=name)
            self.client.set_flow_run_state(run.id, state, force=True)
