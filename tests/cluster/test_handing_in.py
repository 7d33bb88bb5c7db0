"""A job that is handed in: whatever its values hold, whoever dies meanwhile, and if nobody hears that it was."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from infra.cluster.cluster import Cluster
from infra.slurm.job import render_script
from infra.slurm.runs import RunState
from tests.cluster.conftest import MakeSite
from tests.cluster.site import SECONDS
from tests.waiting import wait_until

pytestmark = pytest.mark.cluster

EVIL = [
    "a b",
    "it's",
    '"quoted"',
    "$(touch broken)",
    "`touch broken`",
    "a\nb",
    "\\",
    "*",
    "--wrap",
    "#SBATCH --hold",
    "ü €",
    "",
]
DUMP = "import json, os, sys; json.dump([sys.argv[1:], os.environ['EVIL']], open('said', 'w'))"


def test_whatever_is_in_a_value_arrives_as_it_is(make_site: MakeSite, cluster: Cluster) -> None:
    site = make_site(cluster)
    run = site.ask("evil", sys.executable, "-c", DUMP, *EVIL, environment={"EVIL": "\n".join(EVIL)})
    site.wait(run, RunState.COMPLETED)
    assert json.loads((site.directory(run) / "said").read_text()) == [EVIL, "\n".join(EVIL)]
    assert not (site.directory(run) / "broken").exists()


def test_a_root_and_a_dataset_with_spaces_and_quotes(make_site: MakeSite, cluster: Cluster, tmp_path: Path) -> None:
    site = make_site(cluster, name='it\'s a $(strange) "root"')
    site.ground.add(2, "a;b ")
    site.wait(site.ask("poll"), RunState.COMPLETED)
    site.finish()


def test_a_job_whose_number_nobody_heard_is_not_handed_in_again(make_site: MakeSite, cluster: Cluster) -> None:
    """The answer of sbatch is lost: a second submission of the tag starts nothing, or is none."""
    site = make_site(cluster, "carry_through_gate")
    site.ground.add(1)
    bin_directory = site.ground.top / "bin"
    bin_directory.mkdir()
    real = next(path for path in os.environ["PATH"].split(":") if os.access(f"{path}/sbatch", os.X_OK))
    script = bin_directory / "sbatch"
    mark = bin_directory / "lost"
    script.write_text(
        f'#!/bin/bash\n[[ ! -e "{mark}" ]] || exec {real}/sbatch "$@"\ntouch "{mark}"\n{real}/sbatch "$@" >/dev/null\n'
        'echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2\nexit 1\n'
    )
    script.chmod(0o755)
    with site.path_before(bin_directory):
        run = site.ask(f"lost-{site.ground.suffix}")  # it is looked for by its tag, which nobody else may have
    site.ground.gates.wait("ds0.1")
    site.ground.gates.open("ds0.1")
    site.wait(run, RunState.COMPLETED)
    assert mark.exists()
    assert len(site.lines(run)) == 2, "published, ended: by one poller"
    site.finish()


def test_a_second_job_of_one_tag_starts_nothing(make_site: MakeSite, cluster: Cluster) -> None:
    site = make_site(cluster, "carry_through_gate")
    site.ground.add(2)
    run = site.ask("poll")
    wait_until(lambda: bool(site.ground.gates.reached()), SECONDS, "a dataset is at its gate")
    path = site.ground.top / "again"
    path.write_text(render_script(site.specs[run](site.directory(run).name)))
    cluster.ask("sbatch", "--wait", str(path), seconds=SECONDS)
    assert len(site.ground.gates.reached()) == 1
    site.ground.gates.open("ds0.1", "ds1.1")
    site.wait(run, RunState.COMPLETED)
    site.finish()


@pytest.mark.parametrize("when", ["queued", "running", "over"])
def test_the_worker_is_killed_and_the_next_one_knows_all(make_site: MakeSite, cluster: Cluster, when: str) -> None:
    site = make_site(cluster, "carry_through_gate")
    site.ground.add(1)
    run = site.ask("poll", directives=("begin=now+4",) if when == "queued" else ())
    if when == "queued":
        site.wait_queued(run)
        site.next_worker()
        site.ground.gates.open("ds0.1")
    else:
        site.ground.gates.wait("ds0.1")
        site.wait(run, RunState.RUNNING)
        if when == "over":
            site.desk.die()
            site.ground.gates.open("ds0.1")
            site.wait_for_slurm(run, "COMPLETED")
        site.next_worker()
        site.ground.gates.open("ds0.1")
    site.wait(run, RunState.COMPLETED)
    assert site.lines(run) == site.printed(run)
    assert site.runs.states(run).count("Running") == 1
    site.finish()


def test_prefect_is_away_while_jobs_begin_and_end(make_site: MakeSite, cluster: Cluster) -> None:
    site = make_site(cluster, "carry_through_gate")
    site.ground.add(2)
    one, two = (site.ask(f"poll-{number}", *site.poller(datasets=1)) for number in range(2))
    for name in site.ground.arrived:
        site.ground.gates.wait(f"{name}.1")
    site.wait(one, RunState.RUNNING)
    site.runs.is_away = True
    site.ground.gates.open("ds0.1", "ds1.1")
    for run in (one, two):
        site.wait_for_slurm(run, "COMPLETED")
    assert RunState.COMPLETED not in {site.state(run) for run in (one, two)}
    site.runs.is_away = False
    for run in (one, two):
        site.wait(run, RunState.COMPLETED)
        assert site.lines(run) == site.printed(run)
    site.finish()
