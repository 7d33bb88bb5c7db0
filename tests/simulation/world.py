"""Actors that take turns at the calls of one simulated disk, in an order that somebody else chooses."""

from __future__ import annotations

import random
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

from greenlet import GreenletExit, getcurrent, greenlet

from stages.engine.clock import Clock
from stages.engine.errors import StorageError
from stages.engine.identity import Identity, Process
from stages.engine.records import ADMIN
from tests.simulation.client import Cache, Call, Fault, Lies, SimulatedFileSystem
from tests.simulation.disk import Disk, Node

START_SECONDS: Final = 1_000_000.0
_HASHING_STEPS: Final = 12
_PRIVATE = re.compile(r"/_work/[^/]+\.(\d+)\.([0-9a-f]{8})(/.*)?$")
_BEATS = ("touch", "sync", "mtime_ns", "listdir", "scan")


class Choice(NamedTuple):
    """Who takes the next step, and what happens to it; `detail` is the name that a listing hides."""

    actor: str
    fault: Fault | None = None
    detail: str = ""
    waits: bool = False  # no step: the actor is put off until its attempt is ended (see `reduction`)

    def __str__(self) -> str:
        if self.waits:
            return f"{self.actor}!waits"
        fault = "" if self.fault is None else f"!{self.fault}"
        return f"{self.actor}{fault}{'=' + self.detail if self.detail else ''}"


def schedule_text(choices: list[Choice]) -> str:
    """Write a schedule on one line; equal steps in a row are counted: `P0*3 S P1!crash`."""
    runs: list[tuple[Choice, int]] = []
    for choice in choices:
        if runs and runs[-1][0] == choice:
            runs[-1] = (choice, runs[-1][1] + 1)
        else:
            runs.append((choice, 1))
    return " ".join(str(choice) if times == 1 else f"{choice}*{times}" for choice, times in runs)


def parse_schedule(text: str) -> list[Choice]:
    """Read what `schedule_text` wrote."""
    choices: list[Choice] = []
    for word in text.split():
        step, _, times = word.partition("*")
        who, _, rest = step.partition("!")
        fault, _, detail = rest.partition("=")
        waits = fault == "waits"
        choice = Choice(who, Fault(fault) if fault and not waits else None, detail, waits)
        choices.extend([choice] * int(times or 1))
    return choices


class Budget(NamedTuple):
    """How many faults of each kind may still happen."""

    crashes: int = 0
    lost_replies: int = 0
    no_answers: int = 0
    lies: int = 0
    hidden: int = 0

    def after(self, fault: Fault | None) -> Budget:
        """Return what is left after one more."""
        match fault:
            case None:
                return self
            case Fault.CRASH:
                return self._replace(crashes=self.crashes - 1)
            case Fault.LOST_REPLY:
                return self._replace(lost_replies=self.lost_replies - 1)
            case Fault.LIE:
                return self._replace(lies=self.lies - 1)
            case Fault.HIDE:
                return self._replace(hidden=self.hidden - 1)
            case _:
                return self._replace(no_answers=self.no_answers - 1)


