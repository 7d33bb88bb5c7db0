"""Do the shipped stages fit together, and does each name what it needs?"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from stages.engine import catalog
from tests.unit.stages.datasets import STAGES

TOP = Path(catalog.shipped())


def requirements(stage: str) -> set[str]:
    lines = (TOP / stage / "requirements.txt").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def test_they_form_the_chain_of_the_example() -> None:
    assert STAGES.names == ("phase2a", "phase2b", "phase3", "phase4", "phase5")
    assert STAGES.locations == ("PHASE_2A", "PHASE_2B", "PHASE_3", "PHASE_4", "PHASE_5", "RESULTS")


def test_leases_hold_on_a_network_file_system() -> None:
    assert {spec.name for spec in STAGES.stages if spec.lease.expires_seconds < 120} == set()


def test_requirements_are_the_example_extra() -> None:
    """What the stages need, taken together, is what `pip install phaseline[example]` brings."""
    project = tomllib.loads((TOP.parent / "pyproject.toml").read_text())["project"]
    needed = set[str]().union(*(requirements(name) for name in STAGES.names))
    assert needed == set(project["optional-dependencies"]["example"])


@pytest.mark.parametrize("name", STAGES.names)
def test_an_image_holds_the_engine_and_one_stage(name: str) -> None:
    lines = (TOP / name / "Containerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY stages")]
    assert copied == [["stages/__init__.py"], ["stages/engine"], [f"stages/{name}"]]
    assert any(f"--requirement stages/{name}/requirements.txt" in line for line in lines)
    extra = {"torch.txt"} if name == "phase4" else set[str]()
    assert {path.name for path in (TOP / name).glob("*.txt")} == {"requirements.txt", *extra}
    assert all(f"--requirement stages/{name}/{path}" in "".join(lines) for path in extra)
    assert lines[-1] == f'CMD ["phaseline", "poll", "{name}"]'
