"""What a sweep may ask about the jobs that hold claims of a root: SLURM, where its commands are set up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

from infra.slurm.inquiry import ends_of_jobs
from infra.slurm.tools import Tools
from infra.slurm.transports import AUTO, SBATCH, choose_transport

ANSWER_SECONDS = (
    10.0  # a sweep has other things to do; a resident one leaves a controller that is away alone for a while
)


def connect(root: str) -> Callable[[Collection[str]], Mapping[str, bool | str]] | None:
    """Return what answers, None on a host without SLURM: entry point `phaseline.jobs_ended`."""
    del root
    if choose_transport(AUTO) != SBATCH:
        return None
    return partial(ends_of_jobs, tools=Tools(call_seconds=ANSWER_SECONDS))
