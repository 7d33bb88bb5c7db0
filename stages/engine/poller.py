"""The poller: look, claim, work, publish. One `turn()`; the loop around it is a few lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING

from loguru import logger

from stages.engine.attemptlog import AttemptLog
from stages.engine.discovery import Discovery
from stages.engine.drain import Drain
from stages.engine.errors import RevokedError, StageAlwaysFailsError, StageSetupError, StorageError
from stages.engine.policy import Cause
from stages.engine.publication import Publication, Terms, Verdict
from stages.engine.records import EndKind
from stages.engine.settlement import Settled
from stages.engine.store import Claim, Store, storage_error
from stages.engine.tally import Tally
from stages.engine.vigil import Limits, Vigil
from stages.engine.work.order import Work

if TYPE_CHECKING:
    from loguru import Logger

SAME_FAILURES_MAX = 5  # datasets in a row: then it is the stage, not the data
LOOK_SECONDS_MIN = 0.5


class Turn(StrEnum):
    """What a turn came to."""

    WORKED = "worked"
    NOTHING = "nothing to claim"


class Ending(StrEnum):
    """Why a poller ended well."""

    IDLE = "idle"
    DRAINED = "drained"
    ENOUGH = "datasets_per_poller reached"
    DEADLINE = "deadline near"


@dataclass(slots=True)
class Streak:
    """The datasets that failed in the same way, one after the other."""

    signature: str = ""
    datasets: set[str] = field(default_factory=set[str])

    def note(self, dataset: str, verdict: Verdict) -> bool:
        """Count an attempt; True once it is the stage that fails."""
        if verdict.cause is not Cause.FAILED:
            if verdict.cause is None:
                self.datasets.clear()
            return False
        if verdict.signature != self.signature:
            self.signature = verdict.signature
            self.datasets.clear()
        self.datasets.add(dataset)
        return len(self.datasets) >= SAME_FAILURES_MAX


class Poller:
    """Carries datasets of one stage, one at a time."""

    def __init__(
        self,
        *,
        store: Store,
        work: Work,
        terms: Terms,
        limits: Limits,
        drain: Drain,
        rng: Random,
    ) -> None:
        self._store, self._work, self._terms, self._limits = store, work, terms, limits
        self._drain, self._rng = drain, rng
        self._discovery = Discovery(store, rng, lease_seconds=terms.expires_seconds)
        self._streak, self._tally = Streak(), Tally(store.clock)
        self._vigil = Vigil(store=store, drain=drain, limits=limits, heartbeat_seconds=terms.heartbeat_seconds)
        self._publication = Publication(store=store, work=work, terms=terms, vigil=self._vigil)
        self.attempts_made = 0

    def poll(self) -> Ending:
        """Take turns until there is a reason to end.

        Raises StorageError, StageSetupError and StageAlwaysFailsError; nothing is held any more then.
        """
        try:
            return self._poll()
        finally:
            self._tally.tell()
            self._work.close()

    def _poll(self) -> Ending:
        clock, idle_since, pause = self._store.clock, None, LOOK_SECONDS_MIN
        while True:
            ending = self._ending()
            if ending is not None:
                return ending
            if self.turn() is Turn.WORKED:
                idle_since, pause = None, LOOK_SECONDS_MIN
                continue
            self._tally.tell()
            now = clock.monotonic()
            idle_since = now if idle_since is None else idle_since
            left = idle_since + self._limits.idle_seconds - now
            if self._limits.until_idle or left <= 0:
                return Ending.IDLE
            self._pause(min(pause, left))
            pause = min(pause * 2, self._limits.look_seconds_max)

    def _pause(self, seconds: float) -> None:
        """Wait with jitter, but not past the moment when a refused dataset is worth another call."""
        clock, soonest = self._store.clock, self._discovery.soonest()
        wait = min(seconds, self._limits.look_seconds_max) * self._rng.uniform(0.7, 1.0)
        if soonest is not None:
            wait = min(wait, max(0.01, soonest - clock.monotonic()))
        if self._limits.deadline is not None:
            wait = min(wait, max(0.0, self._vigil.seconds_left()))
        clock.sleep(wait)

    def _ending(self) -> Ending | None:
        if self._drain.is_requested:
            return Ending.DRAINED
        if self._limits.datasets_max is not None and self.attempts_made >= self._limits.datasets_max:
            return Ending.ENOUGH
        return Ending.DEADLINE if not self._vigil.has_time() else None

    def turn(self) -> Turn:
        """Claim one dataset, work on it and end the attempt.

        Raises StageSetupError before anything is claimed, StorageError with nothing held that the
        storage still let go, and StageAlwaysFailsError.
        """
        self._work.prepare(self._vigil.watch)
        self._vigil.ready()
        if self._ending() is not None:
            return Turn.NOTHING  # asked to stop while the stage was being set up
        try:
            claim = self._discovery.next()
        except OSError as error:
            raise storage_error(error) from error
        if claim is None:
            return Turn.NOTHING
        try:
            self._attempt(claim)
        except OSError as error:
            self._store.leave(claim)
            raise storage_error(error) from error
        except StorageError:
            self._store.leave(claim)
            raise
        finally:
            self._store.fs.close(claim.handle)
        return Turn.WORKED

    def _attempt(self, claim: Claim) -> None:
        log = AttemptLog(self._store.fs, claim, self._terms.log_bytes_max)
        self._vigil.begin(claim)
        try:
            verdict = self._publication.judge(claim, log)
            is_ours = self._conclude(claim, verdict)
        except RevokedError:
            _say(claim).warning("revoked: somebody else ended this attempt")
            self._store.abandon(claim)
            return
        except StageSetupError as error:
            self._store.end(claim, Cause.RELEASED, error.what)
            raise
        finally:
            log.close()
            self._vigil.end()
        self.attempts_made += 1
        if verdict.halt:
            raise StorageError(verdict.why, where=claim.private, todo="mend that, then start the poller again")
        if is_ours and self._streak.note(claim.attempt.dataset, verdict):
            raise StageAlwaysFailsError(
                f"{len(self._streak.datasets)} datasets in a row failed in the same way: {verdict.why}",
                where=self._store.passage.stage,
                todo=f"phaseline explain {claim.attempt.dataset}",
            )

    def _conclude(self, claim: Claim, verdict: Verdict) -> bool:
        """End the attempt; False: somebody else had ended it before, so its failure proves nothing."""
        if verdict.cause is None:
            settled = self._store.commit(claim)
            if settled is Settled.PUBLISHED:
                self._tally.note(claim.attempt)
            elif settled is not None:
                _say(claim).warning("committed, but {}: phaseline explain {}", settled, claim.attempt.dataset)
            is_ours = settled is not None
        else:
            end = self._store.end(claim, verdict.cause, verdict.why, verdict.after_seconds)
            if end is not None:
                what = "quarantined" if end.kind is EndKind.QUARANTINE else verdict.cause
                _say(claim).warning("{}: {}", what, verdict.why)
            is_ours = end is not None
        if not is_ours:
            _say(claim).warning("fenced: somebody else ended this attempt before")
        return is_ours


def _say(claim: Claim) -> Logger:
    return logger.bind(dataset=claim.attempt.dataset, attempt=claim.attempt.number)
