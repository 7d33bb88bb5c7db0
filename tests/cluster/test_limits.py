"""A job that runs into its time limit, or needs more memory than it has: is it warned, and is it told what happened?"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from infra.cluster.cluster import Cluster
from infra.slurm.runs import RunState
from tests.cluster.clusters import STEADY, a_cluster
from tests.cluster.conftest import MakeSite

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

MINUTE = 60
LATE = 240.0  # SLURM rounds a limit up to minutes, and looks once in a minute


def test_the_time_limit(make_site: MakeSite, cluster: Cluster) -> None:
    """Side by side: a poller that is idle, one that has a dataset in hand that takes too long, and one that is deaf."""
    idle = make_site(cluster, "carry_through_gate", idle_seconds=600.0)
    held = make_site(cluster, "carry_through_gate")
    deaf = make_site(cluster)
    for site in (idle, held):
        site.ground.add(1)
    idle.ask("idle", time_limit_seconds=MINUTE, warning_seconds=30)
    idle.ground.gates.open("ds0.1")
    held.ask("held", time_limit_seconds=MINUTE, warning_seconds=30)
    deaf.ask("deaf", "bash", "-c", "trap '' TERM USR1; while :; do sleep 1; done", time_limit_seconds=MINUTE)

    idle.wait("idle", RunState.COMPLETED, LATE)
    assert "poller ended: drained" in " ".join(idle.lines("idle"))
    held.wait("held", RunState.COMPLETED, LATE)
    ended = os.readlink(held.ground.root / "RAW" / "ds0" / f"ended.{held.ground.stages[0]}.1")
    assert ended.endswith(":does not fit into the job's time limit"), "let go in time"
    assert "time limit" in deaf.wait("deaf", RunState.CRASHED, LATE)
    idle.finish()
    held.finish()


# Root can have the kernel keep the memory; whoever else has what sites without cgroups have.
KEEPERS = [False, True] if os.geteuid() == 0 and os.path.isdir("/sys/fs/cgroup/memory") else [False]


@pytest.mark.parametrize("by_cgroups", KEEPERS)
def test_too_much_memory_is_said_to_be_that(make_site: MakeSite, by_cgroups: bool) -> None:
    with a_cluster(replace(STEADY, uses_cgroups=by_cgroups)) as own:
        site = make_site(own, "carry_hungry")
        site.ground.add(1)
        (site.ground.gates.directory / "hungry").touch()
        run = site.ask("eats", memory_mb=200)
        assert "more memory than it had asked for" in site.wait(run, RunState.CRASHED)
        (site.ground.gates.directory / "hungry").unlink()
        site.finish()
