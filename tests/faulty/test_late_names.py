"""Names that others made, seen late: nothing is lost, nothing published twice, all is finished in the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes import Deed
from tests.faulty.scenarios import SCENARIOS, SWEEPS, Scenario
from tests.faulty.scene import Scene
from tests.faulty.strike import Late

LOOKS = pytest.mark.parametrize("looks", [1, 2, 5])
KINDS = ["", "/taken.", "/ended.", "/_work/", "/_done/", "/_failed/", "/B/", "/attempt.json", "/out"]


def names_of_others(scene: Scene) -> list[str]:
    """Return the dataset and all that an engine elsewhere made; a payload arrives whole, by rename."""
    tops = [path for place in (scene.a, scene.b) for path in place.glob("[!_]*")]
    tops += [path for part in ("_work", "_done", "_failed") for path in (scene.a / part).iterdir()]
    below = [path for top in tops for path in top.iterdir() if path.parent.parent.name == "_work" or path.is_symlink()]
    return sorted(map(str, tops + below))


@LOOKS
@SCENARIOS
def test_one_name(top: Path, scenario: Scenario, looks: int) -> None:
    scene, _ = _stage(scenario, top)
    for number in range(len(names_of_others(scene))):
        scene, deed = _stage(scenario, top)
        name = names_of_others(scene)[number]
        scene.struck(scenario.act(scene, deed), late=Late([name], looks=looks))
        assert scene.wrong(at_rest=False) + scene.finish(deed) == [], name


@LOOKS
@SCENARIOS
def test_all_of_a_kind(top: Path, scenario: Scenario, looks: int) -> None:
    for kind in KINDS:
        scene, deed = _stage(scenario, top)
        late = Late([name for name in names_of_others(scene) if kind in name], looks=looks)
        scene.struck(scenario.act(scene, deed), late=late)
        assert scene.wrong(at_rest=False) + scene.finish(deed) == [], kind


def _stage(scenario: Scenario, top: Path) -> tuple[Scene, Deed]:
    """A wish is bound to what a listing shows: without its register, the dataset stays till asked for anew."""
    scene, deed = scenario.stage(top)
    scene.may_be_quarantined |= scenario is SWEEPS["asked while quarantined"]
    return scene, deed
