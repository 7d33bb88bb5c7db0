"""Put one dataset right: what its registers say, done; what its owner left, decided (PROTOCOL 3, SWEEP)."""

from __future__ import annotations

from contextlib import suppress
from typing import assert_never

from stages.engine import names
from stages.engine.finding import Action, Finding
from stages.engine.owner import Owners, Silence
from stages.engine.policy import NOTHING_SPENT, Cause, granted
from stages.engine.records import ADMIN, Ended, EndKind, Taken
from stages.engine.settlement import Settled
from stages.engine.sightings import BackingOff, Freshness, Sightings
from stages.engine.state import Markers, accepted, read_markers
from stages.engine.store import Store


class Mender:
    """Mends the datasets of one stage, one at a time, through a handle."""

    def __init__(self, store: Store, owners: Owners, sightings: Sightings) -> None:
        self._store, self._at, self._owners, self._sightings = store, store.passage.reads, owners, sightings
        self._stage = store.passage.stage
        self.in_flight: set[str] = set()  # what was found unfinished in this pass, by its name in _work
        self.returned: set[str] = set()  # what was brought back from _failed in this pass

    def begin(self) -> None:
        """Begin a pass."""
        self.in_flight.clear()
        self.returned.clear()

    def mend(self, base: str, dataset: str) -> Finding | None:
        """Open a dataset at `base` and put it right. Raises OSError and DamagedRegisterError."""
        if base == self._at.path:  # opened first; another one of that name may stand in _failed
            self._sightings.troubles.pop(dataset, None)
        backing_off = self._sightings.backing_off.pop(dataset, None)
        handle = self._store.fs.opendir(f"{base}/{dataset}")
        try:
            found = self._store.fs.listdir(handle)
            markers = read_markers(found, self._stage, dataset)
            asked = self._accept(handle, dataset, markers)
            if not markers.latest:
                return self._return(base, dataset)
            if not markers.ended:
                return self._unfinished(handle, base, dataset, markers, asked=asked)
            return self._finished(handle, base, dataset, markers, asked=asked, known=backing_off)
        finally:
            self._store.fs.close(handle)

    def _accept(self, handle: int, dataset: str, markers: Markers) -> bool:
        """Bind an operator's request to the attempt that it was made for; the mark stays as history."""
        if markers.request is None:
            return markers.granted
        tag = names.tag(self._stage, dataset)
        self._store.fs.rename_at(markers.request, accepted(tag, markers.latest), handle)
        return True

    def _return(self, base: str, dataset: str) -> Finding | None:
        """Put a dataset that is not quarantined where it is claimed."""
        if base == self._at.failed:
            if self._store.settlement.bring_back(dataset) is None:
                return self._blocked(base, dataset, self._at.path)
            self.returned.add(dataset)
        return None

    def _unfinished(self, handle: int, base: str, dataset: str, markers: Markers, *, asked: bool) -> Finding | None:
        tag = names.tag(self._stage, dataset)
        owner = self._store.registers.taken(handle, tag, markers.latest)
        if owner is None:
            return None
        attempt = names.Attempt(dataset, markers.latest, owner.token)
        self.in_flight.add(attempt.directory)
        silence = self._silence(attempt, owner, asked=asked)
        if silence is Freshness.SUSPECT:
            return self._found(attempt, Action.SUSPECTED, "silent for a lease; looked at once more")
        if not isinstance(silence, Silence):
            return self._return(base, dataset)  # in flight: it belongs where datasets are claimed
        before = self._before(handle, tag, markers.latest, owner)
        if before is None:
            return None
        end = self._store.decide(handle, attempt, before=before, cause=silence.cause, why=silence.why)
        self._sightings.attempts.pop(attempt.directory, None)
        if end is None:
            return None  # its owner was quicker
        if end.kind is EndKind.QUARANTINE:
            return self._found(attempt, Action.QUARANTINED, end.why)
        self._return(base, dataset)
        return self._found(attempt, Action.GRANTED if asked else Action.REQUEUED, end.why)

    def _silence(self, attempt: names.Attempt, owner: Taken, *, asked: bool) -> Silence | Freshness:
        if asked or owner.token == ADMIN:
            return Silence(cause=Cause.OPERATOR, why="operator")
        monotonic = self._store.clock.monotonic
        return self._owners.silence(self._sightings, attempt, self._at.attempt(attempt), owner, monotonic)

    def _before(self, handle: int, tag: str, number: int, owner: Taken) -> Ended | None:
        """The budget spent before an attempt; a virtual one gives it back."""
        if number == 1 or owner.token == ADMIN:
            return NOTHING_SPENT
        return self._store.registers.ended(handle, tag, number - 1)

    def _finished(
        self,
        handle: int,
        base: str,
        dataset: str,
        markers: Markers,
        *,
        asked: bool,
        known: BackingOff | None,
    ) -> Finding | None:
        tag = names.tag(self._stage, dataset)
        end = self._store.registers.ended(handle, tag, markers.latest)
        if end is None:
            return None
        attempt = names.Attempt(dataset, markers.latest, end.token)
        is_waiting = end.kind is EndKind.RETRY and end.not_before > self._store.clock.now()
        if asked and (end.kind is EndKind.QUARANTINE or is_waiting):
            return self._grant(handle, base, attempt, tag)
        if end.kind is EndKind.RETRY:
            self._note_backing_off(handle, attempt, end, known, is_waiting=is_waiting)
            return self._return(base, dataset)
        if end.kind is EndKind.QUARANTINE and base == self._at.failed:
            return None  # it is where it belongs
        return self._settle(handle, attempt, end)

    def _grant(self, handle: int, base: str, attempt: names.Attempt, tag: str) -> Finding | None:
        """A virtual attempt gives the dataset its whole budget back."""
        store, number = self._store, attempt.number + 1
        value = Taken(token=ADMIN, host="-", pid=0, job="-").value
        if store.registers.put(names.taken(tag, number), value, handle) != value:
            return None  # a poller was quicker: the retry that was asked for is under way
        store.registers.put(names.ended(tag, number), granted().value, handle)
        self._return(base, attempt.dataset)
        store.ring(handle)
        return self._found(attempt, Action.GRANTED, "operator")

    def _settle(self, handle: int, attempt: names.Attempt, end: Ended) -> Finding | None:
        settled = self._store.settlement.settle(handle, attempt.dataset, attempt.number)
        match settled:
            case Settled.PUBLISHED:
                return self._found(attempt, Action.PUBLISHED, "its owner died after the commit")
            case Settled.BLOCKED:
                there = self._at.failed if end.kind is EndKind.QUARANTINE else self._store.passage.writes.path
                return self._blocked(self._at.path, attempt.dataset, there)
            case Settled.QUARANTINED:
                return self._found(attempt, Action.QUARANTINED, "")
            case Settled.REQUEUED | Settled.UNPROVEN | Settled.UNKNOWN:
                return None
            case _:
                assert_never(settled)

    def _blocked(self, base: str, dataset: str, there: str) -> Finding:
        self._sightings.troubles[dataset] = Action.BLOCKED
        why = f"{there}/{dataset} is in the way: move it away"
        return Finding(dataset=dataset, action=Action.BLOCKED, where=f"{base}/{dataset}", why=why)

    def _note_backing_off(
        self,
        handle: int,
        attempt: names.Attempt,
        end: Ended,
        known: BackingOff | None,
        *,
        is_waiting: bool,
    ) -> None:
        """Remember it for partial passes; ring once when its time has come."""
        same = known is not None and known.number == attempt.number
        rung = known is not None and same and known.rung
        if not is_waiting and not rung and same:
            with suppress(OSError):
                self._store.fs.touch(handle)
            rung = True
        self._sightings.backing_off[attempt.dataset] = BackingOff(attempt.number, end.not_before, rung)

    def _found(self, attempt: names.Attempt, action: Action, why: str) -> Finding:
        return Finding(dataset=attempt.dataset, action=action, where=self._at.dataset(attempt.dataset), why=why)
