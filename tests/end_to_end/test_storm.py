"""Does every promise hold while processes die, stop, come back from the dead and are asked to go?"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.storm import Plan, Storm


def rage(plan: Plan, top: Path, record_property: Callable[[str, object], None]) -> None:
    """Let a storm rage: nothing may be wrong, and it must have been one."""
    outcome = Storm(plan, top).run()
    record_property("storm", f"{plan.datasets} datasets: {outcome} (seed {plan.seed})")
    assert outcome.wrong == [], f"seed {plan.seed}: {outcome}"
    for figure in ("kills", "stops", "requests to end", "of these with an attempt", "fenced or revoked", "lost"):
        assert outcome.figures[figure] > 0, outcome
    for figure in ("requeues", "requeued", "retry marks", "reruns", "failed", "quarantined"):
        assert outcome.figures[figure] > 0, outcome


def test_a_storm(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    plan = Plan(
        datasets=500, kills=30, stops=40, requeues=15, asks=10, retries=20, reruns=8, seed=random.getrandbits(32)
    )
    rage(plan, tmp_path, record_property)


@pytest.mark.verify
def test_a_long_storm(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    plan = Plan(
        datasets=10_000,
        kills=600,
        stops=800,
        requeues=200,
        asks=200,
        retries=300,
        reruns=150,
        seed=random.getrandbits(32),
        limit_seconds=7200.0,
    )
    rage(plan, tmp_path, record_property)
