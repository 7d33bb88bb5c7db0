"""What the worker keeps of a job that it follows: the run as last known, the job as last reported, what was sent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from infra.slurm.course import Misses
from infra.slurm.folder import Sent, output_path
from infra.slurm.joblog import Source
from infra.slurm.runs import RunNow, RunState
from infra.slurm.states import Phase
from infra.slurm.transport import JobReport


@dataclass(slots=True, kw_only=True)
class Followed:
    """One run and its job. Only the follower changes it; `finished` is set when nothing is left to do here.

    `number` is the k of the register that says so; `notes` are lines of ours for the run's log;
    `job` is None while the transport has not been able to name it.
    """

    run: RunNow
    tag: str
    jobs_directory: str
    directory: str
    transport: str
    lines_max: int
    number: int
    job: str | None
    sent: Sent
    report: JobReport | None = None
    misses: Misses = field(default_factory=Misses)
    is_lost: bool = False
    is_drained: bool = False
    is_taken: bool = False
    cancel_asked_at: float | None = None
    queued_at: float | None = None
    renewed_at: float | None = None
    restarts: int | None = None
    notes: list[str] = field(default_factory=list[str])
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_over(self) -> bool:
        """True if the job will print nothing any more."""
        return self.is_lost or (self.report is not None and self.report.state.phase is Phase.OVER)

    @property
    def source(self) -> Source:
        return Source(run_id=self.run.run_id, path=output_path(self.directory), lines_max=self.lines_max)

    @property
    def is_unwanted(self) -> bool:
        """True if somebody has ended the run, or put it back into the queue, while its job lives."""
        return self.run.state.is_final or self.run.state is RunState.SCHEDULED
