"""What is known of a job's end: SLURM's word and what the job has left behind, weighed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.slurm.endings import end_of, last_result, last_start, weigh
from infra.slurm.result import Result
from infra.slurm.states import JobState, Phase
from infra.slurm.transport import JobReport

ENDS = [state for state in JobState if state.phase is Phase.OVER]


def left(
    state: JobState = JobState.COMPLETED, *, exit_code: int | None = 0, signal: int | None = None, restarts: int = 0
) -> Result:
    return Result(
        state=state, reason="", exit_code=exit_code, signal=signal, restarts=restarts, started=1.0, ended=2.0, node="n1"
    )


def says(
    state: JobState,
    *,
    exit_code: int | None = None,
    signal: int | None = None,
    restarts: int = 0,
    reason: str = "",
    node: str = "n1",
) -> JobReport:
    return JobReport(
        state=state, exit_code=exit_code, signal=signal, restarts=restarts, reason=reason, node=node, by=""
    )


def leave(top: Path, number: int, restart: int, result: Result | None) -> None:
    """As the script does: a mark when it begins, the result when it ends."""
    (top / f"began.{number}.{restart}").touch()
    if result is not None:
        names = ("state", "exit_code", "signal", "restarts", "started", "ended", "node")
        line = json.dumps({name: getattr(result, name) for name in names})
        (top / f"result.{number}.{restart}").write_text(line)


def test_a_file_speaks_for_a_job_that_slurm_has_forgotten() -> None:
    assert weigh(None, left()) == left().report
    assert weigh(None, None) is None


@pytest.mark.parametrize("state", [state for state in JobState if state.phase is not Phase.OVER])
def test_what_slurm_says_is_not_over_is_not_over(state: JobState) -> None:
    """COMPLETING and REQUEUED too, whatever an earlier start has left behind."""
    assert weigh(says(state, restarts=1), left(restarts=0)) == says(state, restarts=1)
    assert weigh(says(state), left()) == says(state)


@pytest.mark.parametrize("state", ENDS)
def test_slurms_word_stands_where_the_file_says_how_the_command_ended(state: JobState) -> None:
    report = weigh(says(state, exit_code=1), left(JobState.FAILED, exit_code=None, signal=15))
    assert report is not None
    assert report.state is state


@pytest.mark.parametrize("state", [JobState.NODE_FAIL, JobState.BOOT_FAIL])
def test_a_command_that_had_completed_is_no_matter_of_its_node(state: JobState) -> None:
    assert weigh(says(state), left()) == left().report
    assert weigh(says(state, restarts=1), left(restarts=0)) == says(state, restarts=1), "of an older start"


@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.TIMEOUT, JobState.PREEMPTED])
def test_who_is_told_to_end_and_does_so_well_has_not_completed(state: JobState) -> None:
    """But its own exit code is known better than by SLURM, which says 255."""
    assert weigh(says(state, exit_code=255), left(JobState.CANCELLED)) == says(state, exit_code=0)


def test_a_shells_exit_code_is_a_signal() -> None:
    assert weigh(says(JobState.FAILED, exit_code=137), None) == says(JobState.FAILED, signal=9)
    assert weigh(says(JobState.FAILED, exit_code=255), None) == says(JobState.FAILED, exit_code=255)
    assert weigh(says(JobState.FAILED, exit_code=128), None) == says(JobState.FAILED, exit_code=128)


def test_why_a_cancelled_job_had_waited_is_no_reason() -> None:
    assert weigh(says(JobState.CANCELLED, reason="Resources", node=""), None) == says(JobState.CANCELLED, node="")


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("slurmstepd-n1: error: StepId=6.batch exceeded memory limit (3 > 1), being killed", JobState.OUT_OF_MEMORY),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=6.batch.", JobState.OUT_OF_MEMORY),
        (
            "[2026-11-21T16:04:57.739] error: StepId=4.batch exceeded memory limit (3 > 1), being killed",
            JobState.OUT_OF_MEMORY,
        ),
        ("dataset d1 exceeded memory limit", JobState.FAILED),
        ("", JobState.FAILED),
    ],
)
def test_without_cgroups_slurm_says_in_the_output_that_it_was_the_memory(
    tmp_path: Path, words: str, state: JobState
) -> None:
    (tmp_path / "output").write_bytes(b"x" * 10_000 + f"\n{words}\nlast line\n".encode() + b"\xff")
    for said in (says(JobState.FAILED, signal=9, reason="JobLaunchFailure"), says(JobState.FAILED, exit_code=137)):
        report = end_of(said, directory=str(tmp_path), number=6)
        assert report is not None
        assert report.state is state
    other = end_of(says(JobState.FAILED, exit_code=1), directory=str(tmp_path), number=6)
    assert other is not None
    assert other.state is JobState.FAILED


def test_the_last_start_counts(tmp_path: Path) -> None:
    """It was put back into the queue after it had completed, and was killed then: nobody knows how it ended."""
    leave(tmp_path, 7, 0, left())
    leave(tmp_path, 71, 3, left(JobState.FAILED, exit_code=1, restarts=3))
    assert last_result(str(tmp_path), 7) == left()
    assert (last_start(str(tmp_path), 7), last_start(str(tmp_path), 71)) == (0, 3)
    leave(tmp_path, 7, 1, None)
    assert last_result(str(tmp_path), 7) is None
    assert last_start(str(tmp_path), 7) == 1
    assert end_of(None, directory=str(tmp_path), number=7) is None
    leave(tmp_path, 7, 1, left(JobState.FAILED, exit_code=1, restarts=1))
    assert end_of(None, directory=str(tmp_path), number=7) == says(JobState.FAILED, exit_code=1, restarts=1)


def test_a_directory_that_is_gone_or_damaged_says_nothing(tmp_path: Path) -> None:
    assert end_of(None, directory=str(tmp_path / "gone"), number=7) is None
    assert last_start(str(tmp_path / "gone"), 7) == 0
    (tmp_path / "result.7.0").write_text("{")
    assert end_of(None, directory=str(tmp_path), number=7) is None
    assert end_of(says(JobState.FAILED, signal=9), directory=str(tmp_path / "gone"), number=7) == says(
        JobState.FAILED, signal=9
    )
