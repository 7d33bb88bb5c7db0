"""A root with one stage and one dataset, its storage faulty on demand; and its way to an end once that is mended."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import TypeAlias

from stages.engine import assembly
from stages.engine.drain import Drain
from stages.engine.errors import StageSetupError, StorageError
from stages.engine.identity import Identity
from stages.engine.layout import Root
from stages.engine.poller import Poller
from stages.engine.sightings import Sightings
from stages.engine.store import Store
from tests.fakes import EDITION, Deed, EventfulFs, FakeWork, Yard, identity
from tests.faults import Fault, LateName
from tests.faulty.strike import Storage, Volatile
from tests.invariants import Expectation, Stage, observe, violations

ROUNDS_MAX = 12  # of a sweep, a poller and half a lease: more than any backoff of the scenarios needs
DATASET = "ds1"
Told: TypeAlias = StorageError | StageSetupError
TOKEN = re.compile(r"[0-9a-f]{8}")
UNDISTURBED = Drain()  # one for all: each is a pipe


@dataclass(kw_only=True)
class Scene(Yard):
    """`site` is where the storage is faulty; `elsewhere` is a client with a storage of its own that is sound."""

    failures_allowed: int = 0
    may_be_quarantined: bool = False
    fs: EventfulFs = field(default_factory=Volatile)
    storage: Storage = field(init=False)
    seen: Sightings = field(default_factory=Sightings)
    work: FakeWork = field(default_factory=FakeWork)

    def __post_init__(self) -> None:
        self.root = Root(str(self.top / "root"))
        if not os.path.lexists(self.root.protocol):
            super().__post_init__()
        for place in (self.a, self.a / "_work", self.a / "_done", self.a / "_failed", self.b):
            for left in place.glob("[!_]*"):  # the scene before this one
                rmtree(left)
        self.storage = Storage(self.fs)

    def site(self, who: Identity | None = None) -> assembly.Site:
        return assembly.Site(fs=self.storage, clock=self.clock, identity=who or identity(), root=self.root)

    def elsewhere(self) -> Store:
        """Return the store of somebody else."""
        return assembly.store(super().site(identity("node9")), self.spec, EDITION)

    def employ(self, deed: Deed) -> Poller:
        """Return a poller whose author does `deed`."""
        self.work = FakeWork(deed)
        return self.poller(self.work, drain=UNDISTURBED)

    def sweep(self) -> None:
        """Make a pass, always as the same sweeper."""
        self.sweeper(self.seen).sweep()

    def struck(
        self, act: Callable[[], object], *faults: Fault, late: LateName | None = None
    ) -> StorageError | StageSetupError | None:
        """Do something while the storage fails; returns the error that a person is told, the only kind let through."""
        self.storage.faults[:] = faults
        self.storage.late = late
        try:
            act()
        except (StorageError, StageSetupError) as error:
            return error
        finally:
            self.storage.faults.clear()
        return None

    def wrong(self, *, at_rest: bool) -> list[str]:
        """Return what is promised and does not hold."""
        is_here = Stage(name="first", reads="A", writes="B", attempts_max=self.spec.retry.attempts_max)
        expected = Expectation(
            stages=(is_here,),
            arrived={"A": [DATASET]},
            may_fail=None if not at_rest or self.may_be_quarantined else frozenset(),
            may_block=False,
            at_rest=at_rest,
        )
        found = observe(self.fs, self.root.path, ["A", "B"])
        return violations(found, expected) + [
            f"it paid for the storage: {value}"
            for dataset in found.datasets
            for name, value in dataset.registers.items()
            if name.startswith("ended.") and int(value.split(":")[2]) > self.failures_allowed
        ]

    def finish(self, deed: Deed) -> list[str]:
        """Let sweeper and pollers go on, time passing, until the dataset is at its end; returns what is wrong."""
        wrong = [""]
        for _ in range(ROUNDS_MAX):
            self.sweep()
            with suppress(StageSetupError):
                self.employ(deed).poll()
            wrong = self.wrong(at_rest=True) + [f"left behind: {name}" for name in os.listdir(self.a / "_work")]
            if not wrong:
                break
            self.clock.advance(self.spec.lease.expires_seconds / 2 + 1)
        return wrong

    def picture(self) -> list[str]:
        """Return all paths of the root, whoever made them."""
        found = [str(path.relative_to(self.root.path)) for path in Path(self.root.path).rglob("*")]
        return sorted(TOKEN.sub("TOKEN", path) for path in found)


@contextmanager
def handles_given_back() -> Generator[None]:
    """Fail if something opened is still open in the end."""
    before = os.listdir("/proc/self/fd")
    yield
    assert len(os.listdir("/proc/self/fd")) == len(before), "a handle was not given back"
