"""Looks for an order of calls that breaks a promise: all orders, or orders drawn by a seed.

Exhaustive: a depth-first search that builds the world anew for every branch (greenlets cannot be
copied) and does not go on where it has been: a state is the disk, what every actor has been told since
it last forgot, and the faults that are left.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.simulation.client import Call, Fault
from tests.simulation.world import NO_FAULTS, Actor, Budget, Choice, Rules, Step, World, schedule_text

_UNANSWERED = (Fault.NO_ANSWER, Fault.NO_ANSWER_DONE, Fault.STALE, Fault.STALE_DONE)
_ODDS = {Fault.CRASH: 0.03, Fault.LOST_REPLY: 0.03, Fault.LIE: 0.5, Fault.HIDE: 0.5}
_NO_ANSWER_ODDS = 0.15  # rare calls, four ways each
_LOCATION = re.compile(r"/r/PHASE_[45](/_work)?")
_SWITCH_ODDS = (0.05, 0.15, 0.4, 1.0)

Build = Callable[[World], Callable[[], list[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A broken promise and the way to it."""

    broken: list[str]
    schedule: str
    seed: str = ""
    trace: tuple[Step, ...] = ()

    def __str__(self) -> str:
        head = "\n".join(self.broken)
        steps = "\n".join(f"  {step}" for step in self.trace)
        return f"{head}\nseed: {self.seed or '-'}\nschedule: {self.schedule}\n{steps}"


