"""The demo through Prefect: the stack comes up, its trigger asks for pollers, and it goes down again."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from infra.demo import show
from infra.demo.show import Company, Demo, DemoError
from infra.stack import environment, place
from infra.stack.choices import Wanted
from infra.stack.display import Display
from infra.stack.errors import StackError, last_lines
from infra.stack.fall import bring_down
from infra.stack.lock import locked
from infra.stack.rise import bring_up
from infra.stack.stack import Stack

TRIGGER_SECONDS = 10.0
PACE = {
    "PHASELINE_LOOK_SECONDS_MAX": "1",  # an idle poller of the demo looks at least this often
}


class StackCompany:
    """A stack, as the show sees it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._pools = [name for name in stack.record.processes if name.startswith("slurm")]

    def pollers(self) -> str:
        """How many run, and how many wait to."""
        try:
            runs = self._stack.api.unfinished(self._pools, ("PENDING", "RUNNING", "CANCELLING"))
        except StackError:
            return "pollers ?"
        at_work = sum(run.state == "RUNNING" for run in runs)
        return f"pollers {len(runs) - at_work}+{at_work}"

    def check(self) -> None:
        missing = sorted(set(self._stack.record.processes) - set(self._stack.alive()))
        for name in missing:
            log = self._stack.place.log(name)
            raise DemoError(f"{name} has ended; {log} says:\n" + "\n".join(last_lines(log)))


@contextmanager
def stack(demo: Demo, *, port: int | None, keep: bool, more: Mapping[str, str] | None = None) -> Generator[Company]:
    """Bring the stack up, and down again unless it was up before or is to be kept. Raises DemoError.

    `more`: what the workers need in their environment to hand jobs in to a cluster, or to start them in images.
    """
    display = Display()
    try:
        here = place.find()
        started = Stack(here, base={**PACE, **os.environ, **(more or {})}, waiting=display.tick)
        was_up, every_seconds = bool(started.alive()), started.record.trigger_seconds
        if was_up and more:
            raise DemoError("Prefect is up here, and its workers know no cluster and no images: `phaseline down` first")
        try:
            _raise(started, demo, display, port=port, trigger_seconds=TRIGGER_SECONDS)
            show.say(f"while this goes on, Prefect's UI is at {environment.ui(started.port)}")
            yield StackCompany(started)
            if was_up:
                _raise(started, demo, display, port=None, trigger_seconds=every_seconds)
        finally:
            display.clear()
            if not (keep or was_up):
                with locked(here, display.say):
                    bring_down(started, display, with_pollers=True)
                show.say(f"all of it can be looked at again: .venv/bin/phaseline up --root {show.short(demo.root)}")
    except StackError as error:
        raise DemoError(str(error)) from None


def _raise(started: Stack, demo: Demo, display: Display, *, port: int | None, trigger_seconds: float | None) -> None:
    wanted = Wanted(
        root=str(demo.root),
        stages=str(demo.stages) if demo.stages else None,
        port=port,
        trigger_seconds=trigger_seconds,
    )
    with locked(started.place, display.say):
        bring_up(started, wanted, display)
