"""The designs that do not hold (PROTOCOL 8, N1 to N7), each built from the engine's own parts."""

from __future__ import annotations

from stages.engine import names, policy
from stages.engine.finding import Finding
from stages.engine.mender import Mender
from stages.engine.owner import Owners, Silence
from stages.engine.records import Ended
from stages.engine.registers import Registers
from stages.engine.settlement import Settled
from stages.engine.sightings import Sightings
from stages.engine.state import Markers
from stages.engine.store import Claim, Store
from stages.engine.sweeper import Sweeper
from tests.simulation.mutants.doors import ByPath, door
from tests.simulation.setting import Engine

UNDECIDED = "undecided"


class StealingMender(Mender):
    """Takes over by unlinking the claim of an owner that it has found silent."""

    def _unfinished(self, handle: int, base: str, dataset: str, markers: Markers, *, asked: bool) -> Finding | None:
        tag = names.tag(self._stage, dataset)
        owner = self._store.registers.taken(handle, tag, markers.latest)
        if owner is None:
            return None
        attempt = names.Attempt(dataset, markers.latest, owner.token)
        if isinstance(self._silence(attempt, owner, asked=asked), Silence):
            self._store.fs.unlink(f"{base}/{dataset}/{names.taken(tag, markers.latest)}")
        return None


class StealingSweeper(Sweeper):
    def __init__(self, *, store: Store, owners: Owners, sightings: Sightings) -> None:
        super().__init__(store=store, owners=owners, sightings=sightings)
        self._mender = StealingMender(store, owners, sightings)


class CheckingStore(Store):
    """Publishes once it has looked whether the attempt is still its own; the register comes afterwards."""

    def commit(self, claim: Claim) -> Settled | None:
        if not self._is_still_mine(claim):
            self.fs.remove_tree(claim.private)
            return None
        try:
            self.fs.rename(f"{claim.private}/{names.OUTPUT}", self.passage.writes.dataset(claim.attempt.dataset))
        except OSError:
            return None
        value = policy.published(claim.attempt.token, claim.before).value
        self.registers.put(names.ended(claim.tag, claim.attempt.number), value, claim.handle)
        return self.settlement.roll_forward(claim.handle, claim.attempt)

    def _is_still_mine(self, claim: Claim) -> bool:
        """N1: it is as long as the claim stands."""
        owner = self.registers.taken(claim.handle, claim.tag, claim.attempt.number)
        return owner is not None and owner.token == claim.attempt.token


class NewerClaimStore(CheckingStore):
    """N6: it is as long as nobody has opened another."""

    def _is_still_mine(self, claim: Claim) -> bool:
        found = self.fs.listdir(claim.handle)
        number = claim.attempt.number
        return names.taken(claim.tag, number + 1) not in found and names.ended(claim.tag, number) not in found


class FencingMender(Mender):
    """N3: takes over by moving the attempt's private place away."""

    def _unfinished(self, handle: int, base: str, dataset: str, markers: Markers, *, asked: bool) -> Finding | None:
        tag = names.tag(self._stage, dataset)
        owner = self._store.registers.taken(handle, tag, markers.latest)
        if owner is None:
            return None
        attempt = names.Attempt(dataset, markers.latest, owner.token)
        if isinstance(self._silence(attempt, owner, asked=asked), Silence):
            self._store.fs.rename(self._at.attempt(attempt), f"{self._at.trash}/{attempt.directory}")
            value = Ended(kind=policy.NOTHING_SPENT.kind, lost=1, why="fenced").value
            self._store.registers.put(names.ended(tag, markers.latest), value, handle)
        return None


class FencingSweeper(Sweeper):
    def __init__(self, *, store: Store, owners: Owners, sightings: Sightings) -> None:
        super().__init__(store=store, owners=owners, sightings=sightings)
        self._mender = FencingMender(store, owners, sightings)


class MovingStore(CheckingStore):
    """N3: who is not fenced still finds the private place."""

    def _is_still_mine(self, claim: Claim) -> bool:
        return True


class TwoStepRegisters(Registers):
    """N4: an end is created exclusively, and then written."""

    def put(self, name: str, value: str, at: int | None = None) -> str | None:
        if not name.startswith("ended.") or at is None:
            return super().put(name, value, at)
        try:
            self._fs.symlink(UNDECIDED, name, at)
        except FileExistsError:
            found = self._fs.readlink(name, at)
            if found != UNDECIDED:
                return found
        draft = f"{name}.{value.split(':')[1]}"
        self._fs.symlink(value, draft, at)
        self._fs.rename_at(draft, name, at)
        return value

    def get(self, name: str, at: int | None = None) -> str | None:
        found = super().get(name, at)
        return None if found == UNDECIDED else found


class InferringMender(Mender):
    """N5: no private place and not ended, so it was published."""

    def _unfinished(self, handle: int, base: str, dataset: str, markers: Markers, *, asked: bool) -> Finding | None:
        tag = names.tag(self._stage, dataset)
        owner = self._store.registers.taken(handle, tag, markers.latest)
        if owner is None:
            return None
        attempt = names.Attempt(dataset, markers.latest, owner.token)
        try:
            self._store.fs.mtime_ns(self._at.attempt(attempt))
        except FileNotFoundError:
            before = self._before(handle, tag, markers.latest, owner) or policy.NOTHING_SPENT
            value = policy.published(owner.token, before).value
            self._store.registers.put(names.ended(tag, markers.latest), value, handle)
            self._store.settlement.roll_forward(handle, attempt)
            return None
        return super()._unfinished(handle, base, dataset, markers, asked=asked)


class InferringSweeper(Sweeper):
    def __init__(self, *, store: Store, owners: Owners, sightings: Sightings) -> None:
        super().__init__(store=store, owners=owners, sightings=sightings)
        self._mender = InferringMender(store, owners, sightings)


N1 = Engine(store=CheckingStore, sweeper=StealingSweeper)
N2 = Engine(sweeper=StealingSweeper)
N3 = Engine(store=MovingStore, sweeper=FencingSweeper)
N4 = Engine(registers=TwoStepRegisters)
N5 = Engine(sweeper=InferringSweeper)
N6 = Engine(store=NewerClaimStore)
N7 = Engine(door=door(ByPath))
