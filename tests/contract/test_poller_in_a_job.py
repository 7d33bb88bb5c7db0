"""Does a poller that the real script of a job starts know when its job ends, and what an earlier start of it left?"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infra.slurm.spec import JobSpec
from infra.slurm.states import JobState
from stages.engine import names
from stages.engine.records import parse_taken
from tests.contract.clusters import LocalCluster, wait_for
from tests.fakes import registers
from tests.unit.chain import Chain
from tests.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
STAGE = """
reads = "IN"
writes = "MID"
[work]
command = ["sh", "-c", '''{work}
echo $SLURM_JOB_ID.$SLURM_RESTART_COUNT > "$STAGE_OUTPUT/who"''']
[output]
durability = "none"
"""
WAITS = """[ -z "$GATE" ] || until [ -e "$GATE" ]; do sleep 0.05; done"""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path / "pipeline")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    (tmp_path / "cluster").mkdir()
    found = LocalCluster(tmp_path / "cluster", slots=2)
    yield found
    found.close()


def poller(chain: Chain, cluster: LocalCluster, tag: str, work: str, limit_seconds: int, **more: str) -> JobSpec:
    """A job that polls the first stage until it is idle."""
    (chain.stages / "first" / "stage.toml").write_text(STAGE.format(work=work))
    own = {"PHASELINE_ROOT": chain.root.path, "PHASELINE_STAGES": str(chain.stages), "PHASELINE_GRACE_SECONDS": "1"}
    command = (sys.executable, "-m", "stages.engine", "poll", "first", "--until-idle")
    spec = cluster.spec(tag, *command, time_limit_seconds=limit_seconds, environment={**own, **more})
    return replace(spec, working_directory=str(CHECKOUT))


def claimed(chain: Chain, dataset: str) -> int | None:
    """The process that owns the first attempt, once its work goes on."""
    if not any((place / names.ATTEMPT).is_symlink() for place in chain.path("IN/_work").glob(f"{dataset}.1.*")):
        return None
    return parse_taken(os.readlink(chain.path(f"IN/{dataset}/{names.taken('first', 1)}"))).pid


def test_it_claims_nothing_that_it_cannot_finish_before_the_limit(chain: Chain, cluster: LocalCluster) -> None:
    """Of its eight seconds one is kept free; a dataset takes two, and half as much again is asked for. Unwarned."""
    for number in range(9):
        chain.put(f"ds{number}")
    job = cluster.transport.submit(replace(poller(chain, cluster, "a.1", "sleep 2", 8), warning_seconds=0))
    assert wait_for(cluster.transport, job, JobState.COMPLETED).exit_code == 0
    assert "poller ended: deadline near" in cluster.output(job)
    published, left = chain.ls("MID"), chain.ls("IN")
    assert 1 <= len(published) <= 3
    assert len(published) + len(left) == 9
    assert [name for name in left if registers(chain.path(f"IN/{name}"))] == []


def test_warned_of_the_limit_it_finishes_what_it_has_and_claims_nothing_more(
    chain: Chain, cluster: LocalCluster
) -> None:
    """It is warned in the middle of its ten seconds, and has until a second before their end."""
    for name in ("ds1", "ds2"):
        chain.put(name)
    spec = replace(poller(chain, cluster, "a.1", "sleep 6", 10), warning_seconds=5)
    job = cluster.transport.submit(spec)
    assert wait_for(cluster.transport, job, JobState.COMPLETED).exit_code == 0
    assert "poller ended: drained" in cluster.output(job)
    assert len(chain.ls("MID")) == 1
    (left,) = chain.ls("IN")
    assert registers(chain.path(f"IN/{left}")) == {}


def test_a_requeued_job_goes_on_at_once_and_its_former_start_publishes_nothing(
    chain: Chain, cluster: LocalCluster, tmp_path: Path
) -> None:
    """The lease is three minutes; the former start is stopped, as if its node were out of sight, and wakes up later."""
    path, gate = chain.put("ds1"), tmp_path / "gate"
    former = poller(chain, cluster, "a.1", WAITS, 100, SLURM_JOB_ID="7", GATE=str(gate))
    orphan = cluster.transport.submit(former)
    wait_until(lambda: claimed(chain, "ds1") is not None, 30, lambda: "it claims nothing")
    pid = claimed(chain, "ds1")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        heir = poller(chain, cluster, "b.1", WAITS, 100, SLURM_JOB_ID="7", SLURM_RESTART_COUNT="1")
        job = cluster.transport.submit(heir)
        assert wait_for(cluster.transport, job, JobState.COMPLETED).exit_code == 0
        assert "requeued lost: its job 7.0 on" in cluster.output(job)
        assert chain.path("MID/ds1/who").read_text() == "7.1\n"
        published = registers(next(chain.path("IN/_done").iterdir()))
        assert published["ended.first.1"].startswith("retry:-:0:0:0:lost: its job 7.0 on ")
        assert published["ended.first.2"].startswith("publish:")
    finally:
        gate.touch()
        os.kill(pid, signal.SIGCONT)
    assert wait_for(cluster.transport, orphan, JobState.COMPLETED).exit_code == 0
    assert "somebody else ended this attempt" in cluster.output(orphan)
    assert chain.path("MID/ds1/who").read_text() == "7.1\n"
    assert (chain.ls("MID"), chain.ls("IN"), os.listdir(chain.path("IN/_work"))) == (["ds1"], [], [])
    assert not path.exists()
