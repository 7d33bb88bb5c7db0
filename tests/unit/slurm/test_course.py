"""What follows for a run from what its transport says of its job."""

from __future__ import annotations

import pytest

from infra.slurm.course import Misses, Whereabouts, exit_words, next_proposal
from infra.slurm.runs import Proposal, RunState
from infra.slurm.states import JobState, Phase
from infra.slurm.transport import JobReport

LONGER = "Next: raise the job variable 'time_limit_minutes'."
MORE_MEMORY = "Next: raise the job variable 'memory_mb'."
UNFINISHED = [RunState.PENDING, RunState.RUNNING, RunState.CANCELLING]


def follow(state: RunState, *reports: JobReport) -> list[tuple[RunState, str]]:
    """Return what is proposed for a run, report after report, if everything is accepted."""
    proposed: list[tuple[RunState, str]] = []
    name = "Submitting"
    for report in reports:
        while (proposal := next_proposal(state, name, report, lost=False)) is not None:
            proposed.append((proposal.state, proposal.name))
            state, name = proposal.state, proposal.name
    return proposed


def ended(state: JobState, *, exit_code: int | None = None, signal: int | None = None, reason: str = "") -> Proposal:
    report = JobReport(state=state, exit_code=exit_code, signal=signal, reason=reason, node="n1")
    proposal = next_proposal(RunState.RUNNING, "Running", report, lost=False)
    assert proposal is not None
    return proposal


def test_a_job_waits_runs_and_ends() -> None:
    assert follow(
        RunState.PENDING,
        JobReport(state=JobState.PENDING, reason="Resources"),
        JobReport(state=JobState.PENDING, reason="Resources"),
        JobReport(state=JobState.RUNNING, node="n1"),
        JobReport(state=JobState.COMPLETING, node="n1"),
        JobReport(state=JobState.COMPLETED, exit_code=0, node="n1"),
        JobReport(state=JobState.COMPLETED, exit_code=0, node="n1"),
    ) == [
        (RunState.PENDING, "Queued: Resources"),
        (RunState.RUNNING, "Running"),
        (RunState.COMPLETED, "Completed"),
    ]


def test_a_job_that_ran_between_two_looks_has_run() -> None:
    over = JobReport(state=JobState.FAILED, exit_code=1, node="n1")
    assert follow(RunState.PENDING, over) == [(RunState.RUNNING, "Running"), (RunState.FAILED, "Failed")]


def test_a_job_that_never_began_has_not_run() -> None:
    over = JobReport(state=JobState.DEADLINE, reason="DeadLine")
    assert follow(RunState.PENDING, over) == [(RunState.CRASHED, "Crashed")]


def test_a_requeued_job_keeps_its_run_running_and_running_once() -> None:
    assert follow(
        RunState.RUNNING,
        JobReport(state=JobState.PENDING, reason="BeginTime", restarts=1),
        JobReport(state=JobState.REQUEUED, restarts=1),
        JobReport(state=JobState.RUNNING, node="n2", restarts=1),
        JobReport(state=JobState.COMPLETED, exit_code=0, node="n2", restarts=1),
    ) == [(RunState.COMPLETED, "Completed")]


def test_another_reason_is_another_name() -> None:
    assert follow(
        RunState.PENDING,
        JobReport(state=JobState.PENDING),
        JobReport(state=JobState.PENDING, reason="Priority"),
        JobReport(state=JobState.PENDING, reason="Resources"),
    ) == [(RunState.PENDING, name) for name in ("Queued", "Queued: Priority", "Queued: Resources")]


@pytest.mark.parametrize("state", [state for state in JobState if state.phase is not Phase.OVER])
def test_a_run_that_is_being_cancelled_waits_for_its_job(state: JobState) -> None:
    assert next_proposal(RunState.CANCELLING, "Cancelling", JobReport(state=state), lost=False) is None


@pytest.mark.parametrize("state", [state for state in JobState if state.phase is Phase.OVER])
def test_a_run_that_is_being_cancelled_is_cancelled_however_its_job_ended(state: JobState) -> None:
    proposal = next_proposal(RunState.CANCELLING, "Cancelling", JobReport(state=state, exit_code=1), lost=False)
    assert proposal is not None
    assert proposal.state is RunState.CANCELLED


def test_a_job_that_ended_before_it_could_be_cancelled_says_so() -> None:
    report = JobReport(state=JobState.COMPLETED, exit_code=0, node="n1")
    proposal = next_proposal(RunState.CANCELLING, "Cancelling", report, lost=False)
    assert proposal is not None
    assert proposal.message == "The job was cancelled. It had ended before: exit code 0."


@pytest.mark.parametrize("run_state", UNFINISHED)
@pytest.mark.parametrize("state", JobState)
def test_every_state_of_a_job_leads_somewhere(run_state: RunState, state: JobState) -> None:
    steps = follow(run_state, JobReport(state=state, node="n1"))
    assert len(steps) <= 2
    if state.phase is Phase.OVER:
        assert steps[-1][0].is_final


@pytest.mark.parametrize("state", [state for state in RunState if state.is_final or state is RunState.SCHEDULED])
def test_nothing_is_proposed_for_a_run_that_is_over_or_in_the_queue_again(state: RunState) -> None:
    assert next_proposal(state, "x", JobReport(state=JobState.FAILED, exit_code=1), lost=True) is None


