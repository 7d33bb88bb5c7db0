"""How many pollers each stage is given now, and how long one that keeps failing is left alone: pure (DESIGN 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from stages.engine.policy import doubled
from stages.engine.quantities import moment

FAILURES_MIN = 5  # so many in a row are no accident of one node


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a poller ended, or never began; `at` in seconds since the epoch, `why` in words for people."""

    failed: bool
    at: float
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A stage whose latest `failures` pollers all failed is not given another before `until` (since the epoch)."""

    until: float
    failures: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What is known of a stage. `pollers`: those that have not ended, waiting ones included.

    `closed` says why it may be given none, whatever waits; empty: it may. `pool` is where its pollers go.
    """

    stage: str
    claimable: int
    in_flight: int
    pollers: int
    pollers_max: int
    datasets_per_poller: int
    pool: str = ""
    pause: Pause | None = None
    closed: str = ""

    @property
    def has_work(self) -> bool:
        """Whether it will publish something that the next stage reads."""
        return self.claimable > 0 or self.in_flight > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """So many more pollers for a stage, and why so many, in words for people."""

    stage: str
    pollers: int
    why: str


def pause_after(ends: Sequence[End]) -> Pause | None:
    """Return the pause that follows from a stage's latest ends, newest first; it may be over.

    None: fewer than FAILURES_MIN failed in a row. The pause counts from the latest: a minute, doubled with
    every further failure, an hour at the most.
    """
    failed = [*takewhile(lambda end: end.failed, ends)]
    if len(failed) < FAILURES_MIN:
        return None
    latest = failed[0]
    return Pause(until=latest.at + doubled(len(failed) - FAILURES_MIN + 1), failures=len(failed), why=latest.why)


def plan(needs: Sequence[Need], free: Mapping[str, int], *, now: float) -> tuple[Ask, ...]:
    """Decide for all stages, first to last; one answer each.

    `free` holds the slots of each pool that nobody takes or waits for: from these, a stage whose upstream has work
    is given one poller more than its own work asks for, so that the next dataset finds it ready.
    """
    left = dict(free)
    asked = [_asked(need, _wanted(need, now)) for need in needs]
    for need, number in zip(needs, asked, strict=True):
        left[need.pool] = left.get(need.pool, 0) - number
    for at, (above, need) in enumerate(pairwise(needs), start=1):
        if above.has_work and left[need.pool] > 0:
            number = _asked(need, _wanted(need, now, ahead=1))
            left[need.pool] -= number - asked[at]
            asked[at] = number
    return tuple(
        Ask(stage=need.stage, pollers=number, why=_why(need, now)) for need, number in zip(needs, asked, strict=True)
    )


def _wanted(need: Need, now: float, *, ahead: int = 0) -> int:
    """Return how many pollers a stage should have in all."""
    if need.closed or (need.pause is not None and now < need.pause.until):
        return 0
    wanted = min(need.pollers_max, -(-need.claimable // need.datasets_per_poller) + ahead)
    return min(wanted, 1) if need.pause is not None else wanted  # after a pause one shows whether it is mended


def _asked(need: Need, wanted: int) -> int:
    return max(0, wanted - need.pollers)


def _why(need: Need, now: float) -> str:
    if need.closed:
        return need.closed
    if need.pause is not None and now < need.pause.until:
        return f"paused until {moment(need.pause.until)}, {need.pause.failures} in a row failed: {need.pause.why}"
    said = f"{need.claimable:,} claimable, {need.pollers} of {need.pollers_max} pollers"
    return f"{said}, {need.pause.failures} in a row failed: one is tried" if need.pause is not None else said
