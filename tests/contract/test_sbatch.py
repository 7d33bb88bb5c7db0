"""What `sbatch` promises beyond it: few questions, lost answers, numbers, and whose word counts in the end."""

from __future__ import annotations

import os
import pwd
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from infra.slurm.sbatch import SbatchTransport
from infra.slurm.states import JobState, Phase
from infra.slurm.transport import JobReport, SubmissionRefusedError, TransportUnavailableError
from tests.contract.clusters import LIMIT_SECONDS, SbatchCluster, report_of, wait_for
from tests.waiting import wait_until

OVER = [state for state in JobState if state.phase is Phase.OVER]


@pytest.fixture
def cluster(tmp_path: Path) -> Generator[SbatchCluster]:
    made = SbatchCluster(tmp_path)
    yield made
    made.close()


def number_of(job: str) -> int:
    return int(job.partition(":")[0])


def ended(cluster: SbatchCluster, tag: str = "a.1", exit_code: int = 0) -> str:
    """Return a job that has ended, as far as the cluster and its directory say; nobody has looked at it."""
    job = cluster.transport.submit(cluster.held(tag))
    cluster.tell(job, exit_code)
    wait_until(lambda: cluster.record(number_of(job))["state"] in OVER, LIMIT_SECONDS, "its end")
    return job


def test_an_identifier_is_all_that_a_restarted_worker_needs(cluster: SbatchCluster) -> None:
    job = ended(cluster, exit_code=3)
    assert job == f"{number_of(job)}:{cluster.jobs / 'a.1'}"
    assert report_of(cluster.worker(), job).exit_code == 3


def test_one_question_for_all_jobs_and_one_more_for_each_that_fails(cluster: SbatchCluster) -> None:
    jobs = [cluster.transport.submit(cluster.held(f"a.{number}")) for number in range(5)]
    wait_for(cluster.transport, jobs[0], JobState.RUNNING)
    before = len(cluster.calls("squeue"))
    assert cluster.calls("scontrol") == []
    cluster.transport.look(jobs)
    cluster.transport.look(jobs)
    assert len(cluster.calls("squeue")) == before + 2
    cluster.tell(jobs[0], 0)
    wait_for(cluster.transport, jobs[0], JobState.COMPLETED)
    assert cluster.calls("scontrol") == []
    cluster.tell(jobs[1], 7)
    wait_for(cluster.transport, jobs[1], JobState.FAILED)
    for _ in range(3):
        cluster.transport.look(jobs)
    assert cluster.calls("scontrol") == [f"scontrol show job {number_of(jobs[1])}"]
    assert cluster.calls("sacct") == []


def test_a_queue_that_takes_long_to_come_is_asked_for_less_often(cluster: SbatchCluster) -> None:
    """But a job that was handed in meanwhile is looked at all the same."""
    clock = iter(range(0, 10_000, 2))  # the queue takes 2 s
    slow = cluster.worker()
    slow.monotonic = lambda: float(next(clock))
    jobs = [slow.submit(cluster.held("a.1"))]
    slow.look(jobs)
    asked = len(cluster.calls("squeue"))
    jobs.append(slow.submit(cluster.held("a.2")))
    reports = [slow.look(jobs) for _ in range(2)]
    assert len(cluster.calls("squeue")) == asked
    assert [report is not None and report.state for report in reports[1].values()] == [
        JobState.RUNNING,
        JobState.PENDING,
    ]
    for _ in range(20):
        slow.look(jobs)
    assert asked < len(cluster.calls("squeue")) < asked + 8


def test_nothing_is_asked_for_what_is_not_slurms(cluster: SbatchCluster) -> None:
    assert cluster.transport.look(["4711", "host:/x", ""]) == {"4711": None, "host:/x": None, "": None}
    cluster.transport.cancel(["4711", ""])
    cluster.transport.find([])
    assert cluster.calls("squeue") == []


def test_a_job_whose_answer_was_lost_is_found_and_not_handed_in_again(cluster: SbatchCluster) -> None:
    spec = cluster.held("a.1")
    (cluster.state / "lose").touch()
    with pytest.raises(TransportUnavailableError, match="Socket timed out"):
        cluster.transport.submit(spec)
    (cluster.state / "lose").unlink()
    job = cluster.another.submit(spec)
    assert cluster.worker().find(["a.1"]) == {"a.1": job}
    assert len(cluster.calls("sbatch")) == 1
    cluster.tell(job, 0)
    assert wait_for(cluster.transport, job, *OVER).state is JobState.COMPLETED


