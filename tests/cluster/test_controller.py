"""slurmctld stopped, killed, or without memory of a job: is "could not ask" never an answer, and no end invented?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra.cluster.cluster import Cluster
from infra.cluster.shape import CONTROLLER
from infra.slurm.runs import RunState
from tests.cluster.clusters import STEADY, a_cluster
from tests.cluster.conftest import MakeSite
from tests.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

FORGETFUL = replace(STEADY, min_job_age_seconds=3)
LONG_SECONDS = 120.0


def known(cluster: Cluster) -> list[str]:
    """The jobs that SLURM remembers."""
    return cluster.ask("squeue", "-h", "-t", "all", "-o", "%A").split()


def test_stopped_and_started_in_the_middle(make_site: MakeSite, own_cluster: Cluster) -> None:
    site = make_site(own_cluster, "carry_through_gate")
    site.ground.add(2)
    goes_on, ends = site.ask("goes-on", *site.poller(datasets=1)), site.ask("ends", *site.poller(datasets=1))
    site.ground.gates.wait("ds0.1")
    site.ground.gates.wait("ds1.1")
    for run in (goes_on, ends):
        site.wait(run, RunState.RUNNING)
    own_cluster.stop(CONTROLLER)
    site.ground.gates.open("ds0.1")
    wait_until(lambda: site.ground.names("RESULTS") == ["ds0"], 60, "one gets through without a controller")
    waits = site.ask("waits", "true", waits=False)
    site.wait_named(waits, "Not handed in yet")
    assert {site.state(run) for run in (goes_on, ends)} <= {RunState.RUNNING, RunState.COMPLETED}
    own_cluster.up()
    site.ground.gates.open("ds1.1")
    for run in (goes_on, ends, waits):
        site.wait(run, RunState.COMPLETED, LONG_SECONDS)
        assert site.runs.states(run).count("Running") == 1
    site.finish()


def test_killed_right_after_a_submission(make_site: MakeSite, own_cluster: Cluster) -> None:
    """SLURM may have lost the job then, or start it a second time: the run says so, and no dataset suffers."""
    site = make_site(own_cluster, "carry_through_gate")
    site.ground.add(1)
    run = site.ask("poll")
    own_cluster.kill(CONTROLLER)
    own_cluster.up()
    site.ground.gates.open("ds0.1", "ds0.2")
    message = site.wait(run, {RunState.COMPLETED, RunState.CRASHED}, LONG_SECONDS)
    if site.state(run) is RunState.CRASHED:
        assert "SLURM does not know what became of job" in message
    site.finish()


def test_what_slurm_has_forgotten_is_known_by_the_jobs_own_files(make_site: MakeSite) -> None:
    """The worker is away for longer than SLURM remembers: one job left its result, one had no time to."""
    with a_cluster(FORGETFUL) as own:
        site = make_site(own, "carry_through_gate")
        site.ground.add(1)
        left, failed, killed = (
            site.ask("left"),
            site.ask("failed", "bash", "-c", "until [[ -e go ]]; do sleep 0.2; done; exit 7"),
            site.ask("killed", "bash", "-c", "until [[ -e go ]]; do sleep 0.2; done; kill -KILL $PPID"),
        )
        runs = (left, failed, killed)
        site.ground.gates.wait("ds0.1")
        for run in runs:
            site.wait(run, RunState.RUNNING)
        site.desk.die()
        site.ground.gates.open("ds0.1")
        jobs = {run: site.job(run) for run in runs}
        for run in (failed, killed):
            (site.directory(run) / "go").touch()
        wait_until(lambda: not set(jobs.values()) & set(known(own)), 180, "SLURM has forgotten them")
        site.next_worker()
        site.wait(left, RunState.COMPLETED, LONG_SECONDS)
        assert "exit code 7" in site.wait(failed, RunState.FAILED, LONG_SECONDS)
        assert f"SLURM does not know what became of job {jobs[killed]}" in site.wait(
            killed, RunState.CRASHED, LONG_SECONDS
        )
        site.finish()
