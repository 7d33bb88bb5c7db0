"""What slurmrestd says of jobs, as `JobReport`s: pure, for v0.0.38 (SLURM 22.05) to v0.0.45 (26.05).

v0.0.38 says numbers as they are, a state as one word and an exit code as a wait status; later versions say a number as
{set, infinite, number}, a state as a list of words and an exit code as an object. Each is told by its shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from infra.slurm.listing import Listed
from infra.slurm.states import JobState

# Where a state is a list: what stands beside the base state, in the order in which SLURM itself chooses one for people.
_FLAGS = (
    JobState.COMPLETING,
    JobState.STAGE_OUT,
    JobState.CONFIGURING,
    JobState.RESIZING,
    JobState.REQUEUED,
    JobState.REQUEUE_FED,
    JobState.REQUEUE_HOLD,
    JobState.SPECIAL_EXIT,
    JobState.STOPPED,
    JobState.REVOKED,
    JobState.RESV_DEL_HOLD,
    JobState.SIGNALING,
)
_STATES = frozenset(map(str, JobState))


class StrangeAnswerError(ValueError):
    """The answer is none that slurmrestd gives."""


def read_jobs(answer: object, *, numbers: frozenset[int], tags: frozenset[str]) -> Iterator[Listed]:
    """Yield the jobs of an answer that have one of these numbers or tags. Raises StrangeAnswerError.

    The others are not looked into: the queue is everybody's.
    """
    jobs = _mapping(answer).get("jobs")
    if not isinstance(jobs, list):
        raise StrangeAnswerError("there is no list of jobs in it")
    for said in cast("list[object]", jobs):
        job = _mapping(said)
        number, tag = _number(job.get("job_id")), str(job.get("comment") or "")
        if number is not None and (number in numbers or tag in tags):
            yield _read_job(number, tag, job)


def _read_job(number: int, tag: str, job: Mapping[str, object]) -> Listed:
    code, signal = _exit(job.get("exit_code"))
    reason = str(job.get("state_reason") or "")
    return Listed(
        number=number,
        tag=tag,
        state=_state(job.get("job_state")),
        reason="" if reason == "None" else reason,
        node=str(job.get("batch_host") or job.get("nodes") or ""),
        restarts=_number(job.get("restart_cnt")) or 0,
        code=code,
        signal=signal,
    )


def _state(said: object) -> str:
    """Return a job's state; of several words the one that says most, an unknown one only where it stands alone."""
    words = [str(word) for word in cast("Sequence[object]", said)] if isinstance(said, list) else [str(said)]
    known = [word for word in words if word in _STATES]
    return next((flag for flag in _FLAGS if flag in known), (known or words or [""])[0])


def _exit(said: object) -> tuple[int, int]:
    """Return exit code and signal, 0 for none: of a wait status, or of an object."""
    if isinstance(said, int):
        return said >> 8 & 0xFF, said & 0x7F
    parts = _mapping(said)
    by = _mapping(parts.get("signal"))
    return _number(parts.get("return_code")) or 0, _number(by.get("id", by.get("signal_id"))) or 0


def _number(said: object) -> int | None:
    """Return a number, None where none is set."""
    if isinstance(said, dict):
        number = _mapping(cast("object", said))
        return _number(number.get("number")) if number.get("set") else None
    return int(said) if isinstance(said, int | float) and not isinstance(said, bool) else None


def _mapping(said: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", said) if isinstance(said, dict) else {}
