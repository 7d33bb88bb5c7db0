"""Waiting for what other processes do: on a condition, with a limit, never for a length of time."""

from __future__ import annotations

import time
from collections.abc import Callable

LOOK_SECONDS = 0.02


def wait_until(condition: Callable[[], bool], limit_seconds: float, what: Callable[[], str] | str) -> None:
    """Look until `condition` holds; raises TimeoutError with `what` was waited for."""
    ends = time.monotonic() + limit_seconds
    while not condition():
        if time.monotonic() > ends:
            raise TimeoutError(f"not within {limit_seconds:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(LOOK_SECONDS)
