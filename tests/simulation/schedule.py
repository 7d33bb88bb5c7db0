"""Who takes the next step, and what goes wrong with it: choices, how many faults are left, schedules as text."""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.simulation.calls import Fault


class Choice(NamedTuple):
    """Who takes the next step, and what happens to it; `detail` is the name that a listing hides."""

    actor: str
    fault: Fault | None = None
    detail: str = ""
    waits: bool = False  # no step: the actor is put off until its attempt is ended (see `reduction`)

    def __str__(self) -> str:
        if self.waits:
            return f"{self.actor}!waits"
        fault = "" if self.fault is None else f"!{self.fault}"
        return f"{self.actor}{fault}{'=' + self.detail if self.detail else ''}"


def schedule_text(choices: list[Choice]) -> str:
    """Write a schedule on one line; equal steps in a row are counted: `P0*3 S P1!crash`."""
    runs: list[tuple[Choice, int]] = []
    for choice in choices:
        if runs and runs[-1][0] == choice:
            runs[-1] = (choice, runs[-1][1] + 1)
        else:
            runs.append((choice, 1))
    return " ".join(str(choice) if times == 1 else f"{choice}*{times}" for choice, times in runs)


def parse_schedule(text: str) -> list[Choice]:
    """Read what `schedule_text` wrote."""
    choices: list[Choice] = []
    for word in text.split():
        step, _, times = word.partition("*")
        who, _, rest = step.partition("!")
        fault, _, detail = rest.partition("=")
        waits = fault == "waits"
        choice = Choice(who, Fault(fault) if fault and not waits else None, detail, waits)
        choices.extend([choice] * int(times or 1))
    return choices


class Budget(NamedTuple):
    """How many faults of each kind may still happen."""

    crashes: int = 0
    lost_replies: int = 0
    no_answers: int = 0
    lies: int = 0
    hidden: int = 0

    def after(self, fault: Fault | None) -> Budget:
        """Return what is left after one more."""
        match fault:
            case None:
                return self
            case Fault.CRASH:
                return self._replace(crashes=self.crashes - 1)
            case Fault.LOST_REPLY:
                return self._replace(lost_replies=self.lost_replies - 1)
            case Fault.LIE:
                return self._replace(lies=self.lies - 1)
            case Fault.HIDE:
                return self._replace(hidden=self.hidden - 1)
            case _:
                return self._replace(no_answers=self.no_answers - 1)


NO_FAULTS: Final = Budget()
