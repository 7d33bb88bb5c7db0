"""Pollers, sweepers, owners' judges and reruns with one rule of PROTOCOL 3 broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from stages.engine import archive, holders, names
from stages.engine.attemptlog import AttemptLog
from stages.engine.drain import Drain
from stages.engine.finding import Finding
from stages.engine.fs import Entry
from stages.engine.garbage import Garbage
from stages.engine.mender import Mender
from stages.engine.owner import Owners, Silence
from stages.engine.policy import Cause
from stages.engine.poller import Poller
from stages.engine.publication import PUBLISH, Publication, Terms, Verdict
from stages.engine.records import ADMIN, Ended, EndKind, Taken, is_earlier_start
from stages.engine.sightings import Freshness, Sightings
from stages.engine.state import Markers
from stages.engine.store import Claim, Store
from stages.engine.sweeper import Sweeper
from stages.engine.vigil import Limits, Vigil
from stages.engine.work.order import Work
from stages.engine.work.outcome import Outcome, Stop


class Publishing(Poller):
    """A poller with another publication or another vigil."""

    vigil: type[Vigil] = Vigil
    publication: type[Publication] = Publication

    def __init__(self, *, store: Store, work: Work, terms: Terms, limits: Limits, drain: Drain, rng: Random) -> None:
        super().__init__(store=store, work=work, terms=terms, limits=limits, drain=drain, rng=rng)
        beat = terms.heartbeat_seconds
        self._vigil = self.vigil(store=store, drain=drain, limits=limits, heartbeat_seconds=beat)
        self._publication = self.publication(store=store, work=work, terms=terms, vigil=self._vigil)


class LooksNotForItsOutput(Publication):
    """COMPLETE 2: without its output nothing is committed."""

    def judge(self, claim: Claim, log: AttemptLog) -> Verdict:
        verdict = super().judge(claim, log)
        return PUBLISH if verdict.why.startswith("it vanished") else verdict


class PublishesWhatIsStillWritten(Publication):
    """COMPLETE 1: first every descendant is stopped."""

    def _weigh(self, outcome: Outcome, claim: Claim) -> Verdict:
        return super()._weigh(replace(outcome, contained=True), claim)


class BlamesWhatWasMoved(Publication):
    """FAIL: a dataset that was moved away meanwhile is not to blame."""

    def _moved(self, claim: Claim) -> Verdict | None:
        return None


class ProcessesNothing(Publication):
    """ARRIVE: an empty dataset is given back."""

    def _refused(self, claim: Claim, items: list[Entry]) -> Verdict | None:
        return None


class BeatsNotWhileHashing(Vigil):
    """BEAT: the engine's own steps beat too."""

    def progress(self) -> None:
        return


class BeatsNotAtWork(Vigil):
    """BEAT: it beats while the author's process lives."""

    def watch(self) -> Stop | None:
        return None


class GoesOnWhenRevoked(Vigil):
    """BEAT: ENOENT means revoked."""

    def watch(self) -> Stop | None:
        stop = super().watch()
        return None if stop is Stop.REVOKED else stop


class Negligent(Publishing):
    publication = LooksNotForItsOutput


class Hasty(Publishing):
    publication = PublishesWhatIsStillWritten


class Blaming(Publishing):
    publication = BlamesWhatWasMoved


class Unasking(Publishing):
    publication = ProcessesNothing


class Silent(Publishing):
    vigil = BeatsNotWhileHashing


class SilentAtWork(Publishing):
    vigil = BeatsNotAtWork


class Stubborn(Publishing):
    vigil = GoesOnWhenRevoked


class Sweeping(Sweeper):
    """A sweeper with another mender or another garbage collector."""

    mender: type[Mender] = Mender
    garbage: type[Garbage] = Garbage

    def __init__(self, *, store: Store, owners: Owners, sightings: Sightings) -> None:
        super().__init__(store=store, owners=owners, sightings=sightings)
        self._mender = self.mender(store, owners, sightings)
        self._garbage = self.garbage(store)


class LooksAtNoRegister(Garbage):
    """SWEEP: a private place goes only if a register says so."""

    def collect(self, directory: str, *, is_seen: bool) -> tuple[bool, Finding | None]:
        del is_seen
        self._store.fs.remove_tree(f"{self._at.work}/{directory}")
        return True, None


