"""Watching over one attempt: its heartbeat, and the reasons to stop it early."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass

from stages.engine.drain import Drain
from stages.engine.errors import RevokedError
from stages.engine.store import Claim, Store
from stages.engine.work.outcome import Stop

PATIENCE = 0.5  # of the grace time goes to the work, the rest is for letting go
WATCH_SECONDS_MAX = 1.0
LIKELY = 1.5  # a dataset is taken to need at most this many times the longest seen
FIRST_SHARE = 0.5  # of its time has to be left for a poller that has seen none: it knows nothing of how long they take
FULL_SHARE = 0.9  # of its time, and an attempt had all that there is: the rest went by in looking


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a poller ends. `deadline` is on the monotonic clock; `until_idle` ends it with the backlog.

    `work_seconds_max`: no attempt takes longer than this.
    """

    idle_seconds: float = 300.0
    datasets_max: int | None = None
    until_idle: bool = False
    deadline: float | None = None
    grace_seconds: float = 20.0
    look_seconds_max: float = 30.0
    work_seconds_max: float = math.inf


class StoppedError(Exception):
    """The engine's own step was stopped half-way."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop)
        self.stop = stop


class Vigil:
    """Keeps the heartbeat of the attempt at hand and knows how much time is left.

    `watch_seconds` is how often `watch` wants to be called while the author's code runs.
    """

    def __init__(self, *, store: Store, drain: Drain, limits: Limits, heartbeat_seconds: float) -> None:
        self._store, self._clock, self._drain, self._limits = store, store.clock, drain, limits
        self._heartbeat_seconds = heartbeat_seconds
        self.watch_seconds = min(heartbeat_seconds, WATCH_SECONDS_MAX)
        self._last_moment = math.inf if limits.deadline is None else limits.deadline - limits.grace_seconds
        self._claim: Claim | None = None
        self._begun = self._beaten = 0.0
        self._asked: float | None = None
        self._ready: float | None = None
        self._attempts, self._longest_seconds = 0, 0.0

    def ready(self) -> None:
        """The stage is set up: from now on time goes by in looking and working only."""
        self._ready = self._clock.monotonic() if self._ready is None else self._ready

    def begin(self, claim: Claim) -> None:
        """Watch over an attempt from now on."""
        self._claim = claim
        self._begun = self._beaten = self._clock.monotonic()
        self._attempts += 1

    def end(self) -> None:
        """The attempt is over."""
        self._claim = None
        self._longest_seconds = max(self._longest_seconds, self._clock.monotonic() - self._begun)

    def watch(self) -> Stop | None:
        """Beat if it is time to; return why the attempt is to be stopped, if it is."""
        now = self._clock.monotonic()
        if self._claim is not None and now - self._beaten >= self._heartbeat_seconds:
            self._beaten = now
            try:
                with suppress(PermissionError):
                    self._store.beat(self._claim)
            except RevokedError:
                return Stop.REVOKED
            except OSError:
                pass  # a storage that does not answer now may answer in time for the next beat
        if self._drain.is_requested and (self._claim is None or self._is_out_of_patience(now)):
            return Stop.DRAIN
        return Stop.DEADLINE if now >= self._last_moment else None

    def progress(self) -> None:
        """The engine has moved bytes: beat, or stop. Raises RevokedError and StoppedError."""
        stop = self.watch()
        if stop is Stop.REVOKED:
            raise RevokedError
        if stop is not None:
            raise StoppedError(stop)

    def seconds_left(self) -> float:
        """How long an attempt may still run before the poller has to let go."""
        return self._last_moment - self._clock.monotonic()

    def has_time(self) -> bool:
        """Whether a dataset that is claimed now is likely to be finished in the time that is left."""
        left = self.seconds_left()
        if self._attempts:
            return left > 0 and left >= LIKELY * self._longest_seconds
        return left > 0 and left >= min(FIRST_SHARE * self._seconds_given(), self._limits.work_seconds_max)

    def had_full_time(self) -> bool:
        """Whether the attempt at hand had all the time that this poller was given, but for a little looking."""
        return self._attempts == 1 and self._last_moment - self._begun >= FULL_SHARE * self._seconds_given()

    def _seconds_given(self) -> float:
        """How long all attempts together may take."""
        return self._last_moment - (self._clock.monotonic() if self._ready is None else self._ready)

    def _is_out_of_patience(self, now: float) -> bool:
        if not self._drain.times and self._last_moment < math.inf:
            return False  # a warning: what is at hand has until the last moment
        self._asked = now if self._asked is None else self._asked
        return self._drain.times > 1 or now - self._asked >= PATIENCE * self._limits.grace_seconds