def test_exit_codes_are_failures_in_words() -> None:
    assert ended(JobState.FAILED, exit_code=78, reason="NonZeroExitCode") == Proposal(
        state=RunState.FAILED,
        name="Failed",
        message="The job ended on n1: exit code 78 (EX_CONFIG: the stage cannot be set up).",
    )
    assert exit_words(1) == "exit code 1"
    assert exit_words(79) == "exit code 79 (the stage failed on every dataset)"
    assert exit_words(127) == "exit code 127 (the command was not found)"
    assert exit_words(137) == "exit code 137 (killed by SIGKILL inside the job)"
    assert exit_words(255) == "exit code 255"


@pytest.mark.parametrize(
    ("proposal", "message"),
    [
        (ended(JobState.FAILED, signal=11), "The job ended on n1: killed by SIGSEGV."),
        (
            ended(JobState.TIMEOUT, signal=15),
            f"The job ended on n1: it ran into its time limit, killed by SIGTERM. {LONGER}",
        ),
        (
            ended(JobState.OUT_OF_MEMORY),
            f"The job ended on n1: it needed more memory than it had asked for. {MORE_MEMORY}",
        ),
        (
            ended(JobState.NODE_FAIL, reason="its launcher is gone"),
            "The job ended on n1: its node failed (NODE_FAIL: its launcher is gone).",
        ),
        (ended(JobState.CANCELLED, signal=15), "The job ended on n1: cancelled outside Prefect, killed by SIGTERM."),
        (ended(JobState.FAILED), "The job ended on n1: nobody says why."),
    ],
)
def test_what_nobody_can_answer_for_is_a_crash_with_its_cause(proposal: Proposal, message: str) -> None:
    assert (proposal.state, proposal.message) == (RunState.CRASHED, message)


SLURMS = Whereabouts(job="12:/d/a.1", log="/d/a.1/output")


def message(report: JobReport | None, state: RunState = RunState.RUNNING, where: Whereabouts = SLURMS) -> str:
    proposal = next_proposal(state, "x", report, lost=report is None, where=where)
    assert proposal is not None
    return proposal.message


def test_a_death_on_a_cluster_names_the_next_command_and_the_log() -> None:
    node_fail = JobReport(state=JobState.NODE_FAIL, node="n3", reason="NodeDown")
    assert message(node_fail) == (
        "The job ended on n3: its node failed (NODE_FAIL: NodeDown)."
        " Next: scontrol show node n3. Its log is /d/a.1/output"
    )
    cancelled = JobReport(state=JobState.CANCELLED, node="n3", signal=15, by="alice")
    assert message(cancelled) == (
        "The job ended on n3: cancelled outside Prefect by alice, killed by SIGTERM."
        " Next: sacct -X -j 12 -o JobID,User,State,Reason,End. Its log is /d/a.1/output"
    )
    failed = JobReport(state=JobState.FAILED, exit_code=78, node="n3", reason="NonZeroExitCode")
    assert message(failed) == (
        "The job ended on n3: exit code 78 (EX_CONFIG: the stage cannot be set up). Its log is /d/a.1/output"
    )
    killed = JobReport(state=JobState.FAILED, signal=9, node="n3", reason="JobLaunchFailure")
    assert message(killed) == (
        "The job ended on n3: killed by SIGKILL (FAILED: JobLaunchFailure). If it was for its memory, as where there"
        " are no cgroups: raise the job variable 'memory_mb'. Next: scontrol show job 12. Its log is /d/a.1/output"
    )


def test_a_job_that_never_had_a_node_never_started() -> None:
    assert message(JobReport(state=JobState.CANCELLED, by="root"), RunState.PENDING).startswith(
        "The job never started: cancelled outside Prefect by root."
    )
    assert message(JobReport(state=JobState.BOOT_FAIL), RunState.PENDING) == (
        "The job never started: its node did not boot. Its log is /d/a.1/output"
    )


def test_what_slurm_has_forgotten_is_said_so() -> None:
    assert message(None) == (
        "SLURM does not know what became of job 12, and it has left no result. Its log is /d/a.1/output"
    )
    assert message(None, where=Whereabouts(job="host:/d/a.1")).startswith("The job has disappeared")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("JobHeldUser", "scontrol release 12"),
        ("launch_failed_requeued_held", "Its node could not start it"),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-2]", "sinfo -R"),
        ("PartitionTimeLimit", "'time_limit_minutes'"),
        ("Priority", "The job waits in the queue: Priority."),
    ],
)
def test_a_job_that_may_wait_for_ever_says_what_to_do(reason: str, words: str) -> None:
    said = message(JobReport(state=JobState.PENDING, reason=reason), RunState.PENDING)
    assert said.startswith(f"The job waits in the queue: {reason}.")
    assert words in said


def test_could_not_ask_is_no_answer() -> None:
    for state in UNFINISHED:
        assert next_proposal(state, "x", None, lost=False) is None


def test_a_job_is_lost_after_three_looks_and_half_a_minute() -> None:
    misses = Misses()
    for now, lost in [(100.0, False), (102.0, False), (104.0, False), (129.0, False), (130.0, True)]:
        misses = misses.another(now)
        assert misses.prove_loss(now) is lost
    assert not Misses().another(0.0).another(60.0).prove_loss(60.0)


def test_a_lost_job_is_a_crash_or_a_cancellation_come_true() -> None:
    for state, end in [
        (RunState.PENDING, RunState.CRASHED),
        (RunState.RUNNING, RunState.CRASHED),
        (RunState.CANCELLING, RunState.CANCELLED),
    ]:
        proposal = next_proposal(state, "x", None, lost=True)
        assert proposal is not None
        assert proposal.state is end
