"""Would the scenarios notice if the engine broke a rule? Every mutant is caught, and most break nothing alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from tests.simulation.beliefs import Lies
from tests.simulation.explorer import Report, Subject, wander
from tests.simulation.mutants.mutant import Mutant
from tests.simulation.mutants.table import MUTANTS
from tests.simulation.scenario import Scenario
from tests.simulation.scenarios import SCENARIOS, named
from tests.simulation.schedule import Choice
from tests.simulation.world import World

SCHEDULES_MAX = 30_000
SCHEDULES = 500
OWN = list({m.scenario.name: m.scenario for m in MUTANTS if m.scenario not in SCENARIOS}.values())

BETRAYED_BY_LIES = [mutant for mutant in MUTANTS if mutant.scenario.rules.lies is not Lies.NONE]
HONEST_SCHEDULES = 60

each = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


def told_the_truth(scenario: Scenario) -> Scenario:
    """The same without lies."""
    rules = dataclasses.replace(scenario.rules, lies=Lies.NONE)
    return dataclasses.replace(scenario, rules=rules, budget=scenario.budget._replace(lies=0, hidden=0))


def hunt(mutant: Mutant, schedules: int = SCHEDULES_MAX) -> Report:
    """Look for the violation that a mutant is named for; reduced worlds trust in rules that it may break."""
    subject = mutant.scenario.subject(mutant.engine, reduced=False)
    subject = dataclasses.replace(subject, wanted=mutant.breaks)
    return wander(subject, seed=mutant.seed, schedules=schedules)


def one_after_another(subject: Subject) -> list[str]:
    """Let every actor do all that it does before the next begins; returns what that breaks."""
    world = World(subject.rules)
    judge = subject.build(world)
    try:
        for actor in list(world.actors.values()):
            while not actor.is_dead and not world.findings:
                world.step(Choice(actor.name))
        return subject.broken(world, judge)
    finally:
        world.end()


def test_every_mutant_is_caught(record_property: Callable[[str, object], None]) -> None:
    caught = [mutant.name for mutant in MUTANTS if hunt(mutant).violation is not None]
    record_property("mutants", f"{len(caught)}/{len(MUTANTS)}")
    assert [mutant.name for mutant in MUTANTS if mutant.name not in caught] == []


@each
def test_what_a_mutant_breaks_by_itself_is_known(mutant: Mutant) -> None:
    broken = one_after_another(mutant.scenario.subject(mutant.engine, reduced=False))
    assert (broken == []) == mutant.right_alone


@pytest.mark.parametrize("scenario", OWN, ids=lambda scenario: scenario.name)
def test_the_engine_itself_breaks_nothing_where_its_mutants_do(scenario: Scenario) -> None:
    report = wander(scenario.subject(), seed=1, schedules=SCHEDULES)
    assert report.violation is None, str(report.violation)


def test_only_what_its_client_is_told_betrays_a_mutant_of_the_caches() -> None:
    """So each of these kinds of lie is needed in the model: where clients are told the truth these mutants pass."""
    honest = [dataclasses.replace(m, scenario=told_the_truth(m.scenario)) for m in BETRAYED_BY_LIES]
    assert [m.name for m in honest if hunt(m, HONEST_SCHEDULES).violation is not None] == []


def test_an_owner_taken_for_dead_by_an_old_heartbeat_wastes_its_work() -> None:
    """And nothing else: `test_scenarios` looks for more, with the same lies and a crash."""
    scenario = named("two pollers, a sweeper and an old heartbeat")
    disturbed = dataclasses.replace(scenario.setting, undisturbed=True)
    scenario = dataclasses.replace(scenario, setting=disturbed, budget=scenario.budget._replace(crashes=0))
    report = wander(scenario.subject(), seed=1, schedules=SCHEDULES_MAX)
    assert report.violation is not None
    assert {line[:2] for line in report.violation.broken} == {"I5"}
    assert wander(told_the_truth(scenario).subject(), seed=1, schedules=HONEST_SCHEDULES).violation is None


def test_mutants_have_names_of_their_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
