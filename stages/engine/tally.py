"""Tally: says which datasets were published, and how many when they are more than anybody reads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from stages.engine.clock import Clock
    from stages.engine.names import Attempt

LINES_MAX = 20  # a second: a line takes as long as many a file system call
SECOND = 1.0


class Tally:
    """One line for each dataset, up to LINES_MAX a second; of those that come then, one line for all."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since, self._count = -math.inf, 0
        self._last: Attempt | None = None

    def note(self, attempt: Attempt) -> None:
        """Say that `attempt` was published, or keep it for `tell`, which a later second calls."""
        now = self._clock.monotonic()
        if now - self._since >= SECOND:
            self.tell()
            self._since, self._count = now, 0
        self._count += 1
        self._last = attempt
        if self._count <= LINES_MAX:
            logger.bind(dataset=attempt.dataset, attempt=attempt.number).info("published")

    def tell(self) -> None:
        """Say what has not been said yet."""
        count, last = self._count - LINES_MAX, self._last
        if count > 0 and last is not None:
            self._count = LINES_MAX
            logger.bind(dataset=last.dataset, attempt=last.number).info("published, the last of {} more", count)
