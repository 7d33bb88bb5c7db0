"""Looks for an order of calls that breaks a promise: all orders, or orders drawn by a seed.

Exhaustive: a depth-first search that builds the world anew for every branch (greenlets cannot be
copied) and does not go on where it has been: a state is the disk, what every actor has been told since
it last forgot, and the faults that are left.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tests.simulation.calls import Fault
from tests.simulation.reduction import Cast, choices, faults
from tests.simulation.rules import Rules
from tests.simulation.schedule import NO_FAULTS, Budget, Choice, schedule_text
from tests.simulation.world import Actor, Step, World

_ODDS = {Fault.CRASH: 0.03, Fault.LOST_REPLY: 0.03, Fault.LIE: 0.5, Fault.HIDE: 0.5}
_NO_ANSWER_ODDS = 0.15  # rare calls, four ways each
_SWITCH_ODDS = (0.05, 0.15, 0.4, 1.0)

NOBODY: Final = Cast()
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
    cast: Cast = NOBODY
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
            ways = list(choices(world, budget, subject.cast))
            if not ways:
                break
            if len(ways) > 1:
                state = (world.key(lying=budget.lies > 0, hiding=budget.hidden > 0), budget)
                if state in search.seen:
                    return
                search.seen.add(state)
                search.waiting.extend(_Branch(branch, way) for way in ways[1:])
            branch = _Branch(branch, ways[0])
            world.step(ways[0])
            budget = budget.after(ways[0].fault)
            report.steps += 1
        if world.live() and not world.findings:
            return  # put off for ever: the same as an order that is tried elsewhere
        end = world.key()
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
            ends.add(world.key())
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
        choice = _draw(world.actors[current], budget, rng, reliable=current in subject.cast.reliable)
        budget = budget.after(choice.fault)
        taken.append(choice)
        world.step(choice)
    return taken


def _draw(actor: Actor, budget: Budget, rng: random.Random, *, reliable: bool) -> Choice:
    if not reliable:
        for choice in faults(actor, budget):
            if rng.random() < _ODDS.get(choice.fault or Fault.CRASH, _NO_ANSWER_ODDS):
                return choice
    return Choice(actor.name)
