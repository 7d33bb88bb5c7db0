"""Outcome: what became of one attempt at the author's work."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stop(StrEnum):
    """Why the poller ends an attempt whose work still goes on."""

    DRAIN = "drain"
    DEADLINE = "deadline"
    REVOKED = "revoked"


class OutcomeKind(StrEnum):
    """What the poller has to do about an attempt."""

    PUBLISH = "publish"
    FAIL = "fail"
    REJECT = "reject"
    LATER = "later"
    STORAGE = "storage"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one attempt, in one line that an operator understands.

    `signature` is equal for failures of the same way, whatever the dataset: an exception's type and place, "timeout",
    "exit code 3", "signal 11". `after_seconds` stands with LATER only, None lets the engine choose. `stop` stands with
    STOPPED only. `contained` is False when a descendant outlived all that was done to end it: then nothing may be
    published.
    """

    kind: OutcomeKind
    why: str
    signature: str = ""
    after_seconds: float | None = None
    stop: Stop | None = None
    contained: bool = True


PUBLISHED = Outcome(kind=OutcomeKind.PUBLISH, why="done")


def stopped(stop: Stop) -> Outcome:
    """Return the outcome of an attempt that the poller itself ended."""
    return Outcome(kind=OutcomeKind.STOPPED, why=f"stopped by its poller: {stop}", stop=stop)


def settled(outcome: Outcome, stop: Stop | None) -> Outcome:
    """Return `outcome`, unless the poller was told to stop while it came about.

    A cluster that ends a job sends its signal to the author's processes too, so a failure at that moment proves nothing
    about the dataset. What finished stays finished, except after a revocation: then nobody asks any more.
    """
    if stop is None or (stop is not Stop.REVOKED and outcome.kind is not OutcomeKind.FAIL):
        return outcome
    return stopped(stop)
