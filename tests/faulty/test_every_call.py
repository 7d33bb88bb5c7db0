"""Whichever call of a turn or a pass fails: nobody pays for it, nothing is lost, and all is finished later."""

from __future__ import annotations

import errno
from itertools import count
from pathlib import Path

import pytest

from stages.engine.errors import ExitCode, StageSetupError
from tests.faulty.scenarios import SCENARIOS, Scenario
from tests.faulty.scene import handles_given_back
from tests.faulty.strike import MEETS, Lost, Strike


@pytest.mark.parametrize("times", [1, None], ids=["once", "for a while"])
@pytest.mark.parametrize("done", [False, True], ids=["refused", "carried out"])
@pytest.mark.parametrize("number", MEETS, ids=errno.errorcode.get)
@SCENARIOS
def test_an_error(top: Path, scenario: Scenario, number: int, done: bool, times: int | None) -> None:
    for after in count():
        scene, deed = scenario.stage(top)
        strike = Strike(number, after=after, times=times, done=done)
        with handles_given_back():
            error = scene.struck(scenario.act(scene, deed), strike)
        if not strike.struck:
            break
        scene.failures_allowed += strike.takes_the_place_away
        assert error is None or isinstance(error, StageSetupError) or error.exit_code is ExitCode.STORAGE
        wrong = scene.wrong(at_rest=False) + scene.finish(deed)
        assert not wrong, f"call {after}, {' '.join(strike.hit)}: {wrong}"


@SCENARIOS
def test_a_lost_reply_changes_nothing(top: Path, scenario: Scenario) -> None:
    scene, deed = scenario.stage(top)
    sound = scene.struck(scenario.act(scene, deed)), scene.picture()
    for after in count():
        scene, deed = scenario.stage(top)
        lost = Lost(after=after)
        error = scene.struck(scenario.act(scene, deed), lost)
        if not lost.struck:
            break
        if lost.hit[0] == "rename_at":
            scene.sweep()  # an operator's mark: whether it was this sweeper that bound it, only the next pass sees
        assert (type(error), scene.picture()) == (type(sound[0]), sound[1]), f"call {after}, {' '.join(lost.hit)}"
        assert scene.finish(deed) == [], lost.hit
