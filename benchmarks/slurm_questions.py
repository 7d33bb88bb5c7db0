"""Questions: what SLURM's controller is asked per minute while jobs are followed, few and many, by `sdiag`."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.figures import Figure, figure
from benchmarks.place import Place
from infra.cluster.cluster import Cluster
from infra.slurm.pace import Pace
from infra.slurm.sbatch import SbatchTransport
from infra.slurm.slurmrestd import SlurmrestdTransport, connect
from infra.slurm.spec import JobSpec
from infra.slurm.transport import Transport

FEW, MANY = 10, 200
TURN_SECONDS = 2.0  # as the worker's
TURNS = 10
GROWTH_MAX = 1.1  # a turn more or less
_COUNT = re.compile(r"^\s+((?:REQUEST|MESSAGE)_\w+)\s+\(\s*\d+\) count:(\d+)", re.MULTILINE)
# What the cluster's own daemons say to each other, and what sdiag itself asks.
_NOT_ASKED = re.compile(r"MESSAGE_|REQUEST_(COMPLETE|STEP|STATS|NODE_REG|PING)")


def measure(cluster: Cluster, place: Place) -> list[Figure]:
    """For each transport: questions per minute with few and with many jobs, and how they grow."""
    found: list[Figure] = []
    many = place.scaled(MANY, FEW)
    for name in ("sbatch", "slurmrestd"):
        few_per_minute = _per_minute(cluster, place, name, FEW)
        many_per_minute = _per_minute(cluster, place, name, many)
        growth = [one / other for one, other in zip(many_per_minute, few_per_minute, strict=True)]
        found += [
            figure(f"questions to slurmctld, {name}: {many} jobs / {FEW}", growth, "x", GROWTH_MAX),
            figure(f"questions to slurmctld per minute, {name}, {many} jobs", many_per_minute, "a minute"),
        ]
    return found


def _per_minute(cluster: Cluster, place: Place, name: str, count: int) -> list[float]:
    """Return how often the controller is asked a minute, over some turns, with so many jobs in flight."""
    directory = Path(place.disk, f"{name}-{count}")
    directory.mkdir()
    pace = Pace(burst=1000.0)
    transport: Transport = SbatchTransport(str(directory), pace=pace)
    if name == "slurmrestd":
        said = {"PHASELINE_SLURMRESTD_URL": cluster.rest_socket_url}
        transport = SlurmrestdTransport(str(directory), connect=lambda: connect(said), pace=pace)
    jobs = [transport.submit(_sleeper(directory, f"sleep{number}.0")) for number in range(count)]
    rounds: list[float] = []
    for _ in range(place.rounds(3)):
        before, began = asked(cluster), time.monotonic()
        for _ in range(place.rounds(TURNS)):
            answers = transport.look(jobs)
            assert all(answer is not None for answer in answers.values())
            time.sleep(TURN_SECONDS)
        rounds.append((asked(cluster) - before) / (time.monotonic() - began) * 60)
    transport.cancel(jobs)
    while cluster.ask("squeue", "-h").strip():
        time.sleep(TURN_SECONDS / 4)
    return rounds


def asked(cluster: Cluster) -> int:
    """Return how often clients have asked the controller so far."""
    counts: Mapping[str, str] = dict(_COUNT.findall(cluster.ask("sdiag").partition("by user")[0]))
    return sum(int(number) for name, number in counts.items() if not _NOT_ASKED.match(name))


def _sleeper(directory: Path, tag: str) -> JobSpec:
    return JobSpec(
        tag=tag,
        name="bench",
        directory=str(directory / tag),
        command=("sleep", "3600"),
        working_directory="/",
        memory_mb=16,
    )
