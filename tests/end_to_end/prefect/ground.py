"""A root of its own, with stages whose names nobody else has: datasets arrive, and what came of them is judged."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from stages.engine import catalog, roots
from stages.engine.catalog import Catalog
from stages.engine.layout import Root
from stages.engine.posix import Posix
from tests.end_to_end.prefect import gates
from tests.end_to_end.prefect.gates import Gates
from tests.invariants import Expectation, Stage, observe, violations

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
expires_seconds = {lease_seconds}
[pollers]
pollers_max = 4
datasets_per_poller = {datasets}
idle_seconds = {idle_seconds}
[output]
durability = "none"
"""
MODULES = {"breakable": "breakable"}  # where a stage's work stands, if not in `carried`


@dataclass(kw_only=True)
class Ground:
    """Stages called `<work>-<number>-<suffix>`, first to last, each from location to location."""

    top: Path
    works: tuple[str, ...] = ("carry",)
    datasets_per_poller: int = 1000
    idle_seconds: float = 0.3
    lease_seconds: float = 1.5
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
                lease_seconds=self.lease_seconds,
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

    # ---- what is done, and what came of it

    def add(self, count: int, name: str = "ds") -> list[str]:
        """Let so many datasets arrive."""
        names = [f"{name}{number}" for number in range(count)]
        for one in names:
            (self.root / "RAW" / "_incoming" / one).mkdir()
            (self.root / "RAW" / "_incoming" / one / "data.txt").write_text(f"{one}\n")
            (self.root / "RAW" / "_incoming" / one).rename(self.root / "RAW" / one)
        self.arrived += names
        return names

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
