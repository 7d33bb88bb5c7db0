"""A root with two stages, first and second (IN -> MID -> RESULTS), and the command line on it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import cast

import pytest

from stages.engine import assembly, catalog, roots
from stages.engine.catalog import Catalog
from stages.engine.cli import main
from stages.engine.drain import Drain
from stages.engine.inspection import PosixInspection
from stages.engine.layout import Passage, Root
from stages.engine.manifest import Json
from stages.engine.sightings import Sightings
from stages.engine.status import Observer, StageStatus
from stages.engine.store import Claim
from stages.engine.story import Narrator
from stages.engine.sweeper import Report
from stages.engine.vigil import Limits
from tests.fakes import EDITION, EventfulFs, FakeClock, FakeWork, identity

STAGE = """
reads = "{reads}"
writes = "{writes}"
[work]
command = ["true"]
[output]
durability = "none"
"""


class Chain:
    """`fs` and `clock` are the engine's doors; `phaseline` types a command in this process."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.stages = top / "stages"
        self.write_stage("first", "IN", "MID")
        self.write_stage("second", "MID", "RESULTS")
        self.fs, self.clock = EventfulFs(), FakeClock()
        self.root = Root(str(top / "root"))
        Path(self.root.path).mkdir()
        roots.make_directories(self.fs, self.root, self.catalog.locations)
        roots.seal_root(self.fs, self.root)

    def write_stage(self, name: str, reads: str, writes: str, more: str = "") -> None:
        """Write a stage.toml."""
        (self.stages / name).mkdir(parents=True, exist_ok=True)
        (self.stages / name / "stage.toml").write_text(STAGE.format(reads=reads, writes=writes) + more)

    @property
    def catalog(self) -> Catalog:
        """The stages as they are written now."""
        return catalog.load(str(self.stages))

    def passage(self, stage: str) -> Passage:
        """Where a stage reads and writes."""
        return catalog.passage(self.root, self.catalog.stage(stage))

    def path(self, below: str) -> Path:
        """A path below the root."""
        return Path(self.root.path, below)

    def ls(self, below: str) -> list[str]:
        """The names in a directory of the root, what is the engine's at its top left out."""
        return sorted(path.name for path in self.path(below).iterdir() if path.name[0] not in "_.")

    def source(self, name: str, text: str = "hello") -> Path:
        """A directory outside of the root that could become a dataset."""
        path = self.top / "outside" / name
        (path / "sub").mkdir(parents=True)
        (path / "a.txt").write_text(text)
        (path / "sub" / "b.txt").write_text(text)
        return path

    def put(self, name: str, location: str = "IN") -> Path:
        """A dataset where it is claimed, put there by hand."""
        return Path(shutil.copytree(self.source(f"{name}-{location}"), self.path(f"{location}/{name}")))

    def _site(self) -> assembly.Site:
        return assembly.Site(fs=self.fs, clock=self.clock, identity=identity(), root=self.root)

    def poll(self, stage: str, work: FakeWork | None = None) -> None:
        """Let a poller do what there is to do."""
        assembly.poller(
            self._site(),
            self.catalog.stage(stage),
            EDITION,
            work=work or FakeWork(),
            limits=Limits(until_idle=True),
            drain=Drain(),
        ).poll()

    def claim(self, stage: str, dataset: str) -> Claim:
        """Claim a dataset and leave it so."""
        claim = assembly.store(self._site(), self.catalog.stage(stage), EDITION).claim(dataset)
        assert isinstance(claim, Claim), claim
        self.fs.close(claim.handle)
        return claim

    def sweep(self, stage: str) -> Report:
        """One pass."""
        return assembly.sweeper(self._site(), self.catalog.stage(stage), EDITION, Sightings()).sweep()

    def observer(self) -> Observer:
        """What `status` looks through."""
        return Observer(
            fs=self.fs, clock=self.clock, inspection=PosixInspection(), root=self.root, catalog=self.catalog
        )

    def status(self, stage: str) -> StageStatus:
        """What `status` sees of one stage."""
        return next(each for each in self.observer().status().stages if each.stage == stage)

    def narrator(self) -> Narrator:
        """What `explain` tells stories with."""
        return Narrator(
            fs=self.fs, clock=self.clock, inspection=PosixInspection(), root=self.root, catalog=self.catalog
        )

    def phaseline(self, *words: str) -> int:
        """Type a command."""
        return main(["--root", self.root.path, "--stages", str(self.stages), *words])

    def json(self, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Json]:
        """Type a command with --json that must succeed, and read what it prints."""
        assert self.phaseline(*words, "--json") == 0
        return cast("dict[str, Json]", json.loads(capsys.readouterr().out))
