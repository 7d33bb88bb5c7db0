"""One stage of a simulated pipeline: its root, its actors (the engine's own poller and sweeper), its judge."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from stages.engine import names
from stages.engine.clock import Clock
from stages.engine.drain import Drain
from stages.engine.durability import Durability
from stages.engine.fs import FileSystem, Kind
from stages.engine.identity import Identity
from stages.engine.layout import Passage, Root
from stages.engine.names import Attempt
from stages.engine.owner import Owners, Silence
from stages.engine.policy import Cause, RetryRule
from stages.engine.poller import Poller, Turn
from stages.engine.publication import Terms
from stages.engine.records import Taken
from stages.engine.registers import Registers
from stages.engine.settlement import Settlement
from stages.engine.sightings import Freshness, Lease, Sightings
from stages.engine.store import Store
from stages.engine.store import Terms as StoreTerms
from stages.engine.sweeper import Sweeper
from stages.engine.vigil import Limits
from stages.engine.work.order import Log, Order, Watch, unwatched
from stages.engine.work.outcome import PUBLISHED, Outcome
from tests.invariants import Event, EventKind, Expectation, Observation, Stage, observe, violations
from tests.simulation.client import Cache, SimulatedFileSystem
from tests.simulation.disk import Disk, Node, walk
from tests.simulation.memory import summarise_poller, summarise_sweeper
from tests.simulation.world import START_SECONDS, Actor, SimulatedClock, SimulatedIdentity, World

ROOT: Final = Root("/r")
STAGE: Final = "phase4"
READS: Final = ROOT.location("PHASE_4")
WRITES: Final = ROOT.location("PHASE_5")
DRAIN_ROUNDS: Final = 14
DRAIN_SECONDS: Final = 86_400.0

_DRAIN = Drain()  # nobody asks: an actor is stopped by its script


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The classes of the engine that are put together; a mutant has others."""

    poller: type[Poller] = Poller
    sweeper: type[Sweeper] = Sweeper
    store: type[Store] = Store
    settlement: type[Settlement] = Settlement
    registers: type[Registers] = Registers


class ScriptedWork:
    """An author's code that writes two files, its token in each, and then says what the script says."""

    def __init__(self, fs: FileSystem, outcomes: Iterable[Outcome] = ()) -> None:
        self._fs, self._outcomes = fs, iter(outcomes)

    def prepare(self, watch: Watch = unwatched) -> None:
        return

    def run(self, order: Order, watch: Watch, log: Log) -> Outcome:
        self._fs.write_new(f"{order.output}/result", order.token.encode())
        return next(self._outcomes, PUBLISHED)

    def close(self) -> None:
        return


