"""Does a sweep free what a job held that SLURM says has ended, ask once, and go by leases where SLURM is away?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from infra.cluster.cluster import Cluster
from infra.cluster.shape import CONTROLLER
from infra.slurm.runs import RunState
from tests.cluster.conftest import MakeSite
from tests.cluster.site import Site
from tests.waiting import wait_until

pytestmark = pytest.mark.cluster

LONG_LEASE = 1000.0
# In a pid namespace of its own, as on a node of its own: nobody here can tell that the process is gone.
ELSEWHERE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child")


def hold(site: Site, count: int, *around: str) -> list[str]:
    """Have so many pollers in jobs hold a dataset each, at its gate; `around` starts them."""
    site.ground.add(count)
    runs = [site.ask(f"poll{number}", *around, *site.poller(datasets=1)) for number in range(count)]
    for number in range(count):
        site.ground.gates.wait(f"ds{number}.1")
    for run in runs:
        site.wait(run, RunState.RUNNING)
    return runs


def kill(site: Site, run: str) -> None:
    """End all that works for a job at once: nothing of it can let go of what it holds."""
    sign = f"SLURM_JOB_ID={site.job(run)}".encode()
    for pid in site.processes():
        with suppress(OSError):  # gone with one before, or just going
            if sign in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)


def sweep(site: Site, programs: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One `phaseline sweep` on this host; it finds the programs in this directory first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_JOB", "PHASELINE_"))}
    words = [sys.executable, "-m", "stages.engine", "sweep"]
    environment = kept | site.ground.environment
    if programs is not None:
        environment["PATH"] = f"{programs}:{environment['PATH']}"
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=True)


def counting(top: Path) -> tuple[Path, Path]:
    """Make programs that write down that they were called; their directory, and where that is written."""
    (top / "bin").mkdir()
    for program in ("squeue", "scontrol", "sacct", "sdiag", "sinfo"):
        script = top / "bin" / program
        script.write_text(f'#!/bin/sh\necho {program} >>"{top}/calls"\nPATH="${{PATH#*:}}" exec {program} "$@"\n')
        script.chmod(0o755)
    return top / "bin", top / "calls"


def test_a_job_that_certainly_ended_frees_its_datasets_in_one_sweep(
    make_site: MakeSite, own_cluster: Cluster, tmp_path: Path
) -> None:
    site = make_site(own_cluster, "carry_through_gate", lease_seconds=LONG_LEASE)
    runs = hold(site, 4, *ELSEWHERE)
    for run in runs[:3]:
        kill(site, run)
    for run in runs[:3]:
        site.wait(run, RunState.CRASHED)
    programs, calls = counting(tmp_path)
    said = sweep(site, programs).stdout
    assert calls.read_text().splitlines() == ["squeue"]
    freed = [line for line in said.splitlines() if "has ended" in line]
    assert len(freed) == 3, said
    for run in runs[:3]:
        assert any(f"its job {site.job(run)}.0 on " in line for line in freed)
    site.ground.gates.open(*(f"ds{number}.1" for number in range(4)))
    site.wait(runs[3], RunState.COMPLETED)
    assert len(site.ground.names("RESULTS")) == 1
    site.finish()


def test_a_job_that_runs_makes_no_silent_heartbeat_look_alive(make_site: MakeSite, own_cluster: Cluster) -> None:
    site = make_site(own_cluster, "carry_through_gate", lease_seconds=1.5)
    (run,) = hold(site, 1)
    processes = site.processes()
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    said: list[str] = []

    def is_given_up() -> bool:
        said.append(sweep(site).stdout)
        return "was silent for more than 2 s" in said[-1]

    wait_until(is_given_up, 60, lambda: f"still taken for alive: {said}")
    site.wait_for_slurm(run, "RUNNING")
    for pid in processes:
        with suppress(ProcessLookupError):  # one that was just ending when it was looked at
            os.kill(pid, signal.SIGCONT)
    site.ground.gates.open("ds0.1", "ds0.2")
    site.wait(run, RunState.COMPLETED)
    site.finish()


def test_without_a_controller_the_sweep_goes_on_and_says_so(make_site: MakeSite, own_cluster: Cluster) -> None:
    site = make_site(own_cluster, "carry_through_gate", lease_seconds=LONG_LEASE)
    (run,) = hold(site, 1)
    own_cluster.stop(CONTROLLER)
    done = sweep(site)
    assert "could not be asked about 1 job that holds claims, so leases alone decide" in done.stderr
    assert "nothing to do" in done.stdout
    own_cluster.up()
    site.ground.gates.open("ds0.1")
    site.wait(run, RunState.COMPLETED, 200)
    site.finish()


def test_what_a_preemption_has_killed_counts_nowhere(make_site: MakeSite, own_cluster: Cluster) -> None:
    """Its poller takes longer to let go than this site lets it: whoever is told to end is killed."""
    site = make_site(own_cluster, "carry_through_gate", lease_seconds=LONG_LEASE)
    site.ground.add(1)
    slow = {**site.ground.environment, "PHASELINE_GRACE_SECONDS": "600"}
    impatient = ("bash", "-c", 'trap "kill -KILL 0" TERM; "$@" & wait', "impatient", *site.poller())
    run = site.ask("poll", *impatient, partition="low-cancel", exclude="n2,n3,n4", cpus=8, environment=slow)
    site.ground.gates.wait("ds0.1")
    site.wait(run, RunState.RUNNING)
    own_cluster.ask("sbatch", "-p", "cpu", "-w", "n1", "-c", "8", "-o", "/dev/null", "--wrap", "true")
    assert "preempted" in site.wait(run, RunState.CRASHED, 120)
    assert f"its job {site.job(run)}.0 on " in sweep(site).stdout
    (end,) = (site.ground.root / "RAW" / "ds0").glob("ended.*.1")
    said = os.readlink(end)
    assert said.startswith("retry:-:0:0:0:lost: its job ")
    assert said.endswith(" was preempted")
    site.finish()
