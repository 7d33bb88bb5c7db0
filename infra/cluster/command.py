"""A private SLURM in a directory of yours: four nodes on this machine, two of them with stand-ins for GPUs.

up starts what is missing of munged, slurmctld, four slurmd and slurmrestd, as root or as any user, from the packages of
the distribution; down ends its jobs and exactly those daemons; status says what there is. Jobs are real processes of
this machine, and their cores and memory are SLURM's figures only. All of it is in DIR: to be rid of it, rm -r DIR.
"""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from infra.cluster.cluster import Cluster, Status
from infra.cluster.errors import ClusterError
from infra.cluster.shape import DAEMONS, GPU_NODES, GPUS, NODES, Shape

HELP = "a private SLURM on this machine: up, down, status"
FAILED, NOT_UP = 1, 3
USUAL_PORTS = range(1024, 65530)


def add_arguments(parser: ArgumentParser) -> None:
    """[up | down | status] DIR."""
    parser.add_argument("what", choices=("up", "down", "status"))
    parser.add_argument(
        "directory", metavar="DIR", type=Path, help="where it is: empty or not there before the first up"
    )
    parser.add_argument(
        "--port", type=int, metavar="N", help="the first of six ports (default: as before, else free ones)"
    )
    parser.add_argument("--cgroups", action="store_true", help="let the kernel keep the jobs' memory; root only")


def run(arguments: Namespace) -> int:
    """Do it; the last lines say how to use it, or what is left."""
    try:
        match arguments.what:
            case "up":
                return _up(arguments)
            case "down":
                return _down(Cluster(arguments.directory))
            case _:
                status = Cluster(arguments.directory).status()
                print(render(status, Cluster(arguments.directory)))
                return 0 if status.is_up else NOT_UP
    except ClusterError as error:
        print(f"phaseline cluster: {error}", file=sys.stderr)
        return FAILED


def _up(arguments: Namespace) -> int:
    if arguments.port is not None and arguments.port not in USUAL_PORTS:
        raise ClusterError(f"--port {arguments.port}: it is from {USUAL_PORTS[0]} to {USUAL_PORTS[-1]}")
    cluster = Cluster(arguments.directory, shape=Shape(uses_cgroups=True) if arguments.cgroups else None)
    started = cluster.up(port=arguments.port)
    print(f"started: {', '.join(started)}" if started else "up already, nothing to do")
    print(render(cluster.status(), cluster))
    return 0


def _down(cluster: Cluster) -> int:
    ended = cluster.down()
    print(f"ended: {', '.join(ended)}" if ended else "nothing was running")
    if cluster.place.record.exists():
        print(f"left: {cluster.place.directory}, with its logs and what it knows of jobs")
    return 0


def render(status: Status, cluster: Cluster) -> str:
    """Return a cluster in a few lines, the last ones to paste."""
    directory = shlex.quote(str(cluster.place.directory))
    dead = [daemon for daemon in DAEMONS if daemon not in status.alive]
    lines = [f"cluster     {directory} of {status.user} on {status.host}"]
    if not status.alive:
        return "\n".join([*lines, f"daemons     none is alive: phaseline cluster up {directory}"])
    lines.append(f"daemons     {', '.join(status.alive)}")
    if dead:
        lines.append(f"            not alive: {', '.join(dead)}; to start them: phaseline cluster up {directory}")
    if status.nodes is None or status.jobs is None:
        lines.append(f"nodes       SLURM does not answer; its log: {cluster.place.log('slurmctld')}")
    else:
        lines.append(f"nodes       {', '.join(_node(node, status.nodes) for node in NODES)}")
        counts = Counter(state.lower() for state in status.jobs.values())
        lines.append(f"jobs        {', '.join(f'{count} {state}' for state, count in counts.items()) or 'none'}")
    lines += [
        f"slurmrestd  {cluster.rest_url} with a token (scontrol token), {cluster.rest_socket_url} without",
        f"logs        {cluster.place.log('slurmctld').parent}",
        f"end         phaseline cluster down {directory}",
        "use",
        *(f"    export {name}={shlex.quote(value)}" for name, value in cluster.environment().items()),
    ]
    return "\n".join(lines)


def _node(node: str, states: Mapping[str, str]) -> str:
    return f"{node} {states.get(node, 'unknown')}{f' (gpu:{GPUS})' if node in GPU_NODES else ''}"
