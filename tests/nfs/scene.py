"""A root on the export, seen from two clients: the engine's own stores and sweepers, and the judge at the server."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

from stages.engine import names
from stages.engine.clock import SystemClock
from stages.engine.durability import Durability
from stages.engine.fs import FileSystem
from stages.engine.identity import current
from stages.engine.layout import Passage, Root
from stages.engine.owner import Owners
from stages.engine.policy import NOTHING_SPENT, RetryRule, published
from stages.engine.posix import Posix
from stages.engine.sightings import Lease, Sightings
from stages.engine.store import Claim, Store, Terms
from stages.engine.sweeper import Place, Sweeper, Target
from tests.invariants import Expectation, Stage, observe, violations
from tests.simulation.pipeline import Engine

STAGE, READS, WRITES = "phase4", "PHASE_4", "PHASE_5"
NEXT_STAGE, LAST = "phase5", "PHASE_6"
PLACES = {"server": "/mnt/data", "a": "/mnt/a", "b": "/mnt/b"}
CONTENT = b"data"


class Scene:
    """One root, fresh and of a name that no client has ever asked for, for an engine that may be a mutant."""

    _numbers = count()

    def __init__(self, engine: Engine) -> None:
        self.name, self.engine = f"root{next(self._numbers)}", engine

    def path(self, where: str) -> str:
        """Return the root as a client or the server sees it."""
        return f"{PLACES[where]}/{self.name}"

    def passage(self, where: str, stage: str = STAGE) -> Passage:
        """Return where a stage reads and writes, as a client or the server sees it."""
        root, (reads, writes) = Root(self.path(where)), {STAGE: (READS, WRITES), NEXT_STAGE: (WRITES, LAST)}[stage]
        return Passage(stage=stage, reads=root.location(reads), writes=root.location(writes))

    def prepare(self, *datasets: str) -> None:
        """Make the root, at the server, with datasets waiting."""
        root, passage = Root(self.path("server")), self.passage("server")
        locations = [path for name in (READS, WRITES, LAST) for path in root.location(name).directories]
        for path in (root.path, *root.directories, *locations):
            os.mkdir(path)
        for dataset in datasets:
            incoming = Path(passage.reads.incoming, dataset)
            incoming.mkdir()
            (incoming / "x").write_bytes(CONTENT)
            incoming.rename(passage.reads.dataset(dataset))

    def store(
        self, where: str, door: Callable[[FileSystem], FileSystem] = lambda fs: fs, *, stage: str = STAGE
    ) -> Store:
        """Return the store of a process on a client."""
        fs, passage = door(self.engine.door(Posix())), self.passage(where, stage)
        terms = Terms(retry=RetryRule(attempts_max=3, backoff_seconds=()), durability=Durability.NONE)
        store = self.engine.store(fs=fs, clock=SystemClock(), identity=current(), passage=passage, terms=terms)
        store.registers = self.engine.registers(fs)
        store.settlement = self.engine.settlement(fs, passage, terms.durability)
        return store

    def sweep(self, where: str, *datasets: str) -> None:
        """Let a sweeper on a client open some datasets; it takes nobody for dead."""
        self._sweeper(where, STAGE).mend([Target(Place.WAITING, dataset) for dataset in datasets], full=False)

    def survey(self, where: str, stage: str) -> None:
        """Let a sweeper of a stage begin its first pass."""
        self._sweeper(where, stage).survey()

    def _sweeper(self, where: str, stage: str) -> Sweeper:
        store = self.store(where, stage=stage)
        lease = Lease(heartbeat_seconds=30.0, expires_seconds=180.0)
        owners = Owners(fs=store.fs, lease=lease, here=None)
        return self.engine.sweeper(store=store, owners=owners, sightings=Sightings())

    def broken(self, *datasets: str) -> list[str]:
        """Return the promises that are broken, as they look at the server."""
        found = observe(Posix(), self.path("server"), [READS, WRITES, LAST])
        stage = Stage(name=STAGE, reads=READS, writes=WRITES)
        return violations(found, Expectation(stages=(stage,), arrived={READS: datasets}, at_rest=False, durable=False))

    def is_published(self, dataset: str) -> bool:
        """Tell whether the server has the dataset's output."""
        return os.path.isdir(self.passage("server").writes.dataset(dataset))


def write_output(claim: Claim) -> None:
    """Do what an author does, and seal it: one file, and the manifest."""
    out, attempt = Path(claim.private, names.OUTPUT), claim.attempt
    (out / "y").write_bytes(CONTENT)
    facts = {
        "stage": STAGE,
        "token": attempt.token,
        "dataset": attempt.dataset,
        "generation": 1,
        "attempt": attempt.number,
        "inputs": {"files": [{"path": "x", "size": len(CONTENT)}]},
        "outputs": [{"path": "y", "size": len(CONTENT), "sha256": None}],
    }
    (out / names.MANIFEST).write_text(json.dumps(facts))


def take(store: Store, dataset: str) -> Claim:
    """Make the first half of a claim: its register, and no private place yet."""
    identity = current()
    token, path = identity.token(), store.passage.reads.dataset(dataset)
    tag, attempt = names.tag(STAGE, dataset), names.Attempt(dataset, 1, token)
    mine = identity.claims(token)
    assert store.registers.put(f"{path}/{names.taken(tag, 1)}", mine) == mine
    return Claim(
        attempt=attempt,
        tag=tag,
        before=NOTHING_SPENT,
        handle=store.fs.opendir(path),
        input=path,
        private=store.passage.reads.attempt(attempt),
    )


def make_private(claim: Claim) -> None:
    """Make the second half of a claim."""
    for path in (claim.private, f"{claim.private}/{names.OUTPUT}"):
        os.mkdir(path)


def decide(store: Store, claim: Claim) -> None:
    """Commit: decide that it is published, and carry out nothing of it."""
    value = published(claim.attempt.token, claim.before).value
    assert store.registers.put(names.ended(claim.tag, claim.attempt.number), value, claim.handle) == value