class AnyTime(Owners):
    """Takes every owner for dead, at once: whatever a lease would allow can happen, and more."""

    def __init__(self, cause: Cause = Cause.LOST) -> None:
        self._cause = cause

    def silence(
        self, sightings: Sightings, attempt: Attempt, private: str, owner: Taken, monotonic: Callable[[], float]
    ) -> Silence | Freshness:
        return Silence(cause=self._cause, why="lost: simulated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A stage and what waits for it.

    `consumed`: the next stage takes every output at once. `lease` None: owners are taken for dead at any
    time. `may_fail`: the datasets that may end in quarantine. `undisturbed`: every first attempt
    succeeds. `one_client`: what is left is drained on a client that believes all that it ever saw.
    """

    datasets: tuple[str, ...] = ("ds",)
    retry: RetryRule = RetryRule(attempts_max=3, backoff_seconds=())
    durability: Durability = Durability.FULL
    consumed: bool = True
    lease: Lease | None = None
    may_fail: frozenset[str] = frozenset()
    undisturbed: bool = False
    one_client: bool = False


class Pipeline:
    """A simulated root with one stage; `arrived` and `events` tell what happened to it."""

    def __init__(self, world: World, setting: Setting, engine: Engine) -> None:
        self.world, self.setting, self.engine = world, setting, engine
        self.arrived: list[str] = []
        self.events: list[Event] = []
        self.cache = Cache(world.rules.lies) if setting.one_client else None
        world.disk.root = _empty_root().copied()
        for dataset in setting.datasets:
            self.add(SimulatedFileSystem(world.disk), dataset)
        top = world.disk.root.entries["r"].entries
        self._published_to, self._archived_to = top["PHASE_5"], top["PHASE_4"].entries["_done"]
        world.moved = self._witness

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

    def poller(self, turns: int = 1, outcomes: Iterable[Outcome] = (), *, warm: bool = False) -> Callable[[Actor], None]:
        """An actor that takes turns; a new process each time, unless it is `warm`."""
        script = list(outcomes)

        def body(actor: Actor) -> None:
            poller = self._poller_of(actor, script)
            for turn in range(turns):
                if turn and not warm:
                    actor.forget("turn", turn)
                    poller = self._poller_of(actor, script[turn:])
                poller.turn()

        return body

    def sweeper(self, sweeps: int = 2, cause: Cause = Cause.LOST, *, warm: bool = False) -> Callable[[Actor], None]:
        """An actor that makes full passes."""

        def body(actor: Actor) -> None:
            sweeper = self._sweeper_of(actor, cause)
            for sweep in range(sweeps):
                if sweep and not warm:
                    actor.forget("sweep", sweep)
                    sweeper = self._sweeper_of(actor, cause)
                sweeper.sweep(full=True)

        return body

    def _poller_of(self, actor: Actor, script: list[Outcome]) -> Poller:
        store = self.make_store(actor.fs, actor.clock, actor.identity)
        poller = self.make_poller(store, actor.rng, script)
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

    def make_store(self, fs: FileSystem, clock: Clock, identity: Identity) -> Store:
        """The engine's store of the stage, on this file system."""
        passage = Passage(stage=STAGE, reads=READS, writes=WRITES)
        terms = StoreTerms(retry=self.setting.retry, durability=self.setting.durability)
        store = self.engine.store(fs=fs, clock=clock, identity=identity, passage=passage, terms=terms)
        store.registers = self.engine.registers(fs)
        store.settlement = self.engine.settlement(fs, passage, self.setting.durability)
        return store

    def make_poller(self, store: Store, rng: random.Random, outcomes: Iterable[Outcome] = ()) -> Poller:
        """The engine's poller, its author's work scripted."""
        terms = Terms() if self.setting.lease is None else _terms(self.setting.lease)
        return self.engine.poller(
            store=store,
            work=ScriptedWork(store.fs, outcomes),
            terms=terms,
            limits=Limits(until_idle=True),
            drain=_DRAIN,
            rng=rng,
        )

    def make_sweeper(self, store: Store, cause: Cause = Cause.LOST) -> Sweeper:
        """The engine's sweeper."""
        owners = AnyTime(cause) if self.setting.lease is None else Owners(fs=store.fs, lease=self.setting.lease, here=None)
        return self.engine.sweeper(store=store, owners=owners, sightings=Sightings())

    # ---- the end

    def judge(self) -> list[str]:
        """Let a fair poller and a fair sweeper do the rest alone, then say what is broken."""
        world, fs = self.world, SimulatedFileSystem(self.world.disk, cache=self.cache)
        clock = SimulatedClock(world)
        sweeper = self.make_sweeper(self.make_store(fs, clock, SimulatedIdentity(0xFFFF)))
        poller = self.make_poller(self.make_store(fs, clock, SimulatedIdentity(0xFFFE)), random.Random(0))
        for _ in range(DRAIN_ROUNDS):
            sweeper.sweep(full=True)
            while poller.turn() is Turn.WORKED:
                pass
            sweeper.sweep(full=True)
            if not self._is_anything_left():
                break
            world.seconds += DRAIN_SECONDS
        found = observe(SimulatedFileSystem(world.disk), ROOT.path, ("PHASE_4", "PHASE_5"), tuple(self.events))
        return violations(found, self.expectation()) + self._disturbed(found)

    def _disturbed(self, found: Observation) -> list[str]:
        if not self.setting.undisturbed:
            return []
        again = [f"{d.path}: {d.registers}" for d in found.datasets if names.taken(STAGE, 2) in d.registers]
        return [f"I5 revoked although its owner was alive and said so: {one}" for one in again]

    def expectation(self) -> Expectation:
        """What is to be found when all is at rest."""
        stage = Stage(name=STAGE, reads="PHASE_4", writes="PHASE_5", attempts_max=self.setting.retry.attempts_max)
        return Expectation(
            stages=(stage,),
            arrived={"PHASE_4": self.arrived},
            may_fail=self.setting.may_fail,
            durable=self.setting.durability is Durability.FULL,
        )

    def _is_anything_left(self) -> bool:
        top = self.world.disk.root.entries["r"].entries["PHASE_4"]
        return bool(top.entries["_work"].entries) or any(not name.startswith("_") for name in top.entries)

    # ---- the witness

    def _witness(self, node: Node, left: Node) -> None:
        if node.parent is self._published_to and node.is_directory and left is not self._published_to:
            self._note(EventKind.PUBLISHED, node, _manifest_token(node), self._is_durable(node))
            if self.setting.consumed:
                self._consume(node)
        elif node.parent is self._archived_to:
            dataset, _, token = node.name.partition("~")
            durable = dataset not in self._published_to.unsynced
            self._note(EventKind.ARCHIVED, node, token, durable)

    def _note(self, kind: EventKind, node: Node, token: str, durable: bool) -> None:
        self.events.append(Event(kind, node.path, node.name.partition("~")[0], token, durable))
        self.world.memory = hash((self.world.memory, self.events[-1]))

    def _is_durable(self, tree: Node) -> bool:
        """Whether the output and the decision to publish it would survive a loss of power."""
        whole = all(node.synced and not node.unsynced for _, node in walk(tree)) and not tree.unsynced
        decided = self.world.register_of(_manifest_token(tree), "ended")
        return whole and decided is not None and decided.name not in (decided.parent or decided).unsynced

    def _consume(self, node: Node) -> None:
        """What the next stage does in the end, at once: so that nothing is ever in the way of a second output."""
        name, done = node.name, self._published_to.entries["_done"]
        self.world.disk.move(self._published_to, name, done, f"{name}~{len(done.entries):08x}")
        self._published_to.unsynced |= {name}  # it was not synced for having been taken away


@cache
def _empty_root() -> Node:
    disk = Disk(lambda: int(START_SECONDS * 1e9))
    fs = SimulatedFileSystem(disk)
    for path in (ROOT.path, *ROOT.directories, *READS.directories, *WRITES.directories):
        fs.mkdir(path)
    return disk.root


def _manifest_token(tree: Node) -> str:
    manifest = tree.entries.get("manifest.json")
    return "" if manifest is None or manifest.kind is not Kind.FILE else str(json.loads(manifest.content)["token"])


def _terms(lease: Lease) -> Terms:
    return Terms(heartbeat_seconds=lease.heartbeat_seconds, expires_seconds=lease.expires_seconds)