NO_FAULTS: Final = Budget()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the world is like."""

    split: bool = False  # a path's parents are resolved in a step of their own
    fine: bool = False  # trees are removed name by name
    ticking: bool = False  # sleeping moves the time, and so do the steps of an actor that asks for it
    lies: Lies = Lies.NONE
    reduced: bool = True  # see `explorer.reduction`
    errors_at: tuple[str, ...] = ("publish:",)  # registers whose put may go unanswered
    hashing_seconds: float = 0.0  # how long a file is hashed before the engine may beat
    reading_seconds: float = 0.0  # the same of an author who reads
    outage_seconds: float = 0.0  # how long a call of the actor `T` takes: the server is down meanwhile
    skew_seconds: float = 0.0  # what every host's clock is ahead of the one before

    @property
    def is_timed(self) -> bool:
        """Whether anybody can notice a time."""
        return self.ticking or self.lies is Lies.LISTINGS


PLAIN: Final = Rules()


class Step(NamedTuple):
    """What happened, for people."""

    choice: Choice
    call: Call | None
    result: object

    def __str__(self) -> str:
        return f"{self.choice!s:16} {self.call!s:.150}  ->  {self.result!s:.100}"


class Token(NamedTuple):
    """An attempt as its register says: the dataset's directory and the register's name without `taken.`."""

    dataset: Node
    suffix: str


class Actor:
    """A process of the simulated cluster: its own client, clock, identity and random numbers.

    All of its memory follows from what its calls returned, so `history` stands for it in a state.
    """

    def __init__(self, world: World, name: str, body: Callable[[Actor], None], *, cache: Cache | None) -> None:
        self.name, self.world, self.number = name, world, len(world.actors)
        self.split, self.fine = world.rules.split, world.rules.fine
        self.fs = SimulatedFileSystem(world.disk, self, cache or Cache(world.rules.lies))
        self.clock: Clock = SimulatedClock(world, self)
        self.identity = SimulatedIdentity(self.number + 1)
        self.rng = random.Random(0)
        self.call: Call | None = None
        self.history = 0
        self.private: str | None = None  # the token, if the next call stays within an attempt's own place
        self.rushes = self.waits = self.has_marked = self.was_refused = False
        self._fault: Fault | None = None
        self._detail = ""
        self._crashed = False
        self._greenlet = greenlet(lambda: self._live(body), world.main)

    @property
    def is_dead(self) -> bool:
        return bool(self._greenlet.dead)

    def enter(self, call: Call) -> Fault | None:
        """Wait for the next turn."""
        if self._crashed:  # the `finally` of a dead process does nothing
            raise GreenletExit
        self.call, self.private = call, self._private_token(call)
        self.rushes = self.rushes and self.private is not None
        self.world.main.switch()
        self.world.seconds += self._duration(call)
        fault, self._fault = self._fault, None
        return fault

    def leave(self, result: object) -> None:
        """Remember what the call returned."""
        kept = tuple(cast("list[object]", result)) if isinstance(result, list) else result
        self.history = hash((self.history, kept))
        if self.world.trace is not None:
            self.world.trace.append(Step(self.world.choice, self.call, kept))

    def hidden(self) -> str:
        return self._detail

    def _duration(self, call: Call) -> float:
        rules = self.world.rules
        if self.name == "T":
            return rules.outage_seconds
        match call.name:
            case "digest":
                return rules.hashing_seconds
            case "read":
                return rules.reading_seconds
            case _:
                return 0.0

    def hashing(self) -> int:
        return _HASHING_STEPS if self.world.rules.hashing_seconds else 0

    def forget(self, *kept: object) -> None:
        """From here on nothing is remembered but `kept`: equal states are recognised as such."""
        self.history = hash(kept)

    def begin(self) -> None:
        """Run up to the first call."""
        self._greenlet.switch()

    def step(self, fault: Fault | None, detail: str) -> None:
        """Carry out the pending call and run up to the next one."""
        if fault is Fault.CRASH:
            self._crashed = True
            if self.world.trace is not None:
                self.world.trace.append(Step(self.world.choice, self.call, "died"))
            self.kill()
            return
        self._fault, self._detail = fault, detail
        self.was_refused = self.was_refused or fault in (Fault.NO_ANSWER, Fault.NO_ANSWER_DONE)
        self.has_marked = self.has_marked or (self.call is not None and self.call.name == "symlink")
        self._greenlet.switch()

    def kill(self) -> None:
        """End the process where it stands."""
        self._crashed = True
        if not self.is_dead:
            self._greenlet.throw(GreenletExit)
        self.fs.handles.clear()

    def key(self, *, believing: bool) -> object:
        """What of this actor belongs to the state of the world; what it believes, if that still matters."""
        if self.is_dead:
            return self.name
        cache, identity = self.fs.cache, Node.identity
        beliefs: object = None
        if believing:
            beliefs = (
                frozenset((identity(node), name) for node, name in cache.negative),
                frozenset((identity(node), name) for node, name in cache.fresh),
                frozenset((identity(node), mtime, tuple(kept)) for node, (mtime, kept) in cache.listings.items()),
            )
        handles = frozenset((number, identity(node)) for number, node in self.fs.handles.items())
        held = tuple(map(identity, self.fs.held))
        flags = (self.rushes, self.waits, self.has_marked, self.was_refused, self.identity.issued)
        return self.name, self.history, handles, held, beliefs, flags

    def _live(self, body: Callable[[Actor], None]) -> None:
        try:
            body(self)
        except StorageError as error:
            if not self.was_refused:
                self.world.findings.append(f"{self.name} blames a storage that did nothing wrong: {error}")
        except Exception as error:  # noqa: BLE001 - any other error of an actor is a finding
            self.world.findings.append(f"{self.name}: {error!r}\n{traceback.format_exc(limit=-4)}")

    def _private_token(self, call: Call) -> str | None:
        """The token of an attempt of this actor's, if the call touches nothing but its place and its input."""
        place = call.args[0]
        if not self.world.rules.reduced or call.name == "symlink" or not isinstance(place, str):
            return None
        if call.name in ("rename", "look up"):
            tokens = {self._own_place(str(path), call.name) for path in call.args}
            return tokens.pop() if len(tokens) == 1 else None
        if call.name in ("opendir", "scan", "read", "digest"):
            token = self.identity.latest
            if self.world.is_input(place, token):
                return token
        return self._own_place(place, call.name)

    def _own_place(self, path: str, call: str) -> str | None:
        found = _PRIVATE.search(path) if "/_work/" in path else None
        if found is None or not self.identity.is_mine(found[2]):
            return None
        return found[2] if found[3] or call in _BEATS else None


