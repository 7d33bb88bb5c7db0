"""The door to time. Wall clocks of different hosts are never compared (PROTOCOL 3, STALE)."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Time as the engine sees it; tests hand in one that they move by hand."""

    def now(self) -> float:
        """Return seconds since the epoch by this host's wall clock: for not-before and for people."""
        ...

    def monotonic(self) -> float:
        """Return seconds of CLOCK_MONOTONIC: the same for all processes of one boot."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; may return early when a signal arrives."""
        ...


class SystemClock:
    """The real clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
