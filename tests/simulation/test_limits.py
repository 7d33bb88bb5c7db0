"""Where the promises end: what the explorer finds, and we know of."""

from __future__ import annotations

from tests.simulation.explorer import wander
from tests.simulation.people import asks_again, company, sends_again
from tests.simulation.scenario import Scenario


def test_a_name_used_again_by_hand_after_a_rerun_may_be_archived_unprocessed() -> None:
    """Three things must come together: a helper that is late by all of a rerun, the rerun, and a name used twice.

    The helper archives by path, to a target that is its publication's alone; that target stands in its
    way until a rerun has taken the published dataset away. `phaseline add` refuses names that were used;
    a person who moves a dataset in by hand past it is told so by the docs.
    """
    scenario = Scenario(
        name="rerun, then sent again by hand",
        actors=company(R=asks_again, N=sends_again),
        reliable=("R", "N"),
    )
    report = wander(scenario.subject(), seed=3, schedules=20_000)
    assert report.violation is not None
    assert [line[:2] for line in report.violation.broken] == ["I7"]
