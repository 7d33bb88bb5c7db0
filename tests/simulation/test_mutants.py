"""Would the scenarios notice if the engine broke a rule? Every mutant is caught, and most break nothing alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from tests.simulation.explorer import Report, Subject, wander
from tests.simulation.mutants.table import MUTANTS, Mutant
from tests.simulation.scenarios import SCENARIOS, Scenario
from tests.simulation.schedule import Choice
from tests.simulation.world import World

SCHEDULES_MAX = 30_000
SCHEDULES = 500
OWN = list({m.scenario.name: m.scenario for m in MUTANTS if m.scenario not in SCENARIOS}.values())

each = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


def hunt(mutant: Mutant) -> Report:
    """Look for the violation that a mutant is named for; reduced worlds trust in rules that it may break."""
    subject = mutant.scenario.subject(mutant.engine, reduced=False)
    subject = dataclasses.replace(subject, wanted=mutant.breaks)
    return wander(subject, seed=mutant.seed, schedules=SCHEDULES_MAX)


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


def test_mutants_have_names_of_their_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
