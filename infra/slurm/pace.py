"""How fast jobs are handed in: a few at once, then so many a second, so that a scheduler is not flooded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

BURST = 20.0
PER_SECOND = 4.0


@dataclass(slots=True, kw_only=True)
class Pace:
    """`burst` submissions at once, `per_second` after them. Clocks in seconds."""

    burst: float = BURST
    per_second: float = PER_SECOND
    monotonic: Callable[[], float] = time.monotonic
    pause: Callable[[float], object] = time.sleep
    _free_at: float = field(default=float("-inf"))

    def wait(self) -> None:
        """Return when the next one may be handed in."""
        now = self.monotonic()
        begins = max(self._free_at, now - self.burst / self.per_second)
        self._free_at = begins + 1.0 / self.per_second
        if self._free_at > now:
            self.pause(self._free_at - now)
