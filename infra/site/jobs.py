"""What a sweep may ask about the jobs that hold claims of a root: SLURM, by its commands or over its REST API."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from functools import partial

from infra.slurm.inquiry import ends_of_jobs, judge_ends, starts_of
from infra.slurm.tools import Tools
from infra.slurm.transports import AUTO, REST_URL, SBATCH, choose_transport

ANSWER_SECONDS = (
    10.0  # a sweep has other things to do; a resident one leaves a controller that is away alone for a while
)

Ask = Callable[[Collection[str]], Mapping[str, bool | str]]


def connect(root: str) -> Ask | None:
    """Return what answers, None on a host that knows no SLURM: entry point `phaseline.jobs_ended`."""
    del root
    if choose_transport(AUTO) == SBATCH:
        return partial(ends_of_jobs, tools=Tools(call_seconds=ANSWER_SECONDS))
    return _ask_slurmrestd if os.environ.get(REST_URL) else None


def _ask_slurmrestd(claims: Collection[str]) -> Mapping[str, bool | str]:
    """Ask for the queue, once. Raises TransportUnavailableError, ModuleNotFoundError without an HTTP client."""
    from infra.slurm.slurmrestd import list_jobs  # noqa: PLC0415 - an HTTP client, for those who need one

    starts = starts_of(claims)
    return judge_ends(starts, list_jobs({number for number, _ in starts.values()})) if starts else {}
