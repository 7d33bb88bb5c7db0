"""The seam between the worker and what carries its jobs: submit, look, find, cancel (DESIGN 5).

Three answers, three types: a `JobReport`; None, the transport does not know this job; `TransportUnavailableError`,
it could not be asked, which is never an answer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from infra.slurm.job import JobSpec
from infra.slurm.states import JobState


class TransportUnavailableError(Exception):
    """The transport could not be asked; whatever was to be known or done is open. Ask again later."""


class SubmissionRefusedError(Exception):
    """The job will never be accepted as it is; the text says why and what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """What a transport knows of a job now.

    `reason`: why it waits or how it ended, in the scheduler's words. `exit_code` and `signal` (a number) are known at
    the end only. `node`: the host it ran or runs on. `restarts`: how often it was requeued. `by`: who cancelled it, as
    far as that is known.
    """

    state: JobState
    reason: str = ""
    exit_code: int | None = None
    signal: int | None = None
    node: str = ""
    restarts: int = 0
    by: str = ""


class Transport(Protocol):
    """Carries jobs; every method may block for seconds and is called off the event loop, from one thread at a time.

    All raise TransportUnavailableError.
    """

    @property
    def name(self) -> str:
        """What people call it: local, sbatch, slurmrestd."""
        ...

    def submit(self, spec: JobSpec) -> str:
        """Hand a job in and return its id. One tag, one job, however often. Raises SubmissionRefusedError."""
        ...

    def look(self, jobs: Collection[str]) -> Mapping[str, JobReport | None]:
        """Return what is known of each of these jobs, in one query for all."""
        ...

    def find(self, tags: Collection[str]) -> Mapping[str, str]:
        """Return the ids of the jobs that were handed in with these tags, by tag; without those it does not know."""
        ...

    def cancel(self, jobs: Collection[str]) -> None:
        """Ask these jobs to end: TERM, and KILL after their grace. A job that is over or unknown is no error."""
        ...
