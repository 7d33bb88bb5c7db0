"""What a sweep may ask about the jobs that hold claims of a root: SLURM, where its commands are set up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from infra.slurm.inquiry import ended_jobs
from infra.slurm.transports import AUTO, SBATCH, choose_transport


def connect(root: str) -> Callable[[Collection[str]], Mapping[str, bool]] | None:
    """Return what answers, None on a host without SLURM: entry point `phaseline.jobs_ended`."""
    del root
    return ended_jobs if choose_transport(AUTO) == SBATCH else None
