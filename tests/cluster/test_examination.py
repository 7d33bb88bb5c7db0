"""Does `phaseline doctor --site` find a real cluster well, and a deployment that asks for too much?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.cluster.cluster import Cluster
from tests.cluster.conftest import MakeSite
from tests.cluster.site import Site

pytestmark = pytest.mark.cluster

CHECKOUT = Path(__file__).resolve().parents[2]


def examine(site: Site, **environment: str) -> tuple[int, list[str]]:
    """Examine with the deployments of this checkout; its exit code and what it printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PHASELINE_")}
    installed = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    words = [sys.executable, "-m", "stages.engine", "doctor", "--site", "--wait-seconds", "90"]
    own = {**site.ground.environment, "PATH": installed, **environment}
    done = subprocess.run(words, env=kept | own, cwd=CHECKOUT, capture_output=True, text=True, timeout=200, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_a_cluster_that_is_well(make_site: MakeSite, own_cluster: Cluster) -> None:
    site = make_site(own_cluster)
    code, said = examine(site)
    assert [line for line in said[1:-1] if not line.startswith("ok ")] == []
    assert (code, said[-1].partition(": ")[0]) == (0, "summary")
    nodes = [line for line in said if line.endswith("things that the protocol needs of the root were tried out")]
    assert len(nodes) == 2, "a node with a GPU and one without"
    assert any("its clock agrees with this host's" in line for line in said)
    assert [name for name in os.listdir(site.ground.jobs) if name.startswith("doctor")] == []


def test_what_the_cluster_cannot_give(make_site: MakeSite, own_cluster: Cluster) -> None:
    """A grace that is longer than KillWait is a warning; a controller that is gone is a fault in time."""
    site = make_site(own_cluster)
    _, said = examine(site, PHASELINE_GRACE_SECONDS="20")
    assert any(line.startswith("warning  KillWait: a job has 3 s from TERM to KILL") for line in said)
    own_cluster.stop("slurmctld")
    code, said = examine(site)
    assert code == 78
    assert any(line.startswith("fault    controller: ") for line in said)