@dataclass(slots=True, kw_only=True)
class Report:
    """What an exploration came to. `ends` are the different states in which all actors had finished."""

    schedules: int = 0
    steps: int = 0
    states: int = 0
    ends: int = 0
    seconds: float = 0.0
    is_exhausted: bool = False
    violation: Violation | None = None

    def __str__(self) -> str:
        found = "no violation" if self.violation is None else "VIOLATION"
        how = "exhausted" if self.is_exhausted else "not exhausted"
        return (
            f"{self.states} states, {self.schedules} schedules, {self.steps} steps, {self.ends} ends, "
            f"{self.seconds:.1f} s, {how}, {found}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is explored: `build` makes the actors of a new world and returns the judge of its end."""

    rules: Rules
    build: Build
    budget: Budget = NO_FAULTS
    reliable: tuple[str, ...] = ()  # actors to which no fault happens
    alike: tuple[str, ...] = ()  # actors that do the same
    wanted: str = ""  # what the violations that are looked for begin with

    def broken(self, world: World, judge: Callable[[], list[str]]) -> list[str]:
        """Say what is broken now that all actors have finished, or one has failed."""
        return [line for line in world.findings or judge() if line.startswith(self.wanted)]


class _Branch(NamedTuple):
    """A schedule, as its last choice and the schedule before."""

    before: _Branch | None
    choice: Choice

    def choices(self) -> list[Choice]:
        found: list[Choice] = []
        at: _Branch | None = self
        while at is not None:
            found.append(at.choice)
            at = at.before
        return found[::-1]


@dataclass(slots=True)
class _Search:
    """What an exhaustive search knows so far."""

    subject: Subject
    report: Report = field(default_factory=Report)
    seen: set[tuple[int, Budget]] = field(default_factory=set[tuple[int, Budget]])
    ends: set[int] = field(default_factory=set[int])
    waiting: list[_Branch | None] = field(default_factory=lambda: [None])


def explore(subject: Subject, *, states_max: int | None = None, seconds_max: float | None = None) -> Report:
    """Try all orders, up to `states_max` states or `seconds_max`; stops at the first violation."""
    search, began = _Search(subject), time.process_time()
    report = search.report
    while search.waiting and report.violation is None:
        if states_max is not None and len(search.seen) >= states_max:
            break
        if seconds_max is not None and time.process_time() - began > seconds_max:
            break
        _descend(search, search.waiting.pop())
    report.states, report.ends = len(search.seen), len(search.ends)
    report.is_exhausted = not search.waiting and report.violation is None
    report.seconds = time.process_time() - began
    return report


def _descend(search: _Search, branch: _Branch | None) -> None:
    """Repeat a schedule, then go on to an end or to a state that was seen before."""
    subject, report = search.subject, search.report
    world = World(subject.rules)
    judge, budget = subject.build(world), subject.budget
    report.schedules += 1
    try:
        for choice in branch.choices() if branch is not None else ():
            world.step(choice)
            budget = budget.after(choice.fault)
            report.steps += 1
        while not world.findings:
            choices = list(_choices(world, budget, subject))
            if not choices:
                break
            if len(choices) > 1:
                state = (world.key(believing=budget.lies + budget.hidden > 0), budget)
                if state in search.seen:
                    return
                search.seen.add(state)
                search.waiting.extend(_Branch(branch, choice) for choice in choices[1:])
            branch = _Branch(branch, choices[0])
            world.step(choices[0])
            budget = budget.after(choices[0].fault)
            report.steps += 1
        if world.live() and not world.findings:
            return  # put off for ever: the same as an order that is tried elsewhere
        end = world.key(believing=False)
        if end not in search.ends or world.findings:
            search.ends.add(end)
            if subject.broken(world, judge) and branch is not None:
                report.violation = replay(subject, branch.choices())
    finally:
        world.end()


def wander(subject: Subject, *, seed: int, schedules: int, seconds_max: float | None = None) -> Report:
    """Try `schedules` orders drawn by `seed`; stops at the first violation."""
    report, began, ends = Report(), time.process_time(), set[int]()
    for number in range(schedules):
        if seconds_max is not None and time.process_time() - began > seconds_max:
            break
        rng = random.Random(f"{seed}.{number}")
        world = World(subject.rules)
        judge = subject.build(world)
        try:
            taken = _stroll(world, rng, subject)
            report.schedules += 1
            report.steps += len(taken)
            ends.add(world.key(believing=False))
            if subject.broken(world, judge):
                report.violation = replay(subject, taken, seed=f"{seed}.{number}")
                break
        finally:
            world.end()
    report.ends, report.seconds = len(ends), time.process_time() - began
    return report


def replay(subject: Subject, choices: list[Choice], seed: str = "") -> Violation | None:
    """Repeat a schedule and tell what it broke, with every call; None if it broke nothing."""
    world = World(subject.rules, traced=True)
    judge = subject.build(world)
    try:
        for choice in choices:
            world.step(choice)
        trace = tuple(world.trace or ())
        broken = subject.broken(world, judge)
    finally:
        world.end()
    if not broken:
        return None
    return Violation(broken=broken, schedule=schedule_text(choices), seed=seed, trace=trace)


def _stroll(world: World, rng: random.Random, subject: Subject) -> list[Choice]:
    """Take steps until all actors have finished. Steps in a row by one actor are likely or not, by turns."""
    taken: list[Choice] = []
    budget, odds, current = subject.budget, rng.choice(_SWITCH_ODDS), ""
    while not world.findings:
        live = [actor.name for actor in world.live()]
        if not live:
            break
        if current not in live or rng.random() < odds:
            current = rng.choice(live)
        choice = _draw(world.actors[current], budget, rng, reliable=current in subject.reliable)
        budget = budget.after(choice.fault)
        taken.append(choice)
        world.step(choice)
    return taken


def _draw(actor: Actor, budget: Budget, rng: random.Random, *, reliable: bool) -> Choice:
    if not reliable:
        for choice in _faults(actor, budget):
            if rng.random() < _ODDS.get(choice.fault or Fault.CRASH, _NO_ANSWER_ODDS):
                return choice
    return Choice(actor.name)


def _choices(world: World, budget: Budget, subject: Subject) -> Iterator[Choice]:
    """Yield the steps that have to be tried from here."""
    live = world.live()
    alone = reduction(world, live, budget) if world.rules.reduced else None
    for actor in live if alone is None else (alone,):
        if actor.waits and actor.private is not None and not world.is_ended(actor.private):
            continue
        if _is_mirrored(world, actor, subject.alike):
            continue
        yield Choice(actor.name)
        if actor.name not in subject.reliable:
            yield from _faults(actor, budget)
    if alone is not None and alone.private is not None and not alone.rushes and len(live) > 1:
        yield Choice(alone.name, waits=True)


def reduction(world: World, live: list[Actor], budget: Budget) -> Actor | None:
    """Return an actor whose next call need not be tried in every order, or None.

    Three kinds of call are tried at once, before anybody else's:

    * *Reading a register that exists, through a handle.* Registers are never replaced or removed and a
      handle stays with its directory, so the answer is the same whenever it is read, and nobody else
      notices.
    * *Touching or syncing a handle or a location, and reading a location's mtime*, where time stands
      still. Nobody notices but the witness, who wants to know what was durable when it was published:
      whoever publishes has to sync for himself, as another may have died before (that is tried).
    * *A call within the private place of an attempt that is not ended yet, or that reads its input.*
      Nobody else looks into that place or changes it, and nobody moves the dataset, before the register
      `ended` of that attempt is on disk; what the engine does then is to remove or to publish the one
      and to move the other. (What others add to a dataset meanwhile are markers, which no owner reads
      as input. One that was quarantined once may be moved late: its reads do not belong here.) So each
      such call can be moved, in any order of calls, to the left up to the call of its actor before
      (then it is tried at once, here: the actor `rushes`) or, if the place goes in between, to the
      right until `ended` is on disk: then the actor `waits` for that and all orders are tried from
      there. Making the private place itself does not belong to them: a listing of `_work` shows it.

    None of it holds where clients lie, where somebody judges heartbeats by what is on disk, nor for a
    mutant that breaks these very rules: such worlds are not `reduced`.

    Besides, a death is tried before calls that change something only (`_faults`): before any other it
    is, for the others, the same as one before the next such call. And of actors that are `alike` the
    first is the first to put a register: the same with their names exchanged is not tried again.
    """
    for actor in live:
        call = _call(actor)
        if budget.no_answers and _is_decision(actor, call):
            continue
        if (_is_permanent(actor, call) or _is_unnoticed(actor, call)) and not actor.fs.may_lie(call):
            return actor
    if budget.lies or budget.hidden:
        return None
    for actor in live:
        if actor.private is not None and not actor.waits and not world.is_ended(actor.private):
            return actor
    return None


def _is_permanent(actor: Actor, call: Call) -> bool:
    if call.name != "readlink":
        return False
    name, at = call.args
    return isinstance(at, int) and name in actor.fs.handles[at].entries


def _is_unnoticed(actor: Actor, call: Call) -> bool:
    if call.name not in ("touch", "sync", "mtime_ns") or actor.world.rules.is_timed:
        return False
    place = call.args[0]
    return isinstance(place, int) or _LOCATION.fullmatch(str(place)) is not None


def _is_mirrored(world: World, actor: Actor, alike: tuple[str, ...]) -> bool:
    if actor.has_marked or actor.name not in alike or _call(actor).name != "symlink":
        return False
    before = alike[: alike.index(actor.name)]
    return any(not world.actors[name].is_dead and not world.actors[name].has_marked for name in before)


def _faults(actor: Actor, budget: Budget) -> Iterator[Choice]:
    """Yield what may happen to an actor's next call."""
    call, name = _call(actor), actor.name
    if budget.crashes and call.changes and not actor.rushes:
        yield Choice(name, Fault.CRASH)
    if budget.lost_replies and call.resent is not None:
        yield Choice(name, Fault.LOST_REPLY)
    if budget.no_answers and _is_decision(actor, call):
        for fault in _UNANSWERED if call.name == "symlink" else (Fault.NO_ANSWER,):
            yield Choice(name, fault)
    if budget.lies and actor.fs.may_lie(call):
        yield Choice(name, Fault.LIE)
    if budget.hidden:
        for hidden in actor.fs.may_hide(call):
            yield Choice(name, Fault.HIDE, hidden)


def _is_decision(actor: Actor, call: Call) -> bool:
    """Tell whether an end is put, or read back after that went unanswered."""
    if call.name == "symlink":
        return str(call.args[0]).startswith(actor.world.rules.errors_at)
    return call.name == "readlink" and actor.was_refused and str(call.args[0]).startswith("ended.")


def _call(actor: Actor) -> Call:
    assert actor.call is not None, "a live actor stands before a call"
    return actor.call
