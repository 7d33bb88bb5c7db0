"""How runs of flows are called."""

from __future__ import annotations

import time
from datetime import datetime
from typing import cast

from prefect.runtime import flow_run


def run_name() -> str:
    """Return `trigger 12:30:05`: the flow, and when this run of it was due, in this host's time."""
    due = cast("datetime", flow_run.scheduled_start_time)
    return f"{flow_run.flow_name} {clock_time(due.timestamp())}"


def clock_time(epoch_seconds: float) -> str:
    """Return a moment of today: 12:30:05."""
    return f"{datetime.fromtimestamp(epoch_seconds).astimezone():%H:%M:%S}"


def clock_now() -> str:
    """Return this moment, as `clock_time` does."""
    return clock_time(time.time())