class LooksAtNoToken(Garbage):
    """SWEEP: and only if that register carries this attempt's token."""

    def collect(self, directory: str, *, is_seen: bool) -> tuple[bool, Finding | None]:
        attempt = names.parse_attempt(directory)
        if attempt is not None:
            for entry in archive.archived(self._store.fs.listdir(self._at.done)):
                if entry.dataset == attempt.dataset:
                    handle = self._store.fs.opendir(f"{self._at.done}/{entry.name}")
                    try:
                        self._store.settlement.roll_forward(handle, attempt)
                    finally:
                        self._store.fs.close(handle)
                    return True, None
        return super().collect(directory, is_seen=is_seen)


class RemovesTheUnknown(Garbage):
    """SWEEP: an unknown attempt with output is left to a person."""

    def _unknown(self, directory: str, why: str) -> Finding | None:
        self._store.fs.remove_tree(f"{self._at.work}/{directory}")
        return None


class BindsNoRequest(Mender):
    """SWEEP: a retry mark is bound to one attempt."""

    def _accept(self, handle: int, dataset: str, markers: Markers) -> bool:
        return markers.request is not None


class GrantsNothing(Mender):
    """SWEEP: a request gives the whole budget back."""

    def _grant(self, handle: int, base: str, attempt: names.Attempt, tag: str) -> Finding | None:
        registers, number = self._store.registers, attempt.number
        spent = registers.ended(handle, tag, number)
        if spent is None or registers.put(names.taken(tag, number + 1), _ADMINS, handle) != _ADMINS:
            return None
        again = Ended(kind=EndKind.RETRY, failures=spent.failures, lost=spent.lost, why="operator")
        registers.put(names.ended(tag, number + 1), again.value, handle)
        return self._return(base, attempt.dataset)


_ADMINS = Taken(token=ADMIN, host="-", pid=0, job="-").value


class ClearsUpFirst(Sweeper):
    """STALE: a requeued job decides the end of what its earlier start holds, before anything of that goes."""

    def end_former(self, job: str) -> list[Finding]:
        for attempt, owner in list(holders.held(self._store, sorted(self._store.fs.listdir(self._at.work)))):
            if is_earlier_start(owner.job, job):
                self._store.fs.remove_tree(self._at.attempt(attempt))
        return super().end_former(job)


class Unguarded(Sweeping):
    garbage = LooksAtNoRegister


class Mistaking(Sweeping):
    garbage = LooksAtNoToken


class Tidy(Sweeping):
    garbage = RemovesTheUnknown


class Unbinding(Sweeping):
    mender = BindsNoRequest


class Stingy(Sweeping):
    mender = GrantsNothing


class LooksOnce(Owners):
    """STALE: a stale attempt is looked at once more."""

    def silence(
        self,
        sightings: Sightings,
        attempt: names.Attempt,
        private: str,
        owner: Taken,
        monotonic: Callable[[], float],
    ) -> Silence | Freshness:
        found = super().silence(sightings, attempt, private, owner, monotonic)
        return Silence(cause=Cause.LOST, why="silent") if found is Freshness.SUSPECT else found


class ComparesClocks(Owners):
    """STALE: clocks of different hosts are never compared."""

    def silence(
        self,
        sightings: Sightings,
        attempt: names.Attempt,
        private: str,
        owner: Taken,
        monotonic: Callable[[], float],
    ) -> Silence | Freshness:
        try:
            age_seconds = monotonic() - self._fs.mtime_ns(private) / 1e9
        except FileNotFoundError:
            return Freshness.FRESH
        silent = age_seconds > self._lease.expires_seconds + 1.5 * self._lease.heartbeat_seconds
        return Silence(cause=Cause.LOST, why="silent") if silent else Freshness.FRESH


class DatesTooEarly(Owners):
    """STALE: silence is counted from the answer to a look."""

    def silence(
        self,
        sightings: Sightings,
        attempt: names.Attempt,
        private: str,
        owner: Taken,
        monotonic: Callable[[], float],
    ) -> Silence | Freshness:
        now = monotonic()
        return super().silence(sightings, attempt, private, owner, lambda: now)
