"""`phaseline cluster`, typed: does it come up from nothing and from half, refuse clearly, and end what it started?"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.cluster import record
from infra.cluster.cluster import Cluster
from infra.cluster.shape import DAEMONS
from infra.stack import processes
from tests.cluster.clusters import SHORT, need_slurm
from tests.waiting import wait_until

pytestmark = pytest.mark.cluster


def typed(*words: str) -> subprocess.CompletedProcess[str]:
    """Type it, as a person with nothing of SLURM in the environment."""
    seen = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    return subprocess.run(
        [sys.executable, "-m", "stages.engine", "cluster", *words],
        env=seen,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def directory() -> Iterator[Path]:
    """Where a cluster may be; it is down at the end."""
    need_slurm()
    top = Path(tempfile.mkdtemp(prefix="phaseline-slurm-", dir=SHORT))
    top.chmod(0o755)
    yield top / "mine"
    Cluster(top / "mine").down()
    shutil.rmtree(top)


def test_up_twice_then_half_of_it_dies_then_up_then_down_twice(directory: Path) -> None:
    up = typed("up", str(directory))
    assert up.returncode == 0, up.stderr
    conf = directory / "etc" / "slurm.conf"
    assert up.stdout.splitlines()[-1] == f"    export SLURM_CONF={conf}"
    done = subprocess.run(
        ["sbatch", "--wait", "-o", "/dev/null", "--wrap", "hostname"],
        env={**os.environ, "SLURM_CONF": str(conf)},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    first = record.read(directory / "cluster.json")
    assert first is not None
    assert set(first.processes) == set(DAEMONS)

    again = typed("up", str(directory))
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("up already, nothing to do\n")
    assert record.read(directory / "cluster.json") == first

    cluster = Cluster(directory)
    for daemon in ("munged", "n2", "slurmrestd"):
        cluster.kill(daemon)
    half = typed("status", str(directory))
    assert half.returncode == 3
    assert "not alive: munged, n2, slurmrestd; to start them: phaseline cluster up" in half.stdout
    mended = typed("up", str(directory))
    assert mended.returncode == 0, mended.stderr
    assert mended.stdout.startswith("started: munged, n2, slurmrestd\n")
    assert typed("status", str(directory)).returncode == 0

    jobs = subprocess.run(
        ["sbatch", "-o", "/dev/null", "--wrap", "sleep 600"], env={**os.environ, "SLURM_CONF": str(conf)}, check=False
    )
    assert jobs.returncode == 0
    now = record.read(directory / "cluster.json")
    assert now is not None
    down = typed("down", str(directory))
    assert down.returncode == 0, down.stderr
    assert not any(processes.is_alive(one) for one in now.processes.values())
    assert typed("down", str(directory)).stdout.startswith("nothing was running\n")
    gone = typed("status", str(directory))
    assert (gone.returncode, "none is alive: phaseline cluster up" in gone.stdout) == (3, True)


def test_down_ends_nothing_that_only_has_the_number_of_a_daemon(directory: Path) -> None:
    cluster = Cluster(directory)
    cluster.up()
    found = record.read(cluster.place.record)
    assert found is not None
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        try:
            cluster.stop("slurmrestd")
            later = processes.Process(pid=stranger.pid, started_ticks=1, boot_id=processes.boot_id())
            record.write(cluster.place.record, found.started("slurmrestd", later))
            assert "slurmrestd" not in cluster.down()
            assert stranger.poll() is None
        finally:
            stranger.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("with a space", "SLURM's configuration cannot name a path with a space"),
        ("full", "it is not empty, and no cluster"),
        ("file", "Not a directory; choose another directory"),
    ],
)
def test_a_directory_that_will_not_do_is_refused(directory: Path, name: str, why: str) -> None:
    top = directory.parent
    (top / "full").mkdir()
    (top / "full" / "thesis.tex").touch()
    (top / "file").touch()
    refused = typed("up", str(top / name))
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert why in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert sorted(path.name for path in (top / "full").iterdir()) == ["thesis.tex"]


def test_a_port_that_is_taken_is_refused(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = typed("up", str(directory), "--port", str(port - 1))
        assert f"port {port} is taken by another program" in refused.stderr
        assert refused.returncode == 1
    assert "there is no cluster; type: phaseline cluster up" in typed("status", str(directory)).stderr


def test_what_a_job_leaves_behind_ends_with_its_cluster(directory: Path) -> None:
    cluster = Cluster(directory)
    cluster.up()
    mark = directory.parent / "left.pid"
    script = f"setsid sleep 600 & echo $! >{mark}.new && mv {mark}.new {mark}; wait"
    cluster.ask("sbatch", "-o", "/dev/null", "--wrap", script)
    wait_until(mark.exists, 30, "the job runs")
    left = int(mark.read_text())
    cluster.down()
    wait_until(lambda: not Path(f"/proc/{left}").exists(), 10, "it is gone")
