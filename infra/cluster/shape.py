"""What a private cluster is made of, and what may differ from one to the next. Pure."""

from __future__ import annotations

from dataclasses import dataclass

NODES = ("n1", "n2", "n3", "n4")
GPU_NODES = ("n3", "n4")
GPUS = 2  # of each such node; stand-ins
CPUS, MEMORY_MB = 8, 32_768  # of each node, whatever this machine has

MUNGED, CONTROLLER = "munged", "slurmctld"
REST, REST_LOCAL = "slurmrestd", "slurmrestd-local"  # for those who have a token; on a socket, for the cluster's user
DAEMONS = (MUNGED, CONTROLLER, *NODES, REST, REST_LOCAL)  # in the order of their start; a slurmd is called by its node

PORTS = len(NODES) + 2  # in a row: slurmctld, a slurmd each, slurmrestd
PORT_MIN, PORT_MAX = 17_000, 27_000  # below those that the kernel gives away
PORT_STEP = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a cluster behaves. The first three are SLURM's MinJobAge, KillWait and SlurmdTimeout.

    `uses_cgroups`: memory is kept by the kernel (OUT_OF_MEMORY), which only root can set up; else SLURM looks every
    second and kills the job, as on sites without cgroups.
    """

    min_job_age_seconds: int = 300
    kill_wait_seconds: int = 30
    node_silence_seconds: int = 30
    uses_cgroups: bool = False


def port_of(daemon: str, base: int) -> int | None:
    """Return the TCP port that a daemon listens on, None for those that have a socket instead."""
    match daemon:
        case "slurmctld":
            return base
        case "slurmrestd":
            return base + len(NODES) + 1
        case "munged" | "slurmrestd-local":
            return None
        case _:
            return base + 1 + NODES.index(daemon)
