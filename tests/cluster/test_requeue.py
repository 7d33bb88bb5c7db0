"""A job that SLURM takes off its node: requeued, preempted, its node gone. Is every dataset published once?"""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from infra.cluster.cluster import Cluster
from infra.slurm.runs import RunState
from tests.cluster.conftest import MakeSite
from tests.cluster.site import Site
from tests.waiting import wait_until

pytestmark = pytest.mark.cluster

BACK_SECONDS = 90.0
ONLY_N1 = "n2,n3,n4"


def holding(site: Site, **options: Any) -> str:  # noqa: ANN401  # fields of JobSpec by name
    """Have a poller hold the dataset ds0 at its gate, on n1."""
    site.ground.add(1)
    more: dict[str, Any] = {"exclude": ONLY_N1, "cpus": 8, **options}
    run = site.ask("poll", **more)
    site.ground.gates.wait("ds0.1")
    site.wait(run, RunState.RUNNING)
    return run


def comes_back(site: Site, run: str) -> None:
    """The same run begins again, with the same job, and gets the dataset through at its second attempt."""
    site.ground.gates.open("ds0.2")
    site.wait(run, RunState.COMPLETED, BACK_SECONDS)
    assert site.runs.states(run).count("Running") == 1, "Prefect knows no way back"
    assert any("put the job back into its queue" in line for line in site.lines(run)), site.lines(run)
    assert len(list(site.ground.jobs.glob("poll.*"))) == 1
    site.finish()
    assert site.ground.names("RESULTS") == ["ds0"]


def test_scontrol_requeue(make_site: MakeSite, own_cluster: Cluster) -> None:
    site = make_site(own_cluster, "carry_through_gate")
    run = holding(site)
    own_cluster.ask("scontrol", "requeue", site.job(run))
    comes_back(site, run)


def test_preempted_and_requeued(make_site: MakeSite, own_cluster: Cluster) -> None:
    site = make_site(own_cluster, "carry_through_gate")
    run = holding(site, partition="low")
    own_cluster.ask("sbatch", "-p", "cpu", "-w", "n1", "-c", "8", "-o", "/dev/null", "--wrap", "sleep 4")
    comes_back(site, run)


def test_preempted_for_good(make_site: MakeSite, own_cluster: Cluster) -> None:
    site = make_site(own_cluster, "carry_through_gate")
    run = holding(site, partition="low-cancel")
    own_cluster.ask("sbatch", "-p", "cpu", "-w", "n1", "-c", "8", "-o", "/dev/null", "--wrap", "true")
    assert "preempted" in site.wait(run, RunState.CRASHED)
    ended = site.ground.root / "RAW" / "ds0" / f"ended.{site.ground.stages[0]}.1"

    def is_released() -> bool:
        """By the poller or, if the grace was too short for it, by a sweep."""
        site.sweep()
        return os.path.lexists(ended)

    wait_until(is_released, BACK_SECONDS, lambda: "still held")
    assert os.readlink(ended).startswith("retry:-:0:0:"), "nobody pays"
    site.finish()


def test_a_node_is_taken_down_and_the_job_goes_elsewhere(make_site: MakeSite, own_cluster: Cluster) -> None:
    site = make_site(own_cluster, "carry_through_gate")
    run = holding(site, exclude="n3,n4")
    node = site.node(run)
    own_cluster.ask("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    comes_back(site, run)


def test_a_node_is_taken_down_under_a_job_that_is_not_to_be_requeued(make_site: MakeSite, own_cluster: Cluster) -> None:
    site = make_site(own_cluster, "carry_through_gate")
    run = holding(site, requeue=False)
    own_cluster.ask("scontrol", "update", "nodename=n1", "state=down", "reason=test")
    message = site.wait(run, RunState.CRASHED)
    assert "node failed" in message
    assert "n1" in message
    site.finish()


def steps(site: Site, run: str) -> list[int]:
    """The slurmstepd of the run's job."""
    sign, found = f"slurmstepd: [{site.job(run)}.".encode(), list[int]()
    for pid in (int(name) for name in os.listdir("/proc") if name.isdecimal()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if file.read().startswith(sign):
                    found.append(pid)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("requeue", [True, False])
def test_the_poller_lives_on_as_an_orphan_and_publishes_nothing_twice(
    make_site: MakeSite, impatient_cluster: Cluster, requeue: bool
) -> None:
    site = make_site(impatient_cluster, "carry_through_gate")
    run = holding(site, requeue=requeue, exclude="n3,n4")
    node = site.node(run)
    orphans = site.processes()
    impatient_cluster.kill(node)
    for pid in steps(site, run):
        os.kill(pid, signal.SIGKILL)
    if requeue:
        site.ground.gates.wait("ds0.2")  # a second poller has the dataset now, while the first one lives
        assert set(orphans) & set(site.processes())
        site.ground.gates.open("ds0.1", "ds0.2")
        site.wait(run, RunState.COMPLETED, BACK_SECONDS)
    else:
        assert "node failed" in site.wait(run, RunState.CRASHED, BACK_SECONDS)
        site.ground.gates.open("ds0.1")
        wait_until(lambda: site.ground.names("RESULTS") == ["ds0"], BACK_SECONDS, "the orphan gets it through")
    site.finish()
    assert site.ground.names("RESULTS") == ["ds0"]
