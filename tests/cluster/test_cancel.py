"""A job that is cancelled, waiting, running or deaf to TERM, by Prefect or behind its back: is nothing lost by it?"""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from infra.cluster.cluster import Cluster
from infra.slurm.runs import RunState
from tests.cluster.conftest import MakeSite
from tests.cluster.site import Site

pytestmark = pytest.mark.cluster

SECONDS_MAX = 20.0


def holding(site: Site, run: str = "poll", **options: Any) -> str:  # noqa: ANN401  # fields of JobSpec by name
    """Have a poller hold the dataset ds0 at its gate."""
    site.ground.add(1)
    site.ask(run, **options)
    site.ground.gates.wait("ds0.1")
    site.wait(run, RunState.RUNNING)
    return run


def ended(site: Site) -> str:
    """How the first attempt at ds0 ended, by its register."""
    return os.readlink(site.ground.root / "RAW" / "ds0" / f"ended.{site.ground.stages[0]}.1")


def test_a_running_one_lets_its_dataset_go_within_seconds(make_site: MakeSite, cluster: Cluster) -> None:
    site = make_site(cluster, "carry_through_gate")
    run = holding(site)
    since = time.monotonic()
    site.cancel(run)
    site.wait(run, RunState.CANCELLED)
    assert time.monotonic() - since < SECONDS_MAX
    assert ended(site).startswith("retry:-:0:0:"), "released, and nobody pays"
    assert site.lines(run) == site.printed(run)
    site.finish()


def test_one_that_waits_never_begins(make_site: MakeSite, cluster: Cluster) -> None:
    site = make_site(cluster)
    site.ground.add(1)
    run = site.ask("poll", directives=("begin=now+1hour",))
    site.wait_queued(run)
    site.cancel(run)
    site.wait(run, RunState.CANCELLED)
    assert site.runs.states(run).count("Running") == 0
    assert not list(site.directory(run).glob("began*"))
    site.finish()


def test_one_that_ignores_term_is_killed_and_its_dataset_comes_back(make_site: MakeSite, cluster: Cluster) -> None:
    site = make_site(cluster, "carry_through_gate")
    run = holding(site, environment=site.ground.environment | {"PHASELINE_GRACE_SECONDS": "600"})
    site.cancel(run)
    assert "cancelled" in site.wait(run, RunState.CANCELLED)
    # SLURM kills one process after the other: the poller may have seen its child die, which is no failure now.
    if os.path.lexists(site.ground.root / "RAW" / "ds0" / f"ended.{site.ground.stages[0]}.1"):
        assert ended(site).startswith("retry:-:0:0:")
    site.finish()


def test_scancel_behind_prefects_back_is_a_crash_that_says_so(make_site: MakeSite, cluster: Cluster) -> None:
    site = make_site(cluster, "carry_through_gate")
    run = holding(site)
    cluster.ask("scancel", site.job(run))
    assert "cancelled outside Prefect" in site.wait(run, RunState.CRASHED)
    assert ended(site).startswith("retry:-:0:0:")
    site.finish()


def test_scancel_of_one_that_waits_is_a_crash_too(make_site: MakeSite, cluster: Cluster) -> None:
    site = make_site(cluster)
    run = site.ask("poll", directives=("begin=now+1hour",))
    site.wait_queued(run)
    cluster.ask("scancel", site.job(run))
    assert "cancelled outside Prefect" in site.wait(run, RunState.CRASHED)
    assert site.runs.states(run).count("Running") == 0