class World:
    """A disk, its actors, and the time.

    `findings` are errors that no actor should have raised. `trace` is kept when it is a list.
    """

    def __init__(self, rules: Rules, *, traced: bool = False) -> None:
        self.rules = rules
        self.main = getcurrent()
        self.seconds = START_SECONDS
        self.disk = Disk(self._time_ns)
        self.actors: dict[str, Actor] = {}
        self.findings: list[str] = []
        self.trace: list[Step] | None = [] if traced else None
        self.choice = Choice("")
        self.memory = 0  # what a witness remembers of the past
        self.moved: Callable[[Node, Node], None] = lambda node, left: None
        self._tokens: dict[str, Token] = {}
        self._quarantined: set[Node] = set()
        self.disk.created, self.disk.moved = self._created, self._moved

    def spawn(self, name: str, body: Callable[[Actor], None], *, cache: Cache | None = None) -> None:
        """Start an actor; it stands before its first call."""
        self.actors[name] = actor = Actor(self, name, body, cache=cache)
        actor.begin()

    def live(self) -> list[Actor]:
        """Actors that have a step to take."""
        return [actor for actor in self.actors.values() if not actor.is_dead]

    def step(self, choice: Choice) -> None:
        """Take a step."""
        actor, self.choice = self.actors[choice.actor], choice
        if choice.waits:
            actor.waits = True
            return
        if actor.private is not None and not self.is_ended(actor.private):
            actor.rushes = True
        actor.waits = False
        actor.step(choice.fault, choice.detail)

    def register_of(self, token: str, kind: str) -> Node | None:
        """Return the register `taken` or `ended` of the attempt with this token, if there is one."""
        attempt = self._tokens.get(token)
        return None if attempt is None else attempt.dataset.entries.get(f"{kind}.{attempt.suffix}")

    def is_ended(self, token: str) -> bool:
        """Tell whether the end of the attempt with this token is decided."""
        attempt = self._tokens.get(token)
        return attempt is None or f"ended.{attempt.suffix}" in attempt.dataset.entries

    def key(self, *, believing: bool) -> int:
        """A hash of the whole state."""
        time = self.seconds if self.rules.ticking else 0
        actors = tuple(actor.key(believing=believing) for actor in self.actors.values())
        return hash((self.disk.root.key(), time, self.memory, actors))

    def is_input(self, path: str, token: str) -> bool:
        """Tell whether a path leads into the dataset of an attempt, which stays where it is until that ends.

        It may not where it was quarantined before: whoever settles that may be late.
        """
        attempt = self._tokens.get(token)
        if attempt is None or attempt.dataset in self._quarantined:
            return False
        return f"{path}/".startswith(f"{attempt.dataset.path}/")

    def end(self) -> None:
        """Let go of all actors."""
        for actor in self.actors.values():
            actor.kill()

    def _time_ns(self) -> int:
        return int(self.seconds * 1e9)

    def _created(self, node: Node) -> None:
        parent = node.parent
        if parent is None:
            return
        if node.name.startswith("taken."):
            token = node.content.decode().split(":", 1)[0]
            if token != ADMIN:
                self._tokens[token] = Token(parent, node.name.removeprefix("taken."))
        elif node.content.startswith(b"quarantine:"):
            self._quarantined.add(parent)
        self._tell_others(node, parent)

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


class SimulatedClock:
    """Time that stands still, unless the world ticks; what is read from it is remembered."""

    def __init__(self, world: World, actor: Actor | None = None) -> None:
        self._world, self._actor = world, actor
        self._ahead_seconds = 0.0 if actor is None else actor.number * world.rules.skew_seconds

    def now(self) -> float:
        return self._read() + self._ahead_seconds

    def monotonic(self) -> float:
        return self._read() + self._ahead_seconds

    def sleep(self, seconds: float) -> None:
        if self._world.rules.ticking:
            self._world.seconds += seconds

    def _read(self) -> float:
        if self._actor is not None and self._world.rules.ticking:
            self._actor.history = hash((self._actor.history, self._world.seconds))
        return self._world.seconds


class SimulatedIdentity(Identity):
    """Tokens that tell who issued them, and are the same in every repetition."""

    def __init__(self, number: int) -> None:
        process = Process(boot_id=f"boot{number}", pid_namespace="-", pid=number, started_ticks=0)
        super().__init__(host=f"node{number}", process=process)
        self.number, self.issued = number, 0

    def token(self) -> str:
        self.issued += 1
        return self.latest

    @property
    def latest(self) -> str:
        """The token issued last."""
        return f"{self.number:04x}{self.issued:04x}"

    def is_mine(self, token: str) -> bool:
        """Tell whether an attempt was opened by this process."""
        return token.startswith(f"{self.number:04x}")
