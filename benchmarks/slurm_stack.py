"""The stack on SLURM: from a dataset's arrival to its first claim, and what a worker needs for two hundred jobs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import cast
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from benchmarks import arrival, slurm_questions
from benchmarks.figures import Figure, figure
from benchmarks.place import Place
from infra.cluster.cluster import Cluster
from infra.stack import api, environment
from infra.stack.stack import Stack

ROUNDS = 6
STARTS = 5
BEYOND_SECONDS_MAX = 2.0
POOL, DEPLOYMENT = "slurm-cpu", "poll/phase2a"
FEW, MANY = 10, 200
WATCHED_SECONDS = 30.0
HANDED_IN_SECONDS = 240.0
BUSY_TRIES = 60
GROWTH_MAX = 1.2  # how many turns fall into half a minute is not the same twice


def measure(cluster: Cluster, place: Place) -> list[Figure]:
    """Bring a stack up whose workers hand jobs in to the cluster."""
    with arrival.stack_up(place) as (stack, root):
        starts = [_start(cluster) for _ in range(STARTS)]
        rounds = arrival.arrivals(stack, root, place.rounds(ROUNDS))
        most = arrival.TRIGGER_SECONDS + max(starts)
        beyond = Figure(
            name="arrival to first claim, beyond the trigger's 10 s and SLURM's own start, the longest",
            value=max(rounds) - most,
            unit="s",
            target=BEYOND_SECONDS_MAX,
            rounds=tuple(one - most for one in rounds),
        )
        return [
            beyond,
            figure("arrival to first claim", rounds, "s"),
            figure("SLURM's own start of a job", starts, "s"),
            *_load(cluster, stack, place),
        ]


def _start(cluster: Cluster) -> float:
    """Return how long SLURM itself takes from a job's submission to its first line."""
    begun = time.time()
    number = cluster.ask("sbatch", "--parsable", "--output=/dev/null", "--mem=16", "--wrap=true").strip()
    while "COMPLETED" not in cluster.ask("scontrol", "show", "job", number):
        time.sleep(0.02)
    return time.time() - begun


def _load(cluster: Cluster, stack: Stack, place: Place) -> list[Figure]:
    """Watch the worker with few and with many jobs in flight."""
    _send(stack, "PATCH", f"/work_pools/{POOL}", {"concurrency_limit": 10 * MANY})
    few = _watched(cluster, stack, FEW, place)
    many = place.scaled(MANY, 2 * FEW)
    with_many = _watched(cluster, stack, many, place)
    user = cluster.ask("squeue", "-h", "-o", "%u").split()[0]
    cluster.ask("scancel", "-u", user)
    return [
        figure(f"a worker's memory, {many} jobs in flight", [with_many["memory"]], "MB"),
        figure(f"a worker's share of a core, {many} jobs in flight", [with_many["cpu"]], "%"),
        figure(f"a worker's share of a core, {FEW} jobs", [few["cpu"]], "%"),
        figure(
            f"questions of the workers to slurmctld: {many} jobs / {FEW}",
            [with_many["asked"] / few["asked"]],
            "x",
            GROWTH_MAX,
        ),
        figure(f"questions of the workers per minute, {many} jobs", [with_many["asked"]], "a minute"),
    ]


def _watched(cluster: Cluster, stack: Stack, count: int, place: Place) -> Mapping[str, float]:
    """Have so many jobs in flight, and watch the worker for a while once it has nothing else to do."""
    have = len(cluster.ask("squeue", "-h").splitlines())
    deployment = cast("dict[str, str]", _send(stack, "GET", f"/deployments/name/{DEPLOYMENT}"))["id"]
    variables = {"command": ["sleep", "3600"], "memory_mb": 16, "image": None}
    for number in range(have, count):
        asked = {"name": f"sleep-{number}", "job_variables": variables, "state": {"type": "SCHEDULED"}}
        _send(stack, "POST", f"/deployments/{deployment}/create_flow_run", asked)
    until = time.monotonic() + HANDED_IN_SECONDS
    while len(cluster.ask("squeue", "-h").splitlines()) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"not {count} jobs within {HANDED_IN_SECONDS:g} s: read {stack.place.logs}")
        time.sleep(1.0)
    seconds = WATCHED_SECONDS * max(place.share, 0.3)
    time.sleep(seconds)  # the last of them are told to Prefect
    pid = stack.record.processes[POOL].pid
    cpu, questions, begun = _cpu_seconds(pid), slurm_questions.asked(cluster), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begun
    return {
        "cpu": (_cpu_seconds(pid) - cpu) / took * 100,
        "asked": (slurm_questions.asked(cluster) - questions) / took * 60,
        "memory": _memory_mb(pid),
    }


def _cpu_seconds(pid: int) -> float:
    """Return what the process, and the programs that it has run, have had of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))) / 1000


def _send(stack: Stack, method: str, path: str, body: Mapping[str, object] | None = None) -> object:
    """Ask the server what the stack itself has no question for; again while SQLite is busy."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(environment.api(stack.port) + path, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310 - always http
    opener = build_opener(ProxyHandler({}))
    for is_last in (*[False] * BUSY_TRIES, True):
        try:
            with opener.open(request, timeout=30) as answer:
                text = answer.read()
            return json.loads(text) if text else None
        except HTTPError as error:
            if error.code != api.UNAVAILABLE or is_last:
                raise
        time.sleep(api.PAUSE_SECONDS)
    raise AssertionError("the last try returns or raises")
