"""Can the explorer be trusted: does it find what is there, again, and lose nothing by what it leaves out?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from tests.observation import observe
from tests.simulation.beliefs import Lies
from tests.simulation.calls import Fault
from tests.simulation.client import SimulatedFileSystem
from tests.simulation.explorer import Subject, explore, replay, wander
from tests.simulation.mutants import designs, stores
from tests.simulation.mutants.mutant import ONE, TWO
from tests.simulation.people import company, operator, person, sends_again
from tests.simulation.pipeline import ROOT, Pipeline
from tests.simulation.rules import Rules
from tests.simulation.scenario import CRASH, ONCE, Scenario
from tests.simulation.schedule import Budget, Choice, parse_schedule, schedule_text
from tests.simulation.script import fails
from tests.simulation.setting import Engine, Setting
from tests.simulation.world import World

SMALL = (
    Scenario(name="a crash", actors=company(), budget=CRASH),
    Scenario(name="a lost reply", actors=company(), budget=Budget(lost_replies=1)),
    Scenario(name="an unanswered commit", actors=company(), budget=Budget(no_answers=1)),
    Scenario(
        name="quarantine and back",
        actors=company(parts=(fails,), O=person(operator)),
        setting=Setting(retry=ONCE, may_fail=frozenset({"ds"})),
    ),
    Scenario(name="a name sent again", actors=company(N=sends_again), reliable=("N",)),
    Scenario(name="a stale negative entry", actors=company(), rules=Rules(lies=Lies.ANY), budget=Budget(lies=1)),
    Scenario(name="a hidden name", actors=company(), rules=Rules(lies=Lies.OWN), budget=Budget(hidden=1)),
)


def ends(scenario: Scenario, *, reduced: bool) -> set[str]:
    """How it can end, in the words of the registers: every different way, all orders tried."""
    found: set[str] = set()

    def build(world: World) -> Callable[[], list[str]]:
        pipeline = Pipeline(world, scenario.setting, Engine())
        scenario.actors(pipeline)

        def judge() -> list[str]:
            broken = pipeline.judge()
            seen = observe(SimulatedFileSystem(world.disk), ROOT.path, ("PHASE_4", "PHASE_5"))
            found.add("\n".join(f"{d.place} {d.name} {sorted(d.registers.items())}" for d in seen.datasets))
            return broken

        return judge

    subject = dataclasses.replace(scenario.subject(reduced=reduced), build=build)
    report = explore(subject)
    assert report.is_exhausted
    return found


@pytest.mark.parametrize("scenario", SMALL[:1], ids=lambda scenario: scenario.name)
def test_a_reduced_world_ends_in_all_the_ways_of_the_whole_one(scenario: Scenario) -> None:
    assert ends(scenario, reduced=True) == ends(scenario, reduced=False)


@pytest.mark.verify
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", SMALL[1:], ids=lambda scenario: scenario.name)
def test_more_reduced_worlds_end_in_all_the_ways_of_the_whole_ones(scenario: Scenario) -> None:
    assert ends(scenario, reduced=True) == ends(scenario, reduced=False)


@pytest.mark.parametrize(
    "engine",
    [designs.N5, designs.N6, Engine(store=stores.SettlesWhatItWanted), Engine(store=stores.IsNotFenced)],
    ids=["N5", "N6", "settles what it wanted", "is not fenced"],
)
def test_a_reduced_world_shows_what_a_mutant_breaks(engine: Engine) -> None:
    assert explore(ONE.subject(engine)).violation is not None


def test_a_reduced_world_shows_what_a_mutant_breaks_that_believes_its_client() -> None:
    scenario = Scenario(name="a lie", actors=company(), rules=Rules(lies=Lies.ANY), budget=Budget(crashes=1, lies=1))
    assert explore(scenario.subject(Engine(settlement=stores.TakesOneLookForAProof))).violation is not None


def caught() -> tuple[Subject, str]:
    """A subject and a schedule that breaks it."""
    subject = TWO.subject(designs.N1, reduced=False)
    report = wander(subject, seed=1, schedules=1000)
    assert report.violation is not None
    return subject, report.violation.schedule


def test_a_violation_is_found_again_by_its_seed_and_by_its_schedule() -> None:
    subject, schedule = caught()
    assert caught()[1] == schedule
    again = replay(subject, parse_schedule(schedule))
    assert again is not None
    assert again.schedule == schedule
    assert "symlink" in str(again)


def test_a_schedule_is_read_as_it_was_written() -> None:
    choices = [
        Choice("P0"),
        Choice("P0"),
        Choice("S", Fault.CRASH),
        Choice("P1", waits=True),
        Choice("P1", Fault.HIDE, "taken.phase4.1"),
    ]
    text = schedule_text(choices)
    assert text == "P0*2 S!crash P1!waits P1!hide=taken.phase4.1"
    assert parse_schedule(text) == choices


def test_the_same_seed_gives_the_same_orders() -> None:
    first, second = (wander(SMALL[0].subject(), seed=7, schedules=50) for _ in range(2))
    assert (first.steps, first.ends) == (second.steps, second.ends)
