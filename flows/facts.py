"""What flows work on, the root and the stages that the environment names; and how their runs are called."""

from __future__ import annotations

from argparse import Namespace
from datetime import datetime
from typing import cast

from prefect.runtime import flow_run

from stages.engine.commands import context
from stages.engine.commands.context import Context


def opened() -> Context:
    """Return the root and stages of PHASELINE_ROOT and PHASELINE_STAGES, checked.

    Raises PhaselineError in one line that says what is wrong and what to type.
    """
    return context.opened(Namespace(root=None, stages=None))


def run_name() -> str:
    """Return `trigger 12:30:05`: the flow, and when this run of it was due, in this host's time."""
    due = cast("datetime", flow_run.scheduled_start_time)
    return f"{flow_run.flow_name} {clock_time(due.timestamp())}"


def clock_time(epoch_seconds: float) -> str:
    """Return a moment of today: 12:30:05."""
    return f"{datetime.fromtimestamp(epoch_seconds).astimezone():%H:%M:%S}"
