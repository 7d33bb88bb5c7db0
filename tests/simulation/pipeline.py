"""One stage of a simulated pipeline: its root, its actors (the engine's own poller and sweeper), its judge."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final

from stages.engine import names
from stages.engine.clock import Clock
from stages.engine.drain import Drain
from stages.engine.durability import Durability
from stages.engine.fs import FileSystem
from stages.engine.identity import Identity
from stages.engine.layout import Passage, Root
from stages.engine.names import Attempt
from stages.engine.owner import Owners, Silence
from stages.engine.policy import Cause
from stages.engine.poller import Poller, Turn
from stages.engine.publication import Terms
from stages.engine.records import Taken
from stages.engine.settlement import Settled
from stages.engine.sightings import Freshness, Lease, Sightings
from stages.engine.store import Claim, Store
from stages.engine.store import Terms as StoreTerms
from stages.engine.sweeper import Sweeper
from stages.engine.vigil import Limits
from tests.invariants import Expectation, Observation, Stage, observe, violations
from tests.simulation.beliefs import Cache
from tests.simulation.client import SimulatedFileSystem
from tests.simulation.disk import Disk, Node
from tests.simulation.memory import summarise_poller, summarise_sweeper
from tests.simulation.process import SimulatedClock, SimulatedIdentity, Time
from tests.simulation.script import Part, ScriptedWork
from tests.simulation.setting import Engine, Setting
from tests.simulation.witness import Witness
from tests.simulation.world import Actor, World

ROOT: Final = Root("/r")
STAGE: Final = "phase4"
READS: Final = ROOT.location("PHASE_4")
WRITES: Final = ROOT.location("PHASE_5")
PASSAGE: Final = Passage(stage=STAGE, reads=READS, writes=WRITES)
ONWARD: Final = Passage(stage="phase5", reads=WRITES, writes=ROOT.location("PHASE_6"))
DEAD: Final = "dead0000"  # the token of an owner that died before the world began
DRAIN_ROUNDS: Final = 14
ONWARD_SWEEPS: Final = 2  # what I5 allows
TURNS_MAX: Final = 4  # more than a round can need
DRAIN_SECONDS: Final = 86_400.0

_DRAIN = Drain()  # nobody asks: an actor is stopped by its script


class AnyTime(Owners):
    """Takes every owner for dead, at once: whatever a lease would allow can happen, and more."""

    def __init__(self, cause: Cause, *, only: str | None) -> None:
        self._cause, self._only = cause, only

    def silence(
        self, sightings: Sightings, attempt: Attempt, private: str, owner: Taken, monotonic: Callable[[], float]
    ) -> Silence | Freshness:
        if self._only not in (None, owner.token):
            return Freshness.FRESH
        return Silence(cause=self._cause, why="lost: simulated")


class Pipeline:
    """A simulated root with one stage; `arrived` tells what was put there."""

    def __init__(self, world: World, setting: Setting, engine: Engine) -> None:
        self.world, self.setting, self.engine = world, setting, engine
        self.arrived: list[str] = []
        self.cache = Cache(world.rules.lies) if setting.one_client else None
        world.disk.root = _empty_root().copied()
        fs = SimulatedFileSystem(world.disk)
        for dataset in setting.datasets:
            self.add(fs, dataset)
        if setting.dead_owner:
            fs.symlink(f"{DEAD}:node0:1:-", f"{READS.dataset('ds')}/{names.taken(STAGE, 1)}")
            fs.mkdir(f"{READS.work}/ds.1.{DEAD}")
        for path in ONWARD.writes.directories if setting.onward else ():
            fs.mkdir(path)
        if setting.occupied:
            fs.mkdir(WRITES.dataset("ds"))
            fs.write_new(f"{WRITES.dataset('ds')}/x", b"an older result")
        if setting.second_given_out:
            fs.symlink("phase5:00000000:somebody", ROOT.name("ds+g2"))
            fs.mkdir(WRITES.dataset("ds+g2"))
            fs.write_new(f"{WRITES.dataset('ds+g2')}/x", b"an older result")
        self._witness = Witness(world, consumed=setting.consumed and not setting.occupied and not setting.onward)

    def add(self, fs: FileSystem, dataset: str) -> None:
        """Put a dataset in place, as ARRIVE a) does."""
        self.arrived.append(dataset)
        fs.mkdir(f"{READS.incoming}/{dataset}")
        fs.write_new(f"{READS.incoming}/{dataset}/x", b"data")
        fs.rename(f"{READS.incoming}/{dataset}", READS.dataset(dataset))

    # ---- actors

    def spawn(self, name: str, body: Callable[[Actor], None]) -> None:
        """Start an actor; all are processes of one client where the setting says so."""
        self.world.spawn(name, body, cache=self.cache)

    def poller(
        self, turns: int = 1, parts: Iterable[Part] = (), *, warm: bool = False, passage: Passage = PASSAGE
    ) -> Callable[[Actor], None]:
        """An actor that takes turns; a new process each time, unless it is `warm`."""
        script = list(parts)

        def body(actor: Actor) -> None:
            poller = self._poller_of(actor, script, passage)
            for turn in range(turns):
                if turn and not warm:
                    actor.forget("turn", turn)
                    poller = self._poller_of(actor, script[turn:], passage)
                poller.turn()

        return body

    def sweeper(self, sweeps: int = 1, cause: Cause = Cause.LOST, *, warm: bool = False) -> Callable[[Actor], None]:
        """An actor that makes full passes."""

        def body(actor: Actor) -> None:
            sweeper = self._sweeper_of(actor, cause)
            for sweep in range(sweeps):
                if sweep and not warm:
                    actor.forget("sweep", sweep)
                    sweeper = self._sweeper_of(actor, cause)
                sweeper.sweep(full=True)

        return body

    def _poller_of(self, actor: Actor, parts: list[Part], passage: Passage = PASSAGE) -> Poller:
        store = self.make_store(actor.fs, actor.clock, actor.identity, passage)
        poller = self.make_poller(store, actor.rng, parts)
        if self.setting.undisturbed:
            _watch_over(actor, store)
        if self._is_forgetful:
            summarise_poller(actor, poller, store)
        return poller

    def _sweeper_of(self, actor: Actor, cause: Cause) -> Sweeper:
        store = self.make_store(actor.fs, actor.clock, actor.identity)
        sweeper = self.make_sweeper(store, cause)
        if self._is_forgetful:
            summarise_sweeper(actor, sweeper, store)
        return sweeper

    @property
    def _is_forgetful(self) -> bool:
        return self.world.rules.reduced and self.setting.lease is None

    def make_store(self, fs: FileSystem, clock: Clock, identity: Identity, passage: Passage = PASSAGE) -> Store:
        """The engine's store of a stage, on this file system."""
        setting, engine, fs = self.setting, self.engine, self.engine.door(fs)
        terms = StoreTerms(retry=setting.retry, durability=setting.durability, ready_marker=setting.ready_marker)
        store = engine.store(fs=fs, clock=clock, identity=identity, passage=passage, terms=terms)
        store.registers = engine.registers(fs)
        store.settlement = engine.settlement(fs, passage, setting.durability)
        return store

    def make_poller(self, store: Store, rng: random.Random, parts: Iterable[Part] = ()) -> Poller:
        """The engine's poller, its author's work scripted."""
        lease = self.setting.lease
        terms = Terms() if lease is None else _terms(lease)
        return self.engine.poller(
            store=store,
            work=ScriptedWork(store.fs, parts, self.setting.rest),
            terms=terms,
            limits=Limits(until_idle=True),
            drain=_DRAIN,
            rng=rng,
        )

    def make_sweeper(self, store: Store, cause: Cause = Cause.LOST, *, final: bool = False) -> Sweeper:
        """The engine's sweeper; in the end there is nobody left but the dead."""
        lease = None if final else self.setting.lease
        if lease is None:
            owners: Owners = AnyTime(cause, only=DEAD if self.setting.dead_owner and not final else None)
        else:
            owners = self.engine.owners(fs=store.fs, lease=lease, here=None)
        return self.engine.sweeper(store=store, owners=owners, sightings=Sightings())

    # ---- the end

    def judge(self) -> list[str]:
        """Let a fair poller and a fair sweeper do the rest alone, then say what is broken."""
        self._finish(PASSAGE, DRAIN_ROUNDS)
        locations = ["PHASE_4", "PHASE_5"]
        if self.setting.onward:
            self._finish(ONWARD, ONWARD_SWEEPS)
            locations.append("PHASE_6")
        events = tuple(self._witness.events)
        found = observe(SimulatedFileSystem(self.world.disk), ROOT.path, locations, events)
        return violations(found, self.expectation()) + self._disturbed(found) + self._overcharged(found)

    def _finish(self, passage: Passage, rounds: int) -> None:
        world, fs = self.world, SimulatedFileSystem(self.world.disk, cache=self.cache)
        clock = SimulatedClock(world.time)
        sweeper = self.make_sweeper(self.make_store(fs, clock, SimulatedIdentity(0xFFFF), passage), final=True)
        poller = self.make_poller(self.make_store(fs, clock, SimulatedIdentity(0xFFFE), passage), random.Random(0))
        for number in range(rounds):
            if number:
                world.time.seconds += DRAIN_SECONDS
            sweeper.sweep(full=True)
            for _ in range(TURNS_MAX):
                if poller.turn() is Turn.NOTHING:
                    break
            if passage is PASSAGE:
                sweeper.sweep(full=True)
            if not self._is_anything_left(passage):
                break

    def _overcharged(self, found: Observation) -> list[str]:
        """Count the failures that were charged, those before an operator's pardon too."""
        if self.setting.failures is None:
            return []
        lines: list[str] = []
        for dataset in found.datasets:
            values = [value for name, value in dataset.registers.items() if name.startswith("ended.")]
            why = [value for value in values if "failed: " in value or value.endswith(":boom")]
            if len(why) > self.setting.failures:
                lines.append(f"I6 {dataset.path}: more failures are charged than there were: {why}")
        return lines

    def _disturbed(self, found: Observation) -> list[str]:
        first = 2 if self.setting.dead_owner else 1
        more = [d for d in found.datasets if names.taken(STAGE, first + 1) in d.registers]
        return [f"I5 {d.path}: tried again although nobody died" for d in more if self.setting.undisturbed]

    def expectation(self) -> Expectation:
        """What is to be found when all is at rest."""
        setting = self.setting
        older = ["ds"] if setting.occupied or setting.second_given_out else []
        stage = Stage(name=STAGE, reads="PHASE_4", writes="PHASE_5", attempts_max=setting.retry.attempts_max)
        onward = Stage(name=ONWARD.stage, reads="PHASE_5", writes="PHASE_6", attempts_max=setting.retry.attempts_max)
        return Expectation(
            stages=(stage, onward) if setting.onward else (stage,),
            arrived={"PHASE_4": self.arrived, "PHASE_5": older},
            may_fail=setting.may_fail | setting.must_fail,
            must_fail=setting.must_fail,
            may_block=setting.occupied,
            durable=setting.durability is Durability.FULL,
        )

    def unclaimed(self) -> set[str]:
        """What waits in truth, and was never claimed."""
        waiting = self.world.disk.root.entries["r"].entries["PHASE_4"].entries
        first = names.taken(STAGE, 1)
        return {name for name, node in waiting.items() if not name.startswith("_") and first not in node.entries}

    def _is_anything_left(self, passage: Passage) -> bool:
        top = self.world.disk.root.entries["r"].entries[passage.reads.path.rpartition("/")[2]]
        return bool(top.entries["_work"].entries) or any(not name.startswith("_") for name in top.entries)


def _watch_over(actor: Actor, store: Store) -> None:
    """Take it amiss if an attempt of this actor, who lives, is ended by somebody else."""
    commit, abandon = store.commit, store.abandon

    def watched_commit(claim: Claim) -> Settled | None:
        settled = commit(claim)
        if settled is None:
            actor.world.findings.append(f"I5 {actor.name}: fenced although it lives: {claim.attempt}")
        return settled

    def watched_abandon(claim: Claim) -> None:
        actor.world.findings.append(f"I5 {actor.name}: revoked although it lives: {claim.attempt}")
        abandon(claim)

    store.commit, store.abandon = watched_commit, watched_abandon


def _terms(lease: Lease) -> Terms:
    return Terms(heartbeat_seconds=lease.heartbeat_seconds, expires_seconds=lease.expires_seconds)


@cache
def _empty_root() -> Node:
    disk = Disk(Time(ticking=False).ns)
    fs = SimulatedFileSystem(disk)
    for path in (ROOT.path, *ROOT.directories, *READS.directories, *WRITES.directories):
        fs.mkdir(path)
    return disk.root
