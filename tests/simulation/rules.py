"""What a simulated world is like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.simulation.beliefs import Lies
from tests.simulation.calls import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of a world; those in seconds say how long a call takes where the time is `ticking`."""

    split: bool = False  # a path's parents are resolved in a step of their own
    fine: bool = False  # trees are removed name by name
    ticking: bool = False
    lies: Lies = Lies.NONE
    reduced: bool = True  # see `reduction`
    errors_at: tuple[str, ...] = ("publish:",)  # registers whose put may go unanswered
    hashing_seconds: float = 0.0  # until the engine may beat
    reading_seconds: float = 0.0  # the same of an author
    outage_seconds: float = 0.0  # of the actor T: the server is down meanwhile
    skew_seconds: float = 0.0  # what every host's clock is ahead of the one before

    @property
    def is_timed(self) -> bool:
        """Whether anybody can notice a time."""
        return self.ticking or self.lies in (Lies.LISTINGS, Lies.ATTRIBUTES)

    def seconds(self, actor: str, call: Call) -> float:
        """Return how long a call takes."""
        if actor == "T":
            return self.outage_seconds
        match call.name:
            case "digest":
                return self.hashing_seconds
            case "read":
                return self.reading_seconds
            case _:
                return 0.0


PLAIN: Final = Rules()
