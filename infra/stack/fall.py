"""How a stack goes down: exactly what it started, workers first; pollers go on unless they are asked to end, too."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from infra.stack.api import Api, Run
from infra.stack.choices import SERVER
from infra.stack.display import Display
from infra.stack.errors import StackError
from infra.stack.stack import Stack

CONTROL = "control"  # the pool whose runs ask for pollers
UNFINISHED = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")
DRAIN_SECONDS = 90.0  # a poller has 20 s to let go, and 30 s to KILL
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallen:
    """Who was ended, which of those had to be killed, and how many pollers go on; None if nobody could be asked."""

    ended: tuple[str, ...]
    killed: tuple[str, ...]
    pollers: int | None


def bring_down(stack: Stack, display: Display, *, with_pollers: bool) -> Fallen:
    """End who asks for pollers, the pollers if they shall end, the other workers, then the server."""
    stack.refresh()
    alive = stack.alive()
    pools = [name for name in alive if name not in {SERVER, CONTROL}]
    killed: list[str] = []
    if with_pollers and CONTROL in alive:
        killed += stack.end([CONTROL])  # nobody asks for new ones meanwhile
    pollers = _pollers(stack, display, pools, end=with_pollers) if SERVER in alive else None
    for step, names in (("workers", [CONTROL, *pools]), ("server", [SERVER])):
        if set(names) & set(alive):
            display.begin(step, "asked to end")
            killed += stack.end(names)
            display.done(step, "ended")
    stack.end([*stack.record.processes])  # what was dead before is forgotten
    return Fallen(ended=tuple(alive), killed=tuple(killed), pollers=pollers)


def _pollers(stack: Stack, display: Display, pools: Sequence[str], *, end: bool) -> int | None:
    """Return how many pollers go on, after those that shall end have; None if the server does not answer."""
    try:
        runs = stack.api.unfinished(pools, UNFINISHED)
        if end and runs:
            display.begin("pollers", f"{len(runs)} asked to let go and end")
            left = _drain(stack.api, pools, runs, display)
            display.done("pollers", "ended" if not left else f"{len(left)} have not ended")
            return len(left)
        return sum(run.state in {"RUNNING", "CANCELLING"} for run in runs)
    except StackError:
        return None


def _drain(api: Api, pools: Sequence[str], runs: Sequence[Run], display: Display) -> list[Run]:
    """Cancel runs as the UI does, and wait until their workers say that they are over; returns those that are not."""
    for run in runs:
        is_waiting = run.state == "SCHEDULED"
        api.set_state(run.id, "CANCELLED" if is_waiting else "CANCELLING", "the stack goes down")
    until, left = time.monotonic() + DRAIN_SECONDS, list(runs)
    while left and time.monotonic() < until:
        display.tick()
        time.sleep(LOOK_SECONDS)
        left = api.unfinished(pools, UNFINISHED)
    return left
