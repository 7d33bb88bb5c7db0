"""Actors that take turns at the calls of one simulated disk, in an order that somebody else chooses."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from typing import Final, NamedTuple, cast

from greenlet import GreenletExit, getcurrent, greenlet

from stages.engine.clock import Clock
from stages.engine.errors import StorageError
from tests.simulation.attempts import Attempts
from tests.simulation.beliefs import Cache, Lies
from tests.simulation.calls import Call, Fault
from tests.simulation.client import SimulatedFileSystem
from tests.simulation.disk import Disk, Node
from tests.simulation.process import SimulatedClock, SimulatedIdentity, Time
from tests.simulation.rules import Rules
from tests.simulation.schedule import Choice

_HASHING_STEPS: Final = 12
_UNCONTAINED: Final = "its processes could not be stopped"  # the other reason for a poller to end like this


class Step(NamedTuple):
    """What happened, for people."""

    choice: Choice
    call: Call | None
    result: object

    def __str__(self) -> str:
        return f"{self.choice!s:16} {self.call!s:.150}  ->  {self.result!s:.100}"


class Actor:
    """A process of the simulated cluster: its own client, clock, identity and random numbers.

    All of its memory follows from what its calls returned, so `history` stands for it in a state.
    `private` is the token of its attempt if the next call touches nothing but that attempt's place and
    input; what `rushes` and `waits` mean is said in `reduction`.
    """

    def __init__(self, world: World, name: str, body: Callable[[Actor], None], *, cache: Cache | None) -> None:
        self.name, self.world = name, world
        self.split, self.fine = world.rules.split, world.rules.fine
        self.fs = SimulatedFileSystem(world.disk, self, cache or Cache(world.rules.lies))
        number = len(world.actors)
        ahead_seconds = number * world.rules.skew_seconds
        self.clock: Clock = SimulatedClock(world.time, self.remember, ahead_seconds=ahead_seconds)
        self.identity = SimulatedIdentity(number + 1)
        self.rng = random.Random(0)
        self.call: Call | None = None
        self.history = 0
        self.private: str | None = None
        self.rushes = self.waits = self.has_marked = self.was_refused = False
        self._fault: Fault | None = None
        self._hidden = ""
        self._crashed = False
        self._greenlet = greenlet(lambda: self._live(body), world.main)

    @property
    def is_dead(self) -> bool:
        return bool(self._greenlet.dead)

    # ---- as a gate

    def enter(self, call: Call) -> Fault | None:
        """Wait for the next turn."""
        if self._crashed:  # the `finally` of a dead process does nothing
            raise GreenletExit
        self.call = call
        self.private = self.world.attempts.whose(call, self.identity) if self.world.rules.reduced else None
        self.rushes = self.rushes and self.private is not None
        self.world.main.switch()
        self.world.time.seconds += self.world.rules.seconds(self.name, call)
        fault, self._fault = self._fault, None
        return fault

    def leave(self, result: object) -> None:
        """Remember what the call returned."""
        kept = tuple(cast("list[object]", result)) if isinstance(result, list) else result
        self.remember(kept)
        if self.world.trace is not None:
            self.world.trace.append(Step(self.world.choice, self.call, kept))

    def hidden(self) -> str:
        return self._hidden

    def hashing(self) -> int:
        return _HASHING_STEPS if self.world.rules.hashing_seconds else 0

    # ---- as a process

    def remember(self, fact: object) -> None:
        """Add to what is known."""
        self.history = hash((self.history, fact))

    def forget(self, *kept: object) -> None:
        """From here on nothing is remembered but `kept`: equal states are recognised as such."""
        self.history = hash(kept)

    def begin(self) -> None:
        """Run up to the first call."""
        self._greenlet.switch()

    def step(self, choice: Choice) -> None:
        """Carry out the pending call and run up to the next one."""
        if choice.fault is Fault.CRASH:
            if self.world.trace is not None:
                self.world.trace.append(Step(choice, self.call, "died"))
            self.kill()
            return
        self._fault, self._hidden = choice.fault, choice.detail
        self.was_refused = self.was_refused or choice.fault in (Fault.NO_ANSWER, Fault.NO_ANSWER_DONE)
        self.has_marked = self.has_marked or (self.call is not None and self.call.name == "symlink")
        self._greenlet.switch()

    def kill(self) -> None:
        """End the process where it stands."""
        self._crashed = True
        if not self.is_dead:
            self._greenlet.throw(GreenletExit)
        self.fs.handles.clear()

    def key(self, *, lying: bool, hiding: bool) -> object:
        """What of this actor belongs to the state of the world; what it believes, as far as that still matters."""
        if self.is_dead:
            return self.name
        handles = frozenset((number, node.identity()) for number, node in self.fs.handles.items())
        held = tuple(node.identity() for node in self.fs.held)
        flags = (self.rushes, self.waits, self.has_marked, self.was_refused, self.identity.issued)
        believed = self.fs.cache.key(lying=lying, hiding=hiding)
        return self.name, self.history, handles, held, believed, flags

    def _live(self, body: Callable[[Actor], None]) -> None:
        try:
            body(self)
        except StorageError as error:
            if not self.was_refused and _UNCONTAINED not in str(error):
                self.world.findings.append(f"{self.name} blames a storage that did nothing wrong: {error}")
        except Exception as error:  # noqa: BLE001 - any other error of an actor is a finding
            self.world.findings.append(f"{self.name}: {error!r}\n{traceback.format_exc(limit=-4)}")


class World:
    """A disk, its actors, and the time.

    `findings` are what no actor should have done; `memory` is what a witness remembers of the past, who
    may be told of renames through `moved`. `trace` is kept when it is a list.
    """

    def __init__(self, rules: Rules, *, traced: bool = False) -> None:
        self.rules = rules
        self.main = getcurrent()
        self.time = Time(ticking=rules.ticking)
        self.disk = Disk(self.time.ns)
        self.actors: dict[str, Actor] = {}
        self.attempts = Attempts()
        self.findings: list[str] = []
        self.memory = 0
        self.moved: Callable[[Node, Node], None] = lambda node, left: None
        self.trace: list[Step] | None = [] if traced else None
        self.choice = Choice("")
        self.disk.created, self.disk.moved = self._created, self._moved

    def spawn(self, name: str, body: Callable[[Actor], None], *, cache: Cache | None = None) -> None:
        """Start an actor; it stands before its first call."""
        self.actors[name] = actor = Actor(self, name, body, cache=cache)
        actor.begin()

    def live(self) -> list[Actor]:
        """Actors that have a step to take."""
        return [actor for actor in self.actors.values() if not actor.is_dead]

    def step(self, choice: Choice) -> None:
        """Take a step, or put an actor off."""
        actor, self.choice = self.actors[choice.actor], choice
        actor.waits = choice.waits
        if choice.waits:
            return
        actor.rushes = actor.rushes or self.is_at_home(actor)
        actor.step(choice)

    def is_at_home(self, actor: Actor) -> bool:
        """Tell whether an actor's next call touches nothing but an attempt of its own that is not ended yet."""
        return actor.private is not None and self.attempts.is_open(actor.private)

    def key(self, *, lying: bool = False, hiding: bool = False) -> int:
        """A hash of the whole state, as far as it matters: whether clients may still lie, or listings hide a name."""
        seconds = self.time.seconds if self.rules.ticking else 0
        actors = tuple(actor.key(lying=lying, hiding=hiding) for actor in self.actors.values())
        return hash((self.disk.root.key(), seconds, self.memory, actors))

    def end(self) -> None:
        """Let go of all actors."""
        for actor in self.actors.values():
            actor.kill()

    def _created(self, node: Node) -> None:
        if node.parent is not None:
            self.attempts.note(node, node.parent)
            self._tell_others(node, node.parent)

    def _moved(self, node: Node, left: Node) -> None:
        if node.parent is not None:
            self._tell_others(node, node.parent)
        self.moved(node, left)

    def _tell_others(self, node: Node, parent: Node) -> None:
        if self.rules.lies is Lies.NONE:
            return
        for actor in self.actors.values():
            if actor.name != self.choice.actor and not actor.is_dead:
                actor.fs.cache.others_made(parent, node.name)
