"""Are jobs read alike from what three versions of slurmrestd have really said of them?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from infra.slurm.rest_jobs import StrangeAnswerError, read_jobs
from infra.slurm.states import JobState, Phase, UnknownStateError
from infra.slurm.transport import JobReport
from tests.unit.slurm.recordings import VERSIONS, recorded

NONE: frozenset[int] = frozenset()
SAID = {
    "job_PENDING_held": JobReport(state=JobState.PENDING, reason="JobHeldUser"),
    "job_PENDING_resources": JobReport(state=JobState.PENDING, reason="Priority"),
    "job_PENDING_requeued": JobReport(state=JobState.PENDING, reason="BeginTime", restarts=1),
    "job_RUNNING": JobReport(state=JobState.RUNNING, node="n1"),
    "job_COMPLETED": JobReport(state=JobState.COMPLETED, exit_code=0, node="n1"),
    "job_FAILED": JobReport(state=JobState.FAILED, reason="NonZeroExitCode", exit_code=7, node="n1"),
    "job_FAILED_signal": JobReport(state=JobState.FAILED, reason="RaisedSignal", signal=11, node="n1"),
    "job_OOM": JobReport(state=JobState.FAILED, reason="RaisedSignal", signal=9, node="n1"),
    "job_CANCELLED_pending": JobReport(state=JobState.CANCELLED, reason="Priority"),
    "job_TIMEOUT": JobReport(state=JobState.TIMEOUT, reason="TimeLimit", signal=15, node="n3"),
    "job_NODE_FAIL": JobReport(state=JobState.NODE_FAIL, reason="NodeDown", node="n3"),
}


def read_job(job: Mapping[str, object]) -> JobReport:
    (listed,) = read_jobs(
        {"jobs": [{"job_id": 1} | dict(job) | {"comment": "a.1"}]}, numbers=NONE, tags=frozenset({"a.1"})
    )
    return listed.report


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SAID)
def test_a_recorded_job_is_read(version: str, name: str) -> None:
    expected = SAID[name]
    if version == "v0.0.38" and expected.reason == "RaisedSignal":
        expected = replace(expected, reason="JobLaunchFailure")
    assert read_job(recorded(version, name).jobs[0]) == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_a_queue_is_read_for_the_jobs_that_are_asked_for(version: str) -> None:
    queue = recorded(version, "jobs_list")
    numbers = [int(str(job["job_id"])) for job in queue.jobs]
    listed = list(read_jobs(queue.body, numbers=frozenset(numbers[:2]), tags=frozenset()))
    assert [one.number for one in listed] == numbers[:2]
    assert not list(read_jobs(queue.body, numbers=frozenset(), tags=frozenset({"a.1"})))


def test_a_job_is_found_by_its_comment() -> None:
    jobs = {"jobs": [{"job_id": 7, "comment": "a.1", "job_state": "PENDING"}, {"job_id": 8, "job_state": "NONSENSE"}]}
    found = list(read_jobs(jobs, numbers=frozenset(), tags=frozenset({"a.1"})))
    assert [(one.number, one.tag) for one in found] == [(7, "a.1")]


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (["CANCELLED", "COMPLETING"], JobState.COMPLETING),
        (["COMPLETED", "COMPLETING"], JobState.COMPLETING),
        (["RUNNING", "CONFIGURING"], JobState.CONFIGURING),
        (["PENDING", "REQUEUED"], JobState.REQUEUED),
        (["PENDING", "SPECIAL_EXIT", "REQUEUE_HOLD"], JobState.REQUEUE_HOLD),
        (["COMPLETED", "UPDATE_DB"], JobState.COMPLETED),
        (["RUNNING", "WHATEVER_COMES"], JobState.RUNNING),
        ("RUNNING", JobState.RUNNING),
    ],
)
def test_of_several_words_the_one_that_says_most_counts(words: object, state: JobState) -> None:
    assert read_job({"job_id": 1, "job_state": words}).state is state


@pytest.mark.parametrize("state", JobState)
def test_every_state_is_read_from_a_word_and_from_a_list(state: JobState) -> None:
    assert read_job({"job_state": str(state)}).state is state
    assert read_job({"job_state": [str(state)]}).state is state


@pytest.mark.parametrize("said", [[], [None], "NONSENSE", None, ["NONSENSE"]])
def test_no_known_state_is_no_answer(said: object) -> None:
    with pytest.raises(UnknownStateError):
        read_job({"job_id": 1, "job_state": said})


@pytest.mark.parametrize("answer", ["text", None, {}, {"jobs": {}}, []])
def test_no_list_is_no_answer(answer: object) -> None:
    with pytest.raises(StrangeAnswerError):
        list(read_jobs(answer, numbers=frozenset({1}), tags=frozenset()))


@pytest.mark.parametrize(
    ("said", "code", "signal"),
    [
        (0, 0, None),
        (7 << 8, 7, None),
        (139, None, 11),
        (9, None, 9),
        (125, None, None),
        ({"return_code": 3, "signal": {"signal_id": 0, "name": ""}}, 3, None),
        ({"return_code": 0, "signal": {"signal_id": 9, "name": "KILL"}}, None, 9),
        ({"return_code": {"set": True, "infinite": False, "number": 3}}, 3, None),
        ({}, 0, None),
    ],
)
def test_an_exit_code_is_read_in_all_its_shapes(said: object, code: int | None, signal: int | None) -> None:
    report = read_job({"job_state": "FAILED", "nodes": "n1", "exit_code": said})
    assert (report.exit_code, report.signal) == (code, signal)


@pytest.mark.parametrize("state", [state for state in JobState if state.phase is not Phase.OVER])
def test_only_what_is_over_has_an_exit_code(state: JobState) -> None:
    report = read_job({"job_state": str(state), "nodes": "n1", "exit_code": 0})
    assert (report.exit_code, report.signal) == (None, None)
