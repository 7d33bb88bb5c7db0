"""Is the OOM killer's count found, in both versions of cgroups?"""

from __future__ import annotations

import pytest

from stages.engine.work.memory import counter_paths, oom_kills, parse_oom_kills


def test_where_the_counter_stands() -> None:
    v1 = "9:pids:/\n4:memory,hugetlb:/slurm/uid_1/job_7\n0::/\n"
    assert counter_paths(v1)[0] == "/sys/fs/cgroup/memory/slurm/uid_1/job_7/memory.oom_control"
    v2 = "0::/system.slice/slurmstepd.scope/job_7/step_0\n"
    assert counter_paths(v2)[0] == "/sys/fs/cgroup/system.slice/slurmstepd.scope/job_7/step_0/memory.events"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", 3),
        ("low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n", 1),
        ("oom_kill_disable 0\nunder_oom 0\n", None),
    ],
)
def test_the_count_is_read(text: str, count: int | None) -> None:
    assert parse_oom_kills(text) == count


def test_this_machine_has_a_count_or_none() -> None:
    count = oom_kills()
    assert count is None or count >= 0
