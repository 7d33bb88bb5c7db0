"""What a simulated process has of its own: a clock and an identity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stages.engine.identity import Identity, Process

START_SECONDS: Final = 1_000_000.0


class Time:
    """The true time of a world, in seconds. It stands still unless the world is `ticking`."""

    def __init__(self, *, ticking: bool) -> None:
        self.seconds, self.ticking = START_SECONDS, ticking

    def ns(self) -> int:
        """Return the time as a file server notes it."""
        return int(self.seconds * 1e9)


class SimulatedClock:
    """A host's clock, `ahead_seconds` of the true time. What is read from it in a ticking world is remembered."""

    def __init__(
        self, time: Time, remember: Callable[[object], None] | None = None, *, ahead_seconds: float = 0.0
    ) -> None:
        self._time, self._remember, self._ahead_seconds = time, remember, ahead_seconds

    def now(self) -> float:
        return self._read()

    def monotonic(self) -> float:
        return self._read()

    def sleep(self, seconds: float) -> None:
        if self._time.ticking:
            self._time.seconds += seconds

    def _read(self) -> float:
        if self._remember is not None and self._time.ticking:
            self._remember(self._time.seconds)
        return self._time.seconds + self._ahead_seconds


class SimulatedIdentity(Identity):
    """Tokens that tell who issued them, and are the same in every repetition."""

    def __init__(self, number: int, job: str = "-") -> None:
        process = Process(boot_id=f"boot{number}", pid_namespace="-", pid=number, started_ticks=0)
        super().__init__(host=f"node{number}", process=process, job=job)
        self.number, self.issued = number, 0

    def token(self) -> str:
        self.issued += 1
        return self.latest

    @property
    def latest(self) -> str:
        """The token issued last."""
        return f"{self.number:04x}{self.issued:04x}"

    def is_mine(self, token: str) -> bool:
        """Tell whether an attempt was opened by this process."""
        return token.startswith(f"{self.number:04x}")
