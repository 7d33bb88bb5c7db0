"""Do people see that a stage is left alone, until when and why?"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from stages.engine import pauses
from stages.engine.commands.status import facts, render
from stages.engine.errors import NotARootError
from stages.engine.plan import Pause
from stages.engine.posix import Posix
from stages.engine.quantities import moment
from tests.fakes import START, Yard
from tests.unit.chain import Chain

PAUSE = Pause(until=START + 60, failures=5, why="78, the stage cannot be set up: no module 'tpyo'")


def test_a_pause_is_told_until_it_is_over(yard: Yard) -> None:
    fs, root = Posix(), yard.root
    assert pauses.told(fs, root, "first", now=START) is None
    pauses.tell(fs, root, "first", PAUSE)
    pauses.tell(fs, root, "second", None)
    assert pauses.told(fs, root, "first", now=START + 59) == PAUSE
    assert pauses.told(fs, root, "first", now=START + 60) is None
    assert pauses.told(fs, root, "second", now=START) is None
    assert os.listdir(root.trigger) == ["first.json"], "nothing half-written is left"


def test_what_was_told_is_taken_away(yard: Yard) -> None:
    pauses.tell(Posix(), yard.root, "first", PAUSE)
    for _ in range(2):
        pauses.tell(Posix(), yard.root, "first", None)
    assert os.listdir(yard.root.trigger) == []


@pytest.mark.parametrize("content", ["", "[]", "{", '{"until": "x"}', '{"until": 1}', "null"])
def test_what_nobody_wrote_so_is_no_pause(yard: Yard, content: str) -> None:
    pauses.tell(Posix(), yard.root, "first", PAUSE)
    Path(yard.root.pause("first")).write_text(content)
    assert pauses.told(Posix(), yard.root, "first", now=START) is None


def test_a_file_in_the_way_is_said(yard: Yard) -> None:
    Path(yard.root.trigger).touch()
    with pytest.raises(NotARootError, match="something else stands where a directory belongs"):
        pauses.tell(Posix(), yard.root, "first", PAUSE)


def test_status_shows_it(chain: Chain) -> None:
    pauses.tell(Posix(), chain.root, "second", PAUSE)
    status = chain.observer().status()
    lines = [*render(status)]
    at = lines.index(f"! second, no new pollers until {moment(PAUSE.until)}")
    assert lines[at + 1] == f"    the latest 5 all failed, the last one: {PAUSE.why}"
    told = [json.loads(json.dumps(stage))["paused"] for stage in facts(status, "/data")["stages"]]  # type: ignore[union-attr]
    assert told == [None, {"until": PAUSE.until, "failures": 5, "why": PAUSE.why}]
