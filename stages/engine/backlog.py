"""How much work a stage has: two listings and what the last sweep knew, no dataset is opened (DESIGN 4)."""

from __future__ import annotations

from dataclasses import dataclass

from stages.engine import names, sightings
from stages.engine.finding import Action
from stages.engine.fs import FileSystem
from stages.engine.layout import Location, Root

TRUSTED_SECONDS = 900.0  # what a sweep saw longer ago may have been mended by a person since

_STUCK = frozenset({Action.BLOCKED, Action.NO_PERMISSION, Action.NOT_A_DATASET, Action.DAMAGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """`waiting` datasets stand in the location; so many of them are at work, and so many cannot be claimed now."""

    waiting: int
    in_flight: int
    held_back: int

    @property
    def claimable(self) -> int:
        """How many a poller could claim, as far as is known."""
        return self.waiting - self.in_flight - self.held_back


def look(fs: FileSystem, root: Root, stage: str, reads: Location, *, now: float) -> Backlog:
    """Count a stage's datasets; `now` in seconds since the epoch. Raises OSError."""
    attempts = map(names.parse_attempt, fs.listdir(reads.work))
    working = {attempt.dataset for attempt in attempts if attempt is not None}
    held = _held_back(fs, root, stage, now) - working
    waiting = in_flight = held_back = 0
    for name in fs.listdir(reads.path):
        if names.is_candidate(name):
            waiting += 1
            if name in working:
                in_flight += 1
            elif name in held:
                held_back += 1
    return Backlog(waiting=waiting, in_flight=in_flight, held_back=held_back)


def _held_back(fs: FileSystem, root: Root, stage: str, now: float) -> set[str]:
    """Return what the last sweep knew to be backing off still, or to wait for a person."""
    seen, written = sightings.latest(fs, root.sweep, stage)
    held = {name for name, waits in seen.backing_off.items() if waits.not_before > now}
    if written is not None and now - written <= TRUSTED_SECONDS:
        held.update(name for name, trouble in seen.troubles.items() if trouble in _STUCK)
    return held
