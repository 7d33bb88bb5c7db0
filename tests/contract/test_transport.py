"""Do all transports keep what `Transport` promises, the fake one of the worker's tests included?"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

import pytest

from infra.slurm.states import JobState, Phase
from infra.slurm.transport import SubmissionRefusedError, Transport, TransportUnavailableError
from tests.contract.clusters import Cluster, FakeCluster, LocalCluster, SbatchCluster, report_of, wait_for
from tests.contract.rest_daemon import RestCluster
from tests.unit.slurm.recordings import VERSIONS

OVER = [state for state in JobState if state.phase is Phase.OVER]


MAKE: dict[str, Callable[[Path], LocalCluster | SbatchCluster | RestCluster]] = {
    "local": LocalCluster,
    "sbatch": SbatchCluster,
    **{f"slurmrestd {version}": lambda top, version=version: RestCluster(top, version) for version in VERSIONS},
}


@pytest.fixture(params=["fake", *MAKE])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Cluster]:
    """A cluster with one slot."""
    if request.param == "fake":
        yield FakeCluster(tmp_path)
        return
    made = MAKE[request.param](tmp_path)
    yield made
    made.close()


def test_a_job_runs_and_completes(cluster: Cluster) -> None:
    job = cluster.transport.submit(cluster.held("a.1"))
    running = wait_for(cluster.transport, job, JobState.RUNNING)
    cluster.tell(job, 0)
    over = wait_for(cluster.transport, job, *OVER)
    assert (running.node, running.exit_code) == (over.node, None)
    assert running.node
    assert (over.state, over.exit_code, over.signal, over.restarts) == (JobState.COMPLETED, 0, None, 0)


def test_a_failure_has_its_exit_code(cluster: Cluster) -> None:
    job = cluster.transport.submit(cluster.held("a.1"))
    cluster.tell(job, 78)
    over = wait_for(cluster.transport, job, *OVER)
    assert (over.state, over.exit_code, over.signal) == (JobState.FAILED, 78, None)


def test_one_tag_is_one_job(cluster: Cluster) -> None:
    spec = cluster.held("a.1")
    job = cluster.transport.submit(spec)
    assert cluster.transport.submit(spec) == job
    assert cluster.another.submit(spec) == job
    cluster.tell(job, 3)
    wait_for(cluster.transport, job, JobState.FAILED)
    assert cluster.transport.submit(spec) == job
    assert report_of(cluster.another, job).exit_code == 3


def test_jobs_are_found_by_their_tags(cluster: Cluster) -> None:
    jobs = {tag: cluster.transport.submit(cluster.held(tag)) for tag in ("a.1", "a.2", "b.1")}
    assert cluster.another.find(["a.1", "b.1", "c.1"]) == {"a.1": jobs["a.1"], "b.1": jobs["b.1"]}
    assert cluster.transport.find([]) == {}


def test_what_is_not_known_is_none(cluster: Cluster) -> None:
    job = cluster.transport.submit(cluster.held("a.1"))
    strange = [job + "x", "4711", ""]
    answers = cluster.transport.look([job, *strange])
    assert [answers[one] for one in strange] == [None] * len(strange)
    assert answers[job] is not None
    assert cluster.transport.look([]) == {}


def test_the_next_one_waits_and_says_why(cluster: Cluster) -> None:
    first = cluster.transport.submit(cluster.held("a.1"))
    wait_for(cluster.transport, first, JobState.RUNNING)
    second = cluster.another.submit(cluster.held("a.2"))
    waiting = report_of(cluster.transport, second)
    assert waiting.state is JobState.PENDING
    assert waiting.reason
    cluster.tell(first, 0)
    wait_for(cluster.another, second, JobState.RUNNING)
    assert report_of(cluster.transport, first).state is JobState.COMPLETED


def test_a_waiting_job_is_cancelled_and_never_begins(cluster: Cluster) -> None:
    first = cluster.transport.submit(cluster.held("a.1"))
    wait_for(cluster.transport, first, JobState.RUNNING)
    second = cluster.transport.submit(cluster.held("a.2"))
    cluster.another.cancel([second])
    over = wait_for(cluster.transport, second, *OVER)
    assert (over.state, over.exit_code, over.signal) == (JobState.CANCELLED, None, None)
    assert report_of(cluster.transport, first).state is JobState.RUNNING


def test_a_running_job_is_cancelled(cluster: Cluster) -> None:
    job = cluster.transport.submit(cluster.held("a.1"))
    wait_for(cluster.transport, job, JobState.RUNNING)
    cluster.another.cancel([job])
    cluster.transport.cancel([job])
    assert wait_for(cluster.transport, job, *OVER).state is JobState.CANCELLED


def test_cancelling_what_is_over_or_unknown_changes_nothing(cluster: Cluster) -> None:
    job = cluster.transport.submit(cluster.held("a.1"))
    cluster.tell(job, 0)
    over = wait_for(cluster.transport, job, *OVER)
    cluster.transport.cancel([job, job + "x", "4711"])
    cluster.transport.cancel([])
    assert report_of(cluster.transport, job) == over


def test_a_job_that_cannot_be_is_refused(cluster: Cluster) -> None:
    spec = cluster.held("a.1")
    with pytest.raises(SubmissionRefusedError, match="command"):
        cluster.transport.submit(replace(spec, command=()))
    with pytest.raises(SubmissionRefusedError, match="PREFECT_API_KEY"):
        cluster.transport.submit(replace(spec, environment={"PREFECT_API_KEY": "secret"}))
    assert cluster.transport.find([spec.tag]) == {}


CALLS: dict[str, Callable[[Cluster, Transport, str], object]] = {
    "submit": lambda cluster, transport, _: transport.submit(cluster.held("a.2")),
    "look": lambda _, transport, job: transport.look([job]),
    "find": lambda _, transport, __: transport.find(["a.1"]),
    "cancel": lambda _, transport, job: transport.cancel([job]),
}


@pytest.mark.parametrize("call", CALLS)
def test_could_not_ask_is_no_answer(cluster: Cluster, call: str) -> None:
    job = cluster.transport.submit(cluster.held("a.1"))
    running = wait_for(cluster.transport, job, JobState.RUNNING)
    with cluster.away(), pytest.raises(TransportUnavailableError):
        CALLS[call](cluster, cluster.transport, job)
    assert report_of(cluster.transport, job) == running
