"""A job that ends by itself, or is killed: does its run say the same as SLURM, in words that help?"""

from __future__ import annotations

import pytest

from infra.cluster.cluster import Cluster
from infra.slurm.runs import RunState
from tests.cluster.conftest import MakeSite

pytestmark = pytest.mark.cluster

ENDS = {
    "exit 0": (RunState.COMPLETED, "exit code 0"),
    "exit 7": (RunState.FAILED, "exit code 7"),
    "exit 78": (RunState.FAILED, "EX_CONFIG"),
    "no-such-program": (RunState.FAILED, "the command was not found"),
    "kill -SEGV $$": (RunState.CRASHED, "killed by SIGSEGV"),
    "kill -KILL $$": (RunState.CRASHED, "killed by SIGKILL"),
    "kill -TERM $$": (RunState.CRASHED, "killed by SIGTERM"),
}


def test_ends_of_all_kinds_are_told_as_they_are(make_site: MakeSite, cluster: Cluster) -> None:
    site = make_site(cluster)
    runs = {command: f"end-{number}" for number, command in enumerate(ENDS)}
    for command, run in runs.items():
        site.ask(run, "bash", "-c", f"echo begins; {command}")
    for command, run in runs.items():
        state, words = ENDS[command]
        assert words in site.wait(run, state), command
        assert "begins" in site.lines(run)
        assert next(name for name in site.runs.states(run) if not name.startswith("Queued")) == "Running"


def test_pollers_carry_datasets_through_two_stages(make_site: MakeSite, cluster: Cluster) -> None:
    site = make_site(cluster, "carry", "carry")
    site.ground.add(5)
    runs = [site.ask(f"poll-{number}", *site.poller(stage)) for number, stage in enumerate(site.ground.stages)]
    for run in runs:
        site.wait(run, RunState.COMPLETED)
        assert site.lines(run) == site.printed(run)
    site.finish()


def test_a_stage_that_cannot_be_set_up_fails_its_run_and_touches_no_dataset(
    make_site: MakeSite, cluster: Cluster
) -> None:
    site = make_site(cluster, "breakable")
    site.ground.add(1)
    (site.ground.gates.directory / "broken").touch()
    assert "EX_CONFIG" in site.wait(site.ask("poll"), RunState.FAILED)
    assert list((site.ground.root / "RAW" / "ds0").glob("taken.*")) == []
    (site.ground.gates.directory / "broken").unlink()
    site.finish()


def test_gpus_are_given_to_those_that_asked(make_site: MakeSite, cluster: Cluster) -> None:
    site = make_site(cluster)
    shown = ("bash", "-c", 'echo "gpus: ${CUDA_VISIBLE_DEVICES-none} on $SLURMD_NODENAME"')
    one, none = site.ask("one", *shown, gpus=1), site.ask("none", *shown)
    for run in (one, none):
        site.wait(run, RunState.COMPLETED)
    assert site.lines(one)[0] in {f"gpus: {number} on {node}" for number in (0, 1) for node in ("n3", "n4")}
    assert site.lines(none)[0].startswith("gpus: none on ")
