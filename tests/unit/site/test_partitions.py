"""Is what sinfo says read rightly, and is a job that can never run told apart from one that can?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra.site.finding import Verdict
from infra.site.partitions import describe, judge, read_partitions, read_time
from infra.slurm.spec import JobSpec

SINFO = """\
cpu*|up|infinite|8|4000|(null)|2|idle
gpu|up|1:00:00|8|4000|gpu:2(S:0)|1|mixed
gpu|up|1:00:00|64|256000|gpu:a100:4,shard:8|3|idle
old|down|1-00:00:00|4|2000|(null)|2|idle
sick|up|30:00|4|2000|(null)|1|down*
sick|up|30:00|4|2000|(null)|1|drained
"""
PARTITIONS = read_partitions(SINFO)
SPEC = JobSpec(tag="a.0", name="a", directory="/a.0", command=("true",), working_directory="/")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("infinite", None),
        ("n/a", None),
        ("30:00", 1800),
        ("1:00:00", 3600),
        ("2-12:00:00", 216000),
        ("1-00:00:30", 86430),
    ],
)
def test_times(text: str, seconds: int | None) -> None:
    assert read_time(text) == seconds


def test_partitions_are_described() -> None:
    assert [describe(one).line for one in PARTITIONS.values()] == [
        "ok       partition cpu: 2 of 2 nodes, 8 CPUs, 4000 MB each; no time limit",
        (
            "ok       partition gpu: 4 of 4 nodes, 8 CPUs, 4000 MB and 2 GPUs each; "
            "64 CPUs, 256000 MB and 4 GPUs each; at most 60 minutes"
        ),
        (
            "warning  partition old: it takes no jobs; 2 of 2 nodes, 4 CPUs, 2000 MB each; at most 1440 minutes. "
            "ask the site, or name another partition"
        ),
        (
            "warning  partition sick: none of its nodes can be used now; 0 of 2 nodes, 4 CPUs, 2000 MB each; "
            "at most 30 minutes. sinfo -R -p sick says why"
        ),
    ]


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        replace(SPEC, cpus=8, memory_mb=4000),
        replace(SPEC, partition="gpu", gpus=4, cpus=64, time_limit_seconds=3600),
        replace(SPEC, partition="cpu,gpu"),
    ],
)
def test_what_fits_is_not_spoken_of(spec: JobSpec) -> None:
    assert list(judge("poll/a", spec, PARTITIONS)) == []


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (replace(SPEC, partition="nope"), "there is no partition 'nope'. set partition to one of: cpu, gpu, old, sick"),
        (
            replace(SPEC, partition="gpu", time_limit_seconds=14400),
            "it asks for 240 minutes, partition gpu gives 60. set time_limit_minutes to 60 or less",
        ),
        (
            replace(SPEC, cpus=9),
            "no node of partition cpu has cpus 9 (most: 8). ask for less, or name another partition",
        ),
        (
            replace(SPEC, gpus=1, memory_mb=8000),
            (
                "no node of partition cpu has memory_mb 8000 (most: 4000), gpus 1 (most: 0). "
                "ask for less, or name another partition"
            ),
        ),
    ],
)
def test_what_can_never_run_is_a_fault_with_what_to_change(spec: JobSpec, said: str) -> None:
    (found,) = judge("poll/a", spec, PARTITIONS)
    assert found.verdict is Verdict.FAULT
    assert found.line == f"fault    poll/a: {said}"


def test_enough_of_each_is_not_enough_of_all() -> None:
    there = read_partitions("cpu*|up|infinite|64|1000|(null)|1|idle\ncpu*|up|infinite|1|64000|(null)|1|idle\n")
    (found,) = judge("poll/a", replace(SPEC, cpus=8, memory_mb=8000), there)
    assert found.detail == "no node of partition cpu has cpus 8, memory_mb 8000 on one node"


def test_no_partition_and_no_default() -> None:
    there = read_partitions("cpu|up|infinite|64|1000|(null)|1|idle\n")
    (found,) = judge("poll/a", SPEC, there)
    assert found.line == (
        "fault    poll/a: it names no partition, and there is no default. set partition to one of: cpu"
    )
