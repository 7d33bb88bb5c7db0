"""How a stack goes down: exactly what it started, workers first; pollers go on unless they are asked to end, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.stack import pollers
from infra.stack.choices import CONTROL, SERVER
from infra.stack.display import Display
from infra.stack.stack import Stack

UNFINISHED = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")
DRAIN_SECONDS = 60.0  # a poller has 20 s to let go, and is killed after 30
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallen:
    """Who was ended, which of those had to be killed, and how many pollers go on."""

    ended: tuple[str, ...]
    killed: tuple[str, ...]
    pollers: int


def bring_down(stack: Stack, display: Display, *, with_pollers: bool) -> Fallen:
    """End who asks for pollers, the pollers if they shall end, the other workers, then the server."""
    stack.refresh()
    alive = stack.alive()
    pools = [name for name in alive if name not in {SERVER, CONTROL}]
    killed: list[str] = []
    if with_pollers:
        killed += stack.end([CONTROL])  # nobody asks for new ones meanwhile
        _end_pollers(stack, display, pools if SERVER in alive else ())
    killed += _end(stack, display, "workers", [CONTROL, *pools])
    killed += _end(stack, display, "server", [SERVER])
    stack.end([*stack.record.processes])  # what was dead before is forgotten
    return Fallen(ended=tuple(alive), killed=tuple(killed), pollers=len(_living(stack)))


def _end(stack: Stack, display: Display, step: str, names: Sequence[str]) -> list[str]:
    if not set(names) & set(stack.alive()):
        return []
    display.begin(step, "asked to end")
    killed = stack.end(names)
    display.done(step, "ended")
    return killed


def _end_pollers(stack: Stack, display: Display, pools: Sequence[str]) -> None:
    """Cancel the runs of these pools as the UI does, so that Prefect knows why; ask whoever is left directly."""
    runs = stack.api.unfinished(pools, UNFINISHED) if pools else []
    display.begin("pollers", f"{len(runs)} asked to let go and end")
    for run in runs:
        state = "CANCELLED" if run.state == "SCHEDULED" else "CANCELLING"
        stack.api.set_state(run.id, state, "the stack goes down")
    if runs:
        _wait(lambda: not stack.api.unfinished(pools, UNFINISHED), display)
    left = _living(stack)
    if left:
        pollers.ask_to_end(Path(stack.record.root or ""), left)
        _wait(lambda: not _living(stack), display)
    if runs or left:
        display.done("pollers", f"{max(len(runs), len(left))} ended")


def _living(stack: Stack) -> list[str]:
    return pollers.living(Path(stack.record.root)) if stack.record.root else []


def _wait(is_over: Callable[[], bool], display: Display) -> None:
    until = time.monotonic() + DRAIN_SECONDS
    while not is_over() and time.monotonic() < until:
        display.tick()
        time.sleep(LOOK_SECONDS)
