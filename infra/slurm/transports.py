"""Which transport carries a job: by its job variable `transport`, and what is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping

from infra.slurm.local import LocalTransport
from infra.slurm.sbatch import open_sbatch
from infra.slurm.transport import SubmissionRefusedError, Transport

LOCAL, SBATCH, SLURMRESTD, AUTO = "local", "sbatch", "slurmrestd", "auto"
NAMES = (AUTO, LOCAL, SBATCH, SLURMRESTD)
SLOTS = "PHASELINE_LOCAL_SLOTS"
REST_URL = "PHASELINE_SLURMRESTD_URL"
# Where SLURM's own programs look, beside $SLURM_CONF and the directory that they were built for.
CONFIGURATIONS = ("/etc/slurm/slurm.conf", "/etc/slurm-llnl/slurm.conf", "/run/slurm/conf/slurm.conf")


def choose_transport(
    wanted: str,
    which: Callable[[str], str | None] = shutil.which,
    environment: Mapping[str, str] = os.environ,
    exists: Callable[[str], bool] = os.path.exists,
) -> str:
    """Return the transport's name. Raises SubmissionRefusedError for one that there is not, or not on this host."""
    if wanted not in NAMES:
        raise SubmissionRefusedError(f"job variable 'transport' is {wanted!r}; there are: {', '.join(NAMES)}")
    sbatch = which("sbatch")
    if wanted == AUTO:
        return SBATCH if sbatch is not None and _is_configured(sbatch, environment, exists) else LOCAL
    if wanted == SBATCH and sbatch is None:
        raise SubmissionRefusedError(
            "job variable 'transport' is sbatch, which is not on this worker's PATH: start the worker where it is,"
            " or set transport to local"
        )
    if wanted == SLURMRESTD and not environment.get(REST_URL):
        raise SubmissionRefusedError(
            f"job variable 'transport' is slurmrestd, and {REST_URL} is not in this worker's environment: start it with"
            f" {REST_URL}=http://HOST:6820 or {REST_URL}=unix:/PATH"
        )
    return wanted


def open_transport(name: str, jobs_directory: str) -> Transport:
    """Open the transport that `choose_transport` has named."""
    if name == LOCAL:
        return LocalTransport(jobs_directory, slots=local_slots())
    if name == SBATCH:
        return open_sbatch(jobs_directory)
    if name == SLURMRESTD:
        from infra.slurm.slurmrestd import open_slurmrestd  # noqa: PLC0415  # an HTTP client, for those who need one

        return open_slurmrestd(jobs_directory)
    raise ValueError(f"no transport is called {name!r}")


def local_slots() -> int:
    """Return how many jobs this machine runs at once: PHASELINE_LOCAL_SLOTS, else one for each CPU core."""
    said = os.environ.get(SLOTS, "")
    if not said:
        return len(os.sched_getaffinity(0))
    if not said.isdecimal() or int(said) < 1:
        raise SystemExit(f"{SLOTS} is {said!r}; it must be a number of jobs, 1 or more")
    return int(said)


def _is_configured(sbatch: str, environment: Mapping[str, str], exists: Callable[[str], bool]) -> bool:
    """Tell whether sbatch would find its cluster: the package alone may be installed on any laptop."""
    if environment.get("SLURM_CONF") or environment.get("SLURM_CONF_SERVER"):
        return True  # also where it is wrong, or not mounted: jobs of a cluster are not to run on its login node
    beside = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(sbatch))), "etc", "slurm.conf")
    return any(map(exists, (*CONFIGURATIONS, beside)))
