"""How a stack goes down: exactly what it started, workers first; pollers go on unless they are asked to end, too."""

from __future__ import annotations

from dataclasses import dataclass

from infra.stack.choices import SERVER
from infra.stack.display import Display
from infra.stack.stack import Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallen:
    """Who was ended, and which of those had to be killed."""

    ended: tuple[str, ...]
    killed: tuple[str, ...]


def bring_down(stack: Stack, display: Display) -> Fallen:
    """End the workers, then the server."""
    alive = stack.alive()
    workers = [name for name in alive if name != SERVER]
    killed: list[str] = []
    for step, names in (("workers", workers), ("server", [name for name in alive if name == SERVER])):
        if names:
            display.begin(step, "asked to end")
            killed += stack.end(names)
            display.done(step, "ended")
    for name in [*stack.record.processes]:  # what was dead before is forgotten
        stack.end([name])
    return Fallen(ended=tuple(alive), killed=tuple(killed))
