"""The course of a run: what the transport says of its job, turned into the state to propose next. Pure.

docs/worker.md holds the table; a test compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from signal import SIGKILL, Signals
from typing import assert_never

from infra.slurm.identifier import JobId
from infra.slurm.runs import Proposal, RunState
from infra.slurm.states import JobState, Phase
from infra.slurm.transport import JobReport

# A job that was just handed in, or a controller that was just restarted, may not be known for a moment.
MISSES_MIN = 3
MISSING_SECONDS_MIN = 30.0

SHELL_SIGNAL = 128  # a shell says 128 + n of what signal n has killed

# sysexits.h, and what a poller adds. A job of another kind that uses the same numbers means the same by them.
EXIT_WORDS = {
    64: "EX_USAGE: the command was called wrongly",
    65: "EX_DATAERR: the input is not what it should be",
    66: "EX_NOINPUT: an input is missing",
    67: "EX_NOUSER: a user is not known",
    68: "EX_NOHOST: a host is not known",
    69: "EX_UNAVAILABLE: something that is needed is not there",
    70: "EX_SOFTWARE: an error in the program",
    71: "EX_OSERR: the operating system refused",
    72: "EX_OSFILE: a file of the system is missing",
    73: "EX_CANTCREAT: an output cannot be created",
    74: "EX_IOERR: reading or writing failed",
    75: "EX_TEMPFAIL: the storage failed; it may work later",
    76: "EX_PROTOCOL: the other side answered nonsense",
    77: "EX_NOPERM: a permission is missing",
    78: "EX_CONFIG: the stage cannot be set up",
    79: "the stage failed on every dataset",
    126: "the command cannot be executed",
    127: "the command was not found",
}

CRASH_CAUSES = {
    JobState.BOOT_FAIL: "its node did not boot",
    JobState.DEADLINE: "its deadline passed",
    JobState.FAILED: "",
    JobState.NODE_FAIL: "its node failed",
    JobState.OUT_OF_MEMORY: "it needed more memory than it had asked for",
    JobState.PREEMPTED: "it was preempted by another job",
    JobState.REVOKED: "it was revoked: another cluster has started it",
    JobState.TIMEOUT: "it ran into its time limit",
}


# What to do about it. `{node}` and `{number}` are SLURM's: where they are not known the sentence is left out.
CRASH_ADVICE = {
    JobState.BOOT_FAIL: "Next: scontrol show node {node}",
    JobState.CANCELLED: "Next: sacct -X -j {number} -o JobID,User,State,Reason,End",
    JobState.DEADLINE: "Next: give it a later deadline in the job variable 'directives'",
    JobState.FAILED: "Next: scontrol show job {number}",
    JobState.NODE_FAIL: "Next: scontrol show node {node}",
    JobState.OUT_OF_MEMORY: "Next: raise the job variable 'memory_mb'",
    JobState.PREEMPTED: "Next: run it again; with the job variable 'requeue' true SLURM does so where it may",
    JobState.TIMEOUT: "Next: raise the job variable 'time_limit_minutes'",
}
# A site without cgroups has no other word for it.
MEMORY_ADVICE = "If it was for its memory, as where there are no cgroups: raise the job variable 'memory_mb'"

# Why a job may wait for ever, by the beginning of SLURM's reason.
WAITING_ADVICE = {
    "JobHeldUser": "Next: scontrol release {number}",
    "JobHeldAdmin": "Next: ask the site's administrators, who hold it, or scontrol release {number}",
    "launch_failed_requeued_held": "Its node could not start it. Next: scontrol release {number}",
    "launch failed requeued held": "Its node could not start it. Next: scontrol release {number}",
    "PartitionConfig": "No node of the partition can ever run it. Next: sinfo -o '%P %l %c %m %G'",
    "PartitionNodeLimit": "The partition allows less. Next: sinfo -o '%P %l %c %m %G'",
    "PartitionTimeLimit": "The partition allows less. Next: lower the job variable 'time_limit_minutes'",
    "BadConstraints": "No node is like that. Next: sinfo -o '%P %f' and the job variable 'constraint'",
    "ReqNodeNotAvail": "Nodes that it needs are down, drained or reserved. Next: sinfo -R",
    "DependencyNeverSatisfied": "It will never start. Next: scancel {number}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where people find more of a job: its identifier, and the file that holds its output; "" where not known."""

    job: str = ""
    log: str = ""

    @property
    def number(self) -> str:
        """SLURM's number, "" for a job that is not SLURM's."""
        name = JobId.parse(self.job)
        return "" if name is None else str(name.number)


NOWHERE = Whereabouts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Misses:
    """How often in a row, and since when, a transport that answered has not known a job."""

    count: int = 0
    since: float = 0.0

    def another(self, now: float) -> Misses:
        return Misses(count=self.count + 1, since=now if self.count == 0 else self.since)

    def prove_loss(self, now: float) -> bool:
        """True once nobody need expect that the job turns up again; `now` in monotonic seconds."""
        return self.count >= MISSES_MIN and now - self.since >= MISSING_SECONDS_MIN


