"""A worker dies before and after every single call that it makes; the next one goes on. The runs are told all, once."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from infra.slurm.runs import RunState
from tests.fakes_runs import FakeRuns
from tests.fakes_slurm import FakeTransport
from tests.unit.slurm.scene import Crew, Scene, dead, living

CALLS_MAX = 80


class KilledError(BaseException):
    """SIGKILL: nothing of the worker's runs after it."""


class Fate:
    """Kills at the n-th call, of whatever; `after`: when it has done its work."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at, self.after, self.count, self.is_armed = at, after, 0, True

    def come(self) -> None:
        self.count += self.is_armed
        if self.is_armed and not self.after and self.count == self.at:
            raise KilledError

    def go(self) -> None:
        if self.is_armed and self.after and self.count == self.at:
            raise KilledError


class MortalTransport(FakeTransport):
    def __init__(self, fate: Fate) -> None:
        super().__init__()
        self.fate = fate

    def _come(self, method: str) -> None:
        self.fate.come()
        super()._come(method)

    def _go(self, method: str) -> None:
        super()._go(method)
        self.fate.go()


class MortalRuns(FakeRuns):
    fate: Fate

    def _come(self, method: str) -> None:
        self.fate.come()
        super()._come(method)

    def _go(self, method: str) -> None:
        super()._go(method)
        self.fate.go()


async def live(scene: Scene, crew: Crew, said: list[str]) -> None:
    """One run from its submission to its end."""
    await scene.hand_in(crew, "r")
    await scene.pass_time(crew)
    scene.transport.begin("fake:1")
    for number in range(2):
        if f"line {number}" not in said:
            said.append(f"line {number}")
            scene.transport.say("fake:1", f"same\nline {number}\n")
        await scene.pass_time(crew)
    scene.transport.end("fake:1", exit_code=2)
    await scene.pass_time(crew)


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_every_call(tmp_path: Path, after: bool) -> None:
    async def test() -> None:
        for at in range(1, CALLS_MAX):
            fate = Fate(at, after=after)
            scene = Scene(top=tmp_path / f"{at}", transport=MortalTransport(fate))
            runs = MortalRuns(scene.runs.where)
            runs.fate, scene.runs = fate, runs
            runs.add("r", worker="w1")
            said: list[str] = []
            try:
                await live(scene, scene.crew(dead("w1")), said)
            except KilledError:
                fate.is_armed = False
                await go_on(scene, said)
                check(scene, said, at)
            else:
                assert fate.count < at
                return
        raise AssertionError("more calls than CALLS_MAX")

    anyio.run(test)


async def go_on(scene: Scene, said: list[str]) -> None:
    """The same worker is started again; the job goes on meanwhile and ends."""
    crew = scene.crew(living("w1"))
    await scene.pass_time(crew, turns=20)
    if scene.state("r") is RunState.SCHEDULED:
        scene.runs.add("r", worker="w1")
        await scene.hand_in(crew, "r")
    if scene.transport.jobs["fake:1"].report.exit_code is None:
        scene.transport.begin("fake:1")
    for number in range(2):
        if f"line {number}" not in said:
            said.append(f"line {number}")
            scene.transport.say("fake:1", f"same\nline {number}\n")
    await scene.pass_time(crew, turns=2)
    scene.transport.end("fake:1", exit_code=2)
    await scene.pass_time(crew, turns=2)


def check(scene: Scene, said: list[str], at: int) -> None:
    assert len(scene.transport.jobs) == 1, at
    assert scene.state("r") is RunState.FAILED, at
    assert scene.runs.texts("r") == [text for line in said for text in ("same", line)], at
    states = [name for name in scene.runs.states("r") if name not in {"Scheduled", "Queued: Resources"}]
    assert states == ["Running", "Failed"], at
    assert scene.runs.runs["r"].run_count == 1, at
