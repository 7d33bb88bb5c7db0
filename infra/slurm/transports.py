"""Which transport carries a job: by its job variable `transport`, and what is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

from infra.slurm.local import LocalTransport
from infra.slurm.transport import SubmissionRefusedError, Transport

LOCAL = "local"
SLOTS = "PHASELINE_LOCAL_SLOTS"


def choose_transport(wanted: str, which: Callable[[str], str | None] = shutil.which) -> str:
    """Return the transport's name. Raises SubmissionRefusedError for one that there is not (yet)."""
    if wanted == LOCAL:
        return LOCAL
    if wanted != "auto":
        raise SubmissionRefusedError(f"job variable 'transport' is {wanted!r}; there are: auto, local")
    if which("sbatch") is None:
        return LOCAL
    raise SubmissionRefusedError(
        "job variable 'transport' is auto, and this host has sbatch, which this version cannot use;"
        " set transport to local to run jobs on this host"
    )


def open_transport(name: str, jobs_directory: str) -> Transport:
    """Open the transport that `choose_transport` has named."""
    if name != LOCAL:
        raise ValueError(f"no transport is called {name!r}")
    return LocalTransport(jobs_directory, slots=local_slots())


def local_slots() -> int:
    """Return how many jobs this machine runs at once: PHASELINE_LOCAL_SLOTS, else one for each CPU core."""
    said = os.environ.get(SLOTS, "")
    if not said:
        return len(os.sched_getaffinity(0))
    if not said.isdecimal() or int(said) < 1:
        raise SystemExit(f"{SLOTS} is {said!r}; it must be a number of jobs, 1 or more")
    return int(said)