def test_a_job_whose_answer_was_lost_is_found_in_the_accounting(cluster: SbatchCluster) -> None:
    """It had ended before it could begin, and SLURM has forgotten it: an administrator's doing."""
    spec = cluster.held("a.1")
    (cluster.state / "slots").write_text("0")
    (cluster.state / "lose").touch()
    with pytest.raises(TransportUnavailableError):
        cluster.transport.submit(spec)
    (cluster.state / "lose").unlink()
    cluster.forget(101)
    (cluster.state / "accounting").write_text("101|CANCELLED by 0|0:0|None assigned|a.1\n")
    job = cluster.transport.submit(spec)
    assert number_of(job) == 101
    assert report_of(cluster.transport, job) == JobReport(state=JobState.CANCELLED, by=pwd.getpwuid(0).pw_name)


def test_of_two_jobs_with_one_tag_one_runs_and_both_names_lead_to_it(cluster: SbatchCluster) -> None:
    """The answer of the first was lost, and the controller did not know it yet when it was looked for."""
    job = cluster.transport.submit(cluster.held("a.1"))
    wait_for(cluster.transport, job, JobState.RUNNING)
    (cluster.state / "slots").write_text("2")
    second = cluster.hand_in_again("a.1")
    wait_until(lambda: cluster.record(number_of(second))["state"] in OVER, LIMIT_SECONDS, "the second to end")
    assert report_of(cluster.transport, second).state is JobState.RUNNING
    assert f"job {number_of(second)}, submitted again, starts nothing" in cluster.output(job)
    cluster.tell(job, 7)
    for name in (job, second):
        assert wait_for(cluster.transport, name, *OVER).exit_code == 7


def test_who_cancels_a_job_cancels_its_second_submission_too(cluster: SbatchCluster) -> None:
    job = cluster.transport.submit(cluster.held("a.1"))
    wait_for(cluster.transport, job, JobState.RUNNING)
    second = cluster.hand_in_again("a.1")
    cluster.transport.cancel([job])
    assert wait_for(cluster.transport, job, *OVER).state is JobState.CANCELLED
    assert cluster.record(number_of(second))["state"] == "CANCELLED"


def test_a_number_that_is_another_jobs_now_is_neither_believed_nor_cancelled(cluster: SbatchCluster) -> None:
    """The cluster was set up anew, and counts from 1 again."""
    job = cluster.transport.submit(cluster.held("a.1"))
    wait_for(cluster.transport, job, JobState.RUNNING)
    stranger = f"{number_of(job)}:{cluster.jobs / 'b.1'}"
    (cluster.jobs / "b.1").mkdir()
    assert cluster.transport.look([stranger]) == {stranger: None}
    cluster.transport.cancel([stranger])
    assert cluster.calls("scancel") == []


def test_a_forgotten_job_is_known_by_what_it_has_left(cluster: SbatchCluster) -> None:
    job = ended(cluster, exit_code=3)
    cluster.forget(number_of(job))
    report = report_of(cluster.transport, job)
    assert (report.state, report.exit_code) == (JobState.FAILED, 3)


def test_a_forgotten_job_that_left_nothing_is_unknown_and_asked_for_once(cluster: SbatchCluster) -> None:
    """Or what it left is of an earlier start."""
    job = ended(cluster)
    (cluster.jobs / "a.1" / f"began.{number_of(job)}.1").touch()
    cluster.forget(number_of(job))
    for _ in range(3):
        assert cluster.transport.look([job]) == {job: None}
    assert len(cluster.calls("scontrol")) == 1
    assert len(cluster.calls("sacct")) == 1, "it said that there is no accounting"


def test_accounting_knows_what_slurm_has_forgotten_a_little_later(cluster: SbatchCluster) -> None:
    job = ended(cluster)
    (cluster.jobs / "a.1" / f"result.{number_of(job)}.0").unlink()
    cluster.forget(number_of(job))
    accounting = cluster.state / "accounting"
    accounting.write_text("")
    assert cluster.transport.look([job]) == {job: None}
    accounting.write_text(f"{number_of(job)}|NODE_FAIL|0:0|n1|a.1\n")
    assert cluster.transport.look([job]) == {job: None}
    assert len(cluster.calls("sacct")) == 1
    cluster.now += 20
    assert report_of(cluster.transport, job) == JobReport(state=JobState.NODE_FAIL, node="n1")


def test_an_end_waits_for_accounting_that_is_away_but_not_for_ever(cluster: SbatchCluster) -> None:
    """Could not ask is no answer; the controller is asked as ever meanwhile."""
    job = ended(cluster)
    (cluster.jobs / "a.1" / f"result.{number_of(job)}.0").unlink()
    cluster.forget(number_of(job))
    other = cluster.transport.submit(cluster.held("a.2"))
    (cluster.state / "accounting.away").touch()
    for _ in range(6):
        cluster.now += 10
        assert report_of(cluster.transport, job).state is JobState.COMPLETING
    assert wait_for(cluster.another, other, JobState.RUNNING)
    cluster.now += 300
    assert cluster.transport.look([job]) == {job: None}


