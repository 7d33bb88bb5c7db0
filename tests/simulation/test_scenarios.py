"""Does the engine keep its promises in every order of calls that we can think of?"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.explorer import explore, wander
from tests.simulation.scenario import Scenario
from tests.simulation.scenarios import SCENARIOS

SEED = 1
SCHEDULES = 400
EVERYBODYS_SCHEDULES = 100  # long ones
SMALL = (
    "lost reply, and nobody dies",
    "owners that always die",
    "rerun, its reply lost",
    "rerun, and the next generation's name is given out",
    "something in the way",
    "the author removes the output",
    "the input grows at work",
    "made first, filled later",
    "two lies of the cache",
    "published within the tick of a listing",
    "added, and the location's mtime is an old one from the cache",
)
VERIFIED_SCHEDULES = 20_000

each = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
each_exhaustive = pytest.mark.parametrize(
    "scenario", [s for s in SCENARIOS if s.exhaustive], ids=lambda scenario: scenario.name
)


@each
def test_orders_drawn_by_a_seed_break_nothing(scenario: Scenario) -> None:
    schedules = EVERYBODYS_SCHEDULES if scenario.name.startswith("everybody") else SCHEDULES
    report = wander(scenario.subject(), seed=SEED, schedules=schedules)
    assert report.violation is None, str(report.violation)
    assert report.schedules == schedules


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s.name in SMALL], ids=lambda scenario: scenario.name)
def test_no_order_breaks_anything(scenario: Scenario) -> None:
    report = explore(scenario.subject())
    assert report.violation is None, str(report.violation)
    assert report.is_exhausted


@pytest.mark.verify
@pytest.mark.timeout(7200)
@each_exhaustive
def test_no_order_at_all_breaks_anything(scenario: Scenario, record_property: Callable[[str, object], None]) -> None:
    report = explore(scenario.subject())
    record_property(scenario.name, report)
    assert report.violation is None, str(report.violation)
    assert report.is_exhausted


@pytest.mark.verify
@pytest.mark.timeout(7200)
@each
def test_very_many_orders_drawn_by_a_seed_break_nothing(
    scenario: Scenario, record_property: Callable[[str, object], None]
) -> None:
    report = wander(scenario.subject(), seed=SEED + 1, schedules=VERIFIED_SCHEDULES)
    record_property(scenario.name, report)
    assert report.violation is None, str(report.violation)
