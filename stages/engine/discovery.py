"""Finding the next dataset to claim: one listing, kept, and claims tried directly (PROTOCOL 6)."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from random import Random
from typing import assert_never

from loguru import logger

from stages.engine.store import Claim, Loss, Refusal, Store

LIST_SECONDS_MIN = 5.0  # a listing younger than this is trusted
LISTING_SHARE = 20.0  # and one younger than this many times its own cost
FULL_PASS_SECONDS = 60.0
SETTLED_SECONDS = 2.0  # a second change within one tick of the server's clock can hide
AGAIN_SECONDS = 15.0  # a dataset in flight is tried again after this
TROUBLED_SECONDS = 60.0  # one that cannot be claimed at all, after this
LOSSES_MIN = 8


class Ring:
    """Candidates in a ring: walk on after a win, jump after a loss, so that claimers spread out."""

    def __init__(self, names: list[str], start: int) -> None:
        self._names: list[str | None] = [*names]
        self._left, self._at = len(names), start

    def __len__(self) -> int:
        return self._left

    def take(self) -> str:
        """Return the next candidate and forget it; IndexError when there is none."""
        if not self._left:
            raise IndexError
        names = self._names
        if self._left * 2 < len(names):
            self._compact()
            names = self._names
        while True:
            self._at %= len(names)
            name, names[self._at] = names[self._at], None
            self._at += 1
            if name is not None:
                self._left -= 1
                return name

    def jump(self, rng: Random) -> None:
        """Go on somewhere else."""
        if self._names:
            self._at = rng.randrange(len(self._names))

    def _compact(self) -> None:
        """Half of the ring is gone: close the gaps, so that a step stays cheap."""
        before = sum(name is not None for name in self._names[: self._at])
        self._names = [name for name in self._names if name is not None]
        self._at = before


@dataclass(frozen=True, slots=True)
class _Listing:
    """What is known of the last listing; times in seconds of the own monotonic clock."""

    mtime_ns: int
    mtime_seen: float
    listed: float
    cost_seconds: float

    @property
    def is_settled(self) -> bool:
        """Whether the directory had been as it was for a while, so that the listing shows all of it."""
        return self.listed - self.mtime_seen >= SETTLED_SECONDS


class Discovery:
    """Finds the next dataset of one stage that this poller can own."""

    def __init__(self, store: Store, rng: Random, *, lease_seconds: float = AGAIN_SECONDS) -> None:
        self._store, self._rng = store, rng
        self._ring = Ring([], 0)
        self._limit = LOSSES_MIN
        self._due: list[str] = []  # refused before, now worth another call: tried first
        self._listing: _Listing | None = None
        self._waits: dict[str, float] = {}  # dataset -> when to try again, on the monotonic clock
        self._again_seconds = min(lease_seconds / 2, AGAIN_SECONDS)

    def next(self) -> Claim | None:
        """Claim the next dataset; None when there is none that could be claimed now.

        Raises StorageError.
        """
        self._call_waiting()
        listed = self._is_old() and self._list()
        while True:
            claim = self._walk(None if listed else self._limit)
            if claim is not None or listed:
                return claim
            listed = self._list()
            if not listed and not self._has_candidates():
                return None

    def soonest(self) -> float | None:
        """When a dataset that was refused is tried again, in seconds of the monotonic clock."""
        return min(self._waits.values(), default=None)

    def _has_candidates(self) -> bool:
        return bool(self._due or len(self._ring))

    def _walk(self, losses_max: int | None) -> Claim | None:
        losses = 0
        while self._has_candidates() and (losses_max is None or losses <= losses_max):
            dataset = self._due.pop() if self._due else self._ring.take()
            outcome = self._store.claim(dataset)
            if isinstance(outcome, Claim):
                return outcome
            self._note(dataset, outcome)
            self._ring.jump(self._rng)
            losses += 1
        return None

    def _note(self, dataset: str, loss: Loss) -> None:
        """Remember when a refused dataset is worth another call."""
        clock = self._store.clock
        match loss.refusal:
            case Refusal.GONE | Refusal.SETTLED:
                return
            case Refusal.IN_FLIGHT | Refusal.NOT_READY:
                wait_seconds = self._again_seconds
            case Refusal.BACKING_OFF:
                wait_seconds = max(0.0, loss.not_before - clock.now())
            case Refusal.NO_PERMISSION | Refusal.NOT_A_DATASET | Refusal.DAMAGED | Refusal.BLOCKED:
                logger.bind(dataset=dataset).warning("not claimed: {}", f"{loss.refusal} {loss.why}".strip())
                wait_seconds = TROUBLED_SECONDS
            case _:
                assert_never(loss.refusal)
        self._waits[dataset] = clock.monotonic() + wait_seconds

    def _call_waiting(self) -> None:
        if not self._waits:
            return
        now = self._store.clock.monotonic()
        due = [dataset for dataset, when in self._waits.items() if when <= now]
        for dataset in due:
            del self._waits[dataset]
        self._due += due

    def _is_old(self) -> bool:
        if self._listing is None:
            return True
        age = self._store.clock.monotonic() - self._listing.listed
        return age > max(LIST_SECONDS_MIN, LISTING_SHARE * self._listing.cost_seconds)

    def _list(self) -> bool:
        """List the location, unless nothing can have changed since; False: it was not listed."""
        clock, path = self._store.clock, self._store.passage.reads.path
        mtime_ns, now, last = self._store.fs.mtime_ns(path), clock.monotonic(), self._listing
        seen = now
        if last is not None and last.mtime_ns == mtime_ns:
            seen = last.mtime_seen
            if last.is_settled and now - last.listed < FULL_PASS_SECONDS:
                return False
        self._ring, self._due = Ring([], 0), []  # before the new list comes: a million names need not stand twice
        names = _candidates(self._store.fs.listdir(path))
        if self._waits:
            there = set(names)
            self._waits = {dataset: when for dataset, when in self._waits.items() if dataset in there}
            names = [name for name in names if name not in self._waits]
        start = self._rng.randrange(len(names)) if names else 0
        self._ring = Ring(names, start)
        self._limit = LOSSES_MIN + len(names) // 16
        self._listing = _Listing(mtime_ns, seen, now, clock.monotonic() - now)
        return True


def _candidates(names: list[str]) -> list[str]:
    """Sort, and cut out what is the engine's: names in `_` and `.` stand together once sorted."""
    names.sort()
    for first in "_.":
        low = bisect_left(names, first)
        del names[low : bisect_left(names, chr(ord(first) + 1), low)]
    return names