def next_proposal(
    state: RunState, name: str, report: JobReport | None, *, lost: bool, where: Whereabouts = NOWHERE
) -> Proposal | None:
    """Return what to propose for a run in `state` named `name`, None for nothing. Proposed and accepted, ask again.

    `report` is None where the transport does not know the job, or could not be asked; `lost` says that it has not
    known it for long enough.
    """
    if state is RunState.SCHEDULED or state.is_final:
        return None
    if report is None:
        return _vanished(state, where) if lost else None
    match report.state.phase:
        case Phase.WAITING:
            return _queued(name, report.reason, where) if state is RunState.PENDING else None
        case Phase.RUNNING:
            return _running(report) if state is RunState.PENDING else None
        case Phase.OVER:
            # The run count tells submissions apart: a job that ran between two looks has a Running state too.
            return _running(report) if state is RunState.PENDING and has_run(report) else _end(state, report, where)
        case _:
            assert_never(report.state.phase)


def has_run(report: JobReport) -> bool:
    """True if the job was on a node at all."""
    return report.exit_code is not None or report.signal is not None or report.node != ""


def exit_words(code: int) -> str:
    """Return an exit code as people read it: `exit code 78 (EX_CONFIG: the stage cannot be set up)`."""
    words = EXIT_WORDS.get(code, "")
    if code > SHELL_SIGNAL:
        name = signal_name(code - SHELL_SIGNAL)
        words = f"killed by {name} inside the job" if name else ""
    return f"exit code {code} ({words})" if words else f"exit code {code}"


def signal_name(number: int) -> str:
    """Return SIGKILL for 9, nothing for what is no signal."""
    try:
        return Signals(number).name
    except ValueError:
        return ""


def _queued(name: str, reason: str, where: Whereabouts) -> Proposal | None:
    """A move from Pending to Pending needs a new name, so the reason is part of it."""
    words = " ".join(reason.split())
    queued = f"Queued: {words[:60]}" if words else "Queued"
    if queued == name:
        return None
    advice = next((text for begins, text in WAITING_ADVICE.items() if words.startswith(begins)), "")
    message = f"The job waits in the queue: {words or 'no reason given'}.{_sentence(advice, '', where)}"
    return Proposal(state=RunState.PENDING, name=queued, message=message)


def _running(report: JobReport) -> Proposal:
    return Proposal(state=RunState.RUNNING, name="Running", message=f"The job runs{_at(report)}.")


def _vanished(state: RunState, where: Whereabouts) -> Proposal:
    if state is RunState.CANCELLING:
        return Proposal(state=RunState.CANCELLED, name="Cancelled", message="Nothing is left of the job.")
    if where.number:
        words = f"SLURM does not know what became of job {where.number}, and it has left no result."
    else:
        words = "The job has disappeared: the scheduler does not know it, and it has left no result."
    return Proposal(state=RunState.CRASHED, name="Crashed", message=words + _log(where))


def _end(state: RunState, report: JobReport, where: Whereabouts) -> Proposal:
    if state is RunState.CANCELLING:
        late = "" if report.state is JobState.CANCELLED else f" It had ended before: {_end_words(report)}."
        return Proposal(state=RunState.CANCELLED, name="Cancelled", message=f"The job was cancelled.{late}")
    if report.state is JobState.COMPLETED:
        return Proposal(state=RunState.COMPLETED, name="Completed", message="The job ended with exit code 0.")
    ended = f"ended{_at(report)}" if has_run(report) else "never started"
    failed = report.state is JobState.FAILED and not report.signal and report.exit_code is not None
    if failed:
        message = f"The job {ended}: {_end_words(report)}.{_log(where)}"
        return Proposal(state=RunState.FAILED, name="Failed", message=message)
    advice = _sentence(CRASH_ADVICE.get(report.state, ""), report.node, where)
    if report.state is JobState.FAILED and report.signal == SIGKILL and where.number:
        advice = f" {MEMORY_ADVICE}.{advice}"
    message = f"The job {ended}: {_end_words(report)}.{advice}{_log(where)}"
    return Proposal(state=RunState.CRASHED, name="Crashed", message=message)


def _sentence(advice: str, node: str, where: Whereabouts) -> str:
    """Return a piece of advice with its blanks filled in, nothing where something for them is not known."""
    known = {"node": node if where.number else "", "number": where.number}
    if not advice or any(f"{{{blank}}}" in advice and not value for blank, value in known.items()):
        return ""
    return f" {advice.format(**known)}."


def _log(where: Whereabouts) -> str:
    return f" Its log is {where.log}" if where.log else ""


def _at(report: JobReport) -> str:
    return f" on {report.node}" if report.node else ""


def _end_words(report: JobReport) -> str:
    """Return a job's end in words, whatever is known of it."""
    if report.state is JobState.CANCELLED:
        cause = f"cancelled outside Prefect by {report.by}" if report.by else "cancelled outside Prefect"
    elif report.state is JobState.COMPLETED:
        return "exit code 0"
    else:
        cause = CRASH_CAUSES.get(report.state, f"{report.state}")
    if report.signal:
        cause = ", ".join(part for part in (cause, f"killed by {signal_name(report.signal) or report.signal}") if part)
    elif report.exit_code and report.state is JobState.FAILED:
        cause = exit_words(report.exit_code)
    said = f" ({report.state}: {report.reason})" if report.reason and report.reason != "NonZeroExitCode" else ""
    return f"{cause or 'nobody says why'}{said}"
