"""How a job ended: what SLURM says, and what the job's own script has left behind, weighed against each other.

In this order: the result file of this very start; SLURM while it remembers the job; its accounting. But a file knows
only how the command ended: where SLURM remembers that it ended the job itself, that is what happened.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace

from infra.slurm.result import Result, UnreadableResultError, read_result
from infra.slurm.states import JobState, Phase
from infra.slurm.transport import JobReport

SHELL_SIGNAL = 128  # a shell says 128 + n of what signal n has killed
SIGNAL_MAX = 64
KILL = 9
OUTPUT_BYTES = 4096  # of the output's end, where slurmstepd says why it ended a job
# What slurmstepd writes when it ends a job for its memory (26.05 without its name); without cgroups the state is FAILED
# then, as of any KILL.
_MEMORY = re.compile(
    r"(slurmstepd[^:]*: |\[[0-9T:.-]+\] )error: .*(exceeded memory limit|exceeded job memory limit|oom.kill event)",
    re.IGNORECASE,
)

# A command that had written down its own end by itself had ended, whatever became of its node afterwards.
_NODES_FAULT = frozenset({JobState.NODE_FAIL, JobState.BOOT_FAIL, JobState.REVOKED})
# Where SLURM ended the job it says so; what the command made of that its file knows better (SLURM may say 255).
_ENDED_BY_SLURM = frozenset({JobState.CANCELLED, JobState.DEADLINE, JobState.PREEMPTED, JobState.TIMEOUT})


def end_of(said: JobReport | None, *, directory: str, number: int) -> JobReport | None:
    """Return how the job `number` ended, or how it stands if SLURM says that it is not over; None if nobody knows.

    `said`: SLURM's answer, None where it does not remember the job. Reads the job's directory. Raises OSError.
    """
    if said is not None and said.state.phase is not Phase.OVER:
        return said
    result = last_result(directory, number)
    out_of_memory = said is not None and _may_be_memory(said) and _says_memory(directory)
    return weigh(said, result, out_of_memory=out_of_memory)


def weigh(said: JobReport | None, result: Result | None, *, out_of_memory: bool = False) -> JobReport | None:
    """Decide what is said of a job's end: pure. `result` is of its last start that is known of.

    `out_of_memory`: slurmstepd wrote into the output that it ended the job for its memory.
    """
    if said is None:
        return None if result is None else result.report
    if said.state.phase is not Phase.OVER:
        return said
    if result is not None and result.restarts != said.restarts:
        result = None  # of a start that was not the last
    if result is not None and result.state is JobState.COMPLETED and said.state in _NODES_FAULT:
        return result.report
    if out_of_memory and _may_be_memory(said):
        said = replace(said, state=JobState.OUT_OF_MEMORY, reason="")
    if said.state is JobState.CANCELLED:
        said = replace(said, reason="")  # why it had waited
    if result is None:
        return _with_shell_signal(said)
    if said.state in _ENDED_BY_SLURM:
        said = replace(said, exit_code=result.exit_code, signal=result.signal)
    return replace(_with_shell_signal(said), node=said.node or result.node)


def last_result(directory: str, number: int) -> Result | None:
    """Return the result of the job's last start, None if that has left none. Raises OSError.

    The script leaves `began.<number>.<restart>` at each start: an older start's result is not taken for the end.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return None
    starts = [_restart(name, number) for name in names]
    last = max((start for start in starts if start is not None), default=None)
    if last is None:
        return None
    try:
        return read_result(directory, f"result.{number}.{last}")
    except UnreadableResultError:
        return None


def last_start(directory: str, number: int) -> int:
    """Return how often the job is known to have been requeued, by its directory. Raises OSError."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return 0
    return max((start for name in names if (start := _restart(name, number)) is not None), default=0)


def exit_of(code: int, signal: int) -> tuple[int | None, int | None]:
    """Return exit code and signal, at most one of them, of SLURM's `<code>:<signal>`; 0:125 is "out of memory"."""
    if signal > SIGNAL_MAX:
        return None, None
    return (None, signal) if signal else (code, None)


def _with_shell_signal(said: JobReport) -> JobReport:
    """The script's 128 + n means that signal n has killed the command."""
    code = said.exit_code
    if code is None or not SHELL_SIGNAL < code <= SHELL_SIGNAL + SIGNAL_MAX:
        return said
    return replace(said, exit_code=None, signal=code - SHELL_SIGNAL)


def _may_be_memory(said: JobReport) -> bool:
    """A site without cgroups has no OUT_OF_MEMORY: slurmstepd kills, and the job has FAILED, or was CANCELLED."""
    return said.state in {JobState.FAILED, JobState.CANCELLED} and KILL in {
        said.signal,
        _with_shell_signal(said).signal,
    }


def _says_memory(directory: str) -> bool:
    """Tell whether slurmstepd gave the job's memory as the reason, at the end of its output."""
    try:
        with open(os.path.join(directory, "output"), "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - OUTPUT_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except (FileNotFoundError, PermissionError):
        return False
    return any(_MEMORY.match(line) for line in lines)


def _restart(name: str, number: int) -> int | None:
    """Return the restart of `began.<number>.<restart>` or `result.<number>.<restart>`, None for other names."""
    for prefix in (f"began.{number}.", f"result.{number}."):
        rest = name.removeprefix(prefix)
        if rest != name and rest.isdecimal():
            return int(rest)
    return None