def test_accounting_says_by_whom_a_job_was_cancelled(cluster: SbatchCluster) -> None:
    job = cluster.transport.submit(cluster.held("a.1"))
    wait_for(cluster.transport, job, JobState.RUNNING)
    accounting = cluster.state / "accounting"
    accounting.write_text("")
    cluster.scancel(number_of(job))
    wait_until(lambda: cluster.record(number_of(job))["state"] in OVER, LIMIT_SECONDS, "its end")
    assert report_of(cluster.transport, job).state is JobState.COMPLETING, "it comes a second later"
    accounting.write_text(f"{number_of(job)}|CANCELLED by 0|0:15|n1|a.1\n")
    cluster.now += 3
    report = report_of(cluster.transport, job)
    assert (report.state, report.by) == (JobState.CANCELLED, pwd.getpwuid(0).pw_name)


def test_nobody_waits_to_hear_who_cancelled_a_job_that_was_cancelled_here(cluster: SbatchCluster) -> None:
    job = cluster.transport.submit(cluster.held("a.1"))
    wait_for(cluster.transport, job, JobState.RUNNING)
    (cluster.state / "accounting").write_text("")
    cluster.transport.cancel([job])
    report = wait_for(cluster.transport, job, *OVER)
    assert (report.state, report.by) == (JobState.CANCELLED, "")
    assert cluster.calls("sacct") == []


def test_a_requeued_job_waits_and_is_not_over(cluster: SbatchCluster) -> None:
    job = ended(cluster, exit_code=1)
    cluster.change(number_of(job), state="PENDING", reason="BeginTime", restarts=1, node="(null)")
    assert report_of(cluster.transport, job) == JobReport(state=JobState.PENDING, reason="BeginTime", restarts=1)
    cluster.change(number_of(job), state="COMPLETING", restarts=1)
    assert report_of(cluster.transport, job).state is JobState.COMPLETING


def test_a_state_that_nobody_knows_is_no_answer(cluster: SbatchCluster) -> None:
    job = ended(cluster)
    cluster.change(number_of(job), state="FROZEN")
    with pytest.raises(TransportUnavailableError, match="FROZEN"):
        cluster.transport.look([job])


def test_a_refused_job_leaves_nothing_to_look_for(cluster: SbatchCluster) -> None:
    refuse = cluster.state / "refuse"
    refuse.write_text("sbatch: error: Batch job submission failed: Invalid partition name specified\n")
    spec = cluster.held("a.1")
    with pytest.raises(SubmissionRefusedError, match="job variable 'partition'"):
        cluster.transport.submit(spec)
    refuse.unlink()
    before = len(cluster.calls("squeue"))
    assert cluster.transport.find(["a.1"]) == {}
    cluster.transport.submit(spec)
    assert len(cluster.calls("squeue")) == before


@pytest.mark.parametrize("words", ["QOSMaxSubmitJobPerUserLimit", "Socket timed out on send/recv operation"])
def test_what_passes_by_is_tried_again_later(cluster: SbatchCluster, words: str) -> None:
    refuse = cluster.state / "refuse"
    refuse.write_text(words)
    spec = cluster.held("a.1")
    with pytest.raises(TransportUnavailableError):
        cluster.transport.submit(spec)
    assert len(cluster.calls("sbatch")) == 1, "never twice blindly"
    refuse.unlink()
    job = cluster.transport.submit(spec)
    assert wait_for(cluster.transport, job, JobState.RUNNING)


def test_a_job_gets_no_secret_of_the_workers(cluster: SbatchCluster) -> None:
    job = cluster.transport.submit(cluster.spec("a.1", "env"))
    wait_for(cluster.transport, job, JobState.COMPLETED)
    assert "SLURM_JOB_ID=" in cluster.output(job)
    assert "a secret" not in cluster.output(job)
    assert oct((cluster.jobs / "a.1" / "script").stat().st_mode & 0o777) == "0o600"


def test_a_directory_of_another_name_is_refused(cluster: SbatchCluster) -> None:
    spec = replace(cluster.spec("a.1", "true"), tag="a.2")
    with pytest.raises(SubmissionRefusedError, match="needs a directory of this name"):
        cluster.transport.submit(spec)
    assert not os.path.lexists(spec.directory)


def test_it_is_a_transport_by_name(cluster: SbatchCluster) -> None:
    assert isinstance(cluster.transport, SbatchTransport)
    assert cluster.transport.name == "sbatch"
