"""The partitions of a cluster, as `sinfo` tells of them, and whether a job fits into one: pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from infra.site.finding import Finding, fault, ok, warning
from infra.slurm.spec import JobSpec

# Exact, so that nodes that differ have lines of their own: partition, availability, time limit, CPUs, MB, gres, nodes.
QUESTION = ("sinfo", "--noheader", "--exact", "--format=%P|%a|%l|%c|%m|%G|%D|%T")
_GPUS = re.compile(r"(?:^|,)gpu(?::[^:,(]+)?:(\d+)")
_TIME = re.compile(r"(?:(\d+)-)?(?:(?:(\d+):)?(\d+):)?(\d+)\Z")
_AWAY = ("down", "drain", "fail", "maint", "unknown", "not_responding", "powered_down", "future", "inval")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """Nodes of a partition that are alike."""

    count: int
    state: str
    cpus: int
    memory_mb: int
    gpus: int

    @property
    def is_there(self) -> bool:
        return not self.state.lower().rstrip("*~#!%$@^-+").startswith(_AWAY) and not self.state.endswith("*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """`limit_seconds` None: there is no limit."""

    name: str
    is_default: bool
    is_up: bool
    limit_seconds: int | None
    nodes: tuple[Nodes, ...]


def read_partitions(text: str) -> dict[str, Partition]:
    """Read what `sinfo` said to QUESTION. Raises ValueError for a line that is none of its."""
    found: dict[str, Partition] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, up, limit, cpus, memory, gres, count, state = line.split("|")
        nodes = Nodes(
            count=int(count),
            state=state,
            cpus=int(cpus.rstrip("+")),
            memory_mb=int(memory.rstrip("+")),
            gpus=sum(map(int, _GPUS.findall(gres))),
        )
        known = found.get(name.rstrip("*"))
        found[name.rstrip("*")] = Partition(
            name=name.rstrip("*"),
            is_default=name.endswith("*"),
            is_up=up == "up",
            limit_seconds=read_time(limit),
            nodes=(*(known.nodes if known is not None else ()), nodes),
        )
    return found


def read_time(text: str) -> int | None:
    """Return seconds of `[days-][hours:]minutes:seconds`, None for what is no time: there is no limit."""
    read = _TIME.match(text)
    if read is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in read.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def describe(partition: Partition) -> Finding:
    """Say what a partition is."""
    check = f"partition {partition.name}"
    there = sum(nodes.count for nodes in partition.nodes if nodes.is_there)
    kinds = dict.fromkeys(_kind(nodes) for nodes in partition.nodes)
    limit = "no time limit" if partition.limit_seconds is None else f"at most {partition.limit_seconds // 60} minutes"
    detail = f"{there} of {sum(nodes.count for nodes in partition.nodes)} nodes, {'; '.join(kinds)}; {limit}"
    if not partition.is_up:
        return warning(check, f"it takes no jobs; {detail}", "ask the site, or name another partition")
    if not there:
        return warning(check, f"none of its nodes can be used now; {detail}", f"sinfo -R -p {partition.name} says why")
    return ok(check, detail)


def judge(check: str, spec: JobSpec, partitions: Mapping[str, Partition]) -> Iterator[Finding]:
    """Yield a fault for everything that no node of the job's partition can ever give it."""
    name = spec.partition or next((one.name for one in partitions.values() if one.is_default), "")
    for each in name.split(","):
        partition = partitions.get(each)
        if partition is None:
            yield _unknown(check, each, partitions)
        else:
            yield from _judge(check, spec, partition)


def _unknown(check: str, name: str, partitions: Mapping[str, Partition]) -> Finding:
    there = ", ".join(sorted(partitions)) or "none"
    if not name:
        return fault(check, "it names no partition, and there is no default", f"set partition to one of: {there}")
    return fault(check, f"there is no partition {name!r}", f"set partition to one of: {there}")


def _judge(check: str, spec: JobSpec, partition: Partition) -> Iterator[Finding]:
    limit = partition.limit_seconds
    if spec.time_limit_seconds is not None and limit is not None and spec.time_limit_seconds > limit:
        asked = spec.time_limit_seconds // 60
        yield fault(
            check,
            f"it asks for {asked} minutes, partition {partition.name} gives {limit // 60}",
            f"set time_limit_minutes to {limit // 60} or less",
        )
    wanted = {"cpus": spec.cpus, "memory_mb": spec.memory_mb or 0, "gpus": spec.gpus}
    if any(all(getattr(nodes, what) >= much for what, much in wanted.items()) for nodes in partition.nodes):
        return
    too_much = [
        f"{what} {much} (most: {most})"
        for what, much in wanted.items()
        if much > (most := max((getattr(nodes, what) for nodes in partition.nodes), default=0))
    ]
    asked = ", ".join(too_much) or ", ".join(f"{what} {much}" for what, much in wanted.items() if much) + " on one node"
    yield fault(check, f"no node of partition {partition.name} has {asked}", "ask for less, or name another partition")


def _kind(nodes: Nodes) -> str:
    gpus = f" and {nodes.gpus} GPUs" if nodes.gpus else ""
    return f"{nodes.cpus} CPUs, {nodes.memory_mb} MB{gpus} each"
