"""What a mutant is: which rule it breaks, which promise that breaks, and in which scenario it shows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from stages.engine.durability import Durability
from tests.simulation.beliefs import Lies
from tests.simulation.mutants import stores
from tests.simulation.people import adds_late, company, sends_again
from tests.simulation.rules import Rules
from tests.simulation.scenario import Scenario
from tests.simulation.scenarios import named
from tests.simulation.schedule import Budget
from tests.simulation.script import works_until_revoked
from tests.simulation.setting import Engine, Setting

UNSYNCED: Final = Setting(durability=Durability.NONE)  # of a design that syncs nothing, that is not what is asked

ONE: Final = Scenario(name="a poller and a sweeper", actors=company(), setting=UNSYNCED)
TWO: Final = Scenario(name="two pollers and a sweeper", actors=company(2, 1), setting=UNSYNCED)
SPLIT: Final = dataclasses.replace(named("parents looked up before"), setting=UNSYNCED, budget=Budget())
LYING: Final = named("dead after its commit, and four lies of the cache")
REVOKED: Final = Scenario(
    name="revoked at work",
    actors=company(parts=(works_until_revoked,)),
    rules=Rules(ticking=True, reduced=False, reading_seconds=25.0),
)
ADDED_UNSEEN: Final = Scenario(
    name="a lie about a dataset that was added",
    actors=company(1, 1, turns=2, A=adds_late),
    setting=Setting(datasets=()),
    rules=Rules(lies=Lies.ANY),
    budget=Budget(lies=2),
    reliable=("A",),
)
SENT_AGAIN: Final = Scenario(name="sent again", actors=company(2, 1, turns=2, N=sends_again), reliable=("N",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One of them. `breaks`: what the violation that it is caught by begins with.

    It is hunted with schedules drawn by `seed`. One that is `right_alone` breaks nothing as long as nobody
    interferes: no ordinary test would find it.
    """

    name: str
    rule: str
    breaks: str
    scenario: Scenario
    engine: Engine
    seed: int = 1
    right_alone: bool = True


def store(cls: type[stores.Store]) -> Engine:
    """An engine with another store."""
    return Engine(store=cls)


def mutant(
    name: str, rule: str, breaks: str, scenario: Scenario, engine: Engine, *, seed: int = 1, right_alone: bool = True
) -> Mutant:
    """A mutant in one line."""
    return Mutant(
        name=name, rule=rule, breaks=breaks, scenario=scenario, engine=engine, seed=seed, right_alone=right_alone
    )
