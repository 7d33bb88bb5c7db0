"""SLURM's own commands, asked for the private cluster: each within a time limit, as a client retries for a minute."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from infra.cluster.errors import ClusterError

LIMIT_SECONDS = 15.0


def ask(words: list[str], environment: Mapping[str, str], seconds: float = LIMIT_SECONDS) -> str:
    """Return what a command prints. Raises ClusterError with what it said, or that it did not answer."""
    try:
        done = subprocess.run(
            words, env=dict(environment), capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(f"`{' '.join(words)}` did not answer within {seconds:g} s") from None
    if done.returncode:
        raise ClusterError(f"`{' '.join(words)}` failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def node_states(environment: Mapping[str, str], seconds: float = LIMIT_SECONDS) -> dict[str, str]:
    """Return each node's state in SLURM's words, with its flag: `idle`, `mixed`, `down*` for one that is silent."""
    lines = ask(["sinfo", "-h", "-N", "-o", "%N %T"], environment, seconds).splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line.strip())


def job_states(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the state of each job that is not over, by its number."""
    lines = ask(["squeue", "-h", "-r", "-o", "%i %T"], environment).splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line.strip())


def listed_plugins(seen: Mapping[str, str]) -> str:
    """Return what slurmrestd says of its versions, wherever it prints that, and whatever it ends with."""
    return ask(["bash", "-c", "slurmrestd -s list 2>&1 || true"], seen)
