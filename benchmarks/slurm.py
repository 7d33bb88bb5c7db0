"""SLURM: 200 datasets through five stages by pollers in jobs, against one job for each dataset and stage, and the rest.

All on a private cluster of this machine, which is made for it: four nodes of eight CPUs, scheduled every second. What
is done to a dataset is small: three files are written again, with a line more; by the jobs in a shell, which starts
faster than the engine's callable, in pollers in the warm child. Durability none, hashing off, datasets in memory, as in
`pipeline`: these machines' disk would take longer than what is compared. A poller for each stage, which looks twice a
second when idle. Both are measured from the first submission to the last dataset carried; the jobs of a dataset depend
on each other (`afterok`).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from benchmarks import pollers, slurm_questions, slurm_stack
from benchmarks.figures import Figure, each, figure, ratio
from benchmarks.place import CHECKOUT, Place, fill
from infra.cluster.cluster import Cluster
from infra.cluster.shape import Shape
from infra.slurm.pace import Pace
from infra.slurm.sbatch import SbatchTransport
from infra.slurm.spec import JobSpec

DATASETS = 200
STAGES = 5
ROUNDS = 3
POLLERS_OF_A_STAGE = 1
JOBS_MAX = 19
RATIO_MAX = 1 / 8
FILES = {f"part{number}.txt": b"x" * 20_000 for number in range(3)}
BARE = 'durability = "none"\nhashing = false'
LOOK_SECONDS = 0.05
IDLE_LOOK_SECONDS = 0.5
WAIT_SECONDS = 240.0
SHAPE = Shape(kill_wait_seconds=3)
MEMORY_MB = 64


def measure(place: Place) -> list[Figure]:
    """Measure all there is, each part on a cluster of its own: one remembers what it has had for minutes."""
    found: list[Figure] = []
    for part in (_carried, slurm_questions.measure, slurm_stack.measure):
        with _cluster() as cluster:
            found += part(cluster, place)
    return found


@contextmanager
def _cluster() -> Generator[Cluster]:
    """A cluster in a directory that SLURM can name; whatever is started meanwhile finds it by its environment."""
    directory = Path(tempfile.mkdtemp(prefix="phaseline-slurm-", dir="/tmp"))
    cluster = Cluster(directory, shape=SHAPE)
    before = dict(os.environ)
    try:
        cluster.up()
        os.environ.update(cluster.environment())
        yield cluster
    finally:
        os.environ.clear()
        os.environ.update(before)
        cluster.down()
        shutil.rmtree(directory, ignore_errors=True)


def _carried(cluster: Cluster, place: Place) -> list[Figure]:
    count = place.scaled(DATASETS)
    ours: list[float] = []
    theirs: list[float] = []
    jobs: list[float] = []
    for _ in range(place.rounds(ROUNDS)):
        seconds, number = by_pollers(f"{place.memory}/pollers", count)
        ours.append(seconds)
        jobs.append(number)
        theirs.append(by_jobs(cluster, f"{place.memory}/jobs", count))
    steps = count * STAGES
    return [
        ratio(f"{count} datasets x {STAGES} stages: pollers / a job for each", ours, theirs, RATIO_MAX),
        figure("the same, how many times as fast", [1 / one for one in _shares(ours, theirs)], "x"),
        figure("SLURM jobs of the pollers", jobs, "jobs", JOBS_MAX),
        each("pollers, per dataset and stage", ours, steps),
        each("a job for each, per dataset and stage", theirs, steps),
    ]


def _shares(ours: list[float], theirs: list[float]) -> list[float]:
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def by_pollers(path: str, count: int) -> tuple[float, int]:
    """Return how long pollers take, from their submission to the last dataset archived, and how many jobs they were."""
    chain = pollers.new_chain(path, STAGES, "copy_with_a_line_more", output=BARE)
    fill(chain.passages[0].reads, count, FILES)
    transport = SbatchTransport(f"{path}/jobs", pace=Pace(burst=100.0))
    jobs: list[str] = []
    begun = time.time()
    for through in chain.passages:
        for number in range(POLLERS_OF_A_STAGE):
            command = pollers.arguments("poll", chain.root, chain.folder, through.stage, "--datasets", str(count))
            jobs.append(transport.submit(_spec(f"{path}/jobs/{through.stage}-{number}.0", command)))
    last = chain.passages[-1].reads.done
    _wait(lambda: len(os.listdir(last)) == count, f"{path}/jobs/*/output")
    seconds = os.stat(last).st_mtime - begun
    transport.cancel(jobs)
    _wait(lambda: all(one is None or one.state.phase == "over" for one in transport.look(jobs).values()), "squeue")
    shutil.rmtree(path)
    return seconds, len(jobs)


def by_jobs(cluster: Cluster, path: str, count: int) -> float:
    """Return how long a job for each dataset and stage takes, from the first submission to the last one's output."""
    directories = [f"{path}/PHASE_{number}" for number in range(1, STAGES + 2)]
    for directory in directories:
        os.makedirs(directory)
    for number in range(count):
        os.mkdir(f"{directories[0]}/ds{number:06d}")
        for name, content in FILES.items():
            Path(directories[0], f"ds{number:06d}", name).write_bytes(content)
    script = Path(path, "script")
    script.write_text(
        '#!/bin/bash\nset -e\nmkdir "$2.new"\n'
        'for file in "$1"/*; do { cat "$file"; echo carried through one more stage; } >"$2.new/${file##*/}"; done\n'
        'mv "$2.new" "$2"\n'
    )
    begun = time.time()
    for number in range(count):
        before: tuple[str, ...] = ()
        for reads, writes in pairwise(directories):
            name = f"ds{number:06d}"
            words = ["sbatch", "--parsable", "--output=/dev/null", "--mem=16", *before, str(script)]
            done = subprocess.run(
                [*words, f"{reads}/{name}", f"{writes}/{name}"], check=True, capture_output=True, text=True
            )
            before = (f"--dependency=afterok:{done.stdout.strip()}",)
    last = directories[-1]
    _wait(lambda: sum("." not in name for name in os.listdir(last)) == count, "squeue")
    seconds = os.stat(last).st_mtime - begun
    _wait(lambda: not cluster.ask("squeue", "-h").strip(), "squeue")
    shutil.rmtree(path)
    return seconds


def _spec(directory: str, command: list[str]) -> JobSpec:
    return JobSpec(
        tag=os.path.basename(directory),
        name="bench",
        directory=directory,
        command=tuple(command),
        working_directory=str(CHECKOUT),
        environment={"PHASELINE_LOOK_SECONDS_MAX": f"{IDLE_LOOK_SECONDS}"},
        memory_mb=MEMORY_MB * 4,
    )


def _wait(is_so: Callable[[], bool], where: str) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while not is_so():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {WAIT_SECONDS:g} s: look at {shlex.quote(where)}")
        time.sleep(LOOK_SECONDS)
