"""FakeTransport: a transport in memory that a test plays the cluster of; it passes the contract of the real ones."""

from __future__ import annotations

import os
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from infra.slurm.job import JobSpec, JobSpecError, render_script
from infra.slurm.states import JobState, Phase
from infra.slurm.transport import JobReport, SubmissionRefusedError, TransportUnavailableError


@dataclass(slots=True, kw_only=True)
class FakeJob:
    spec: JobSpec
    report: JobReport


class FakeTransport:
    """Jobs wait (PENDING) until a slot is free or `begin`, run until `end`, and stay known until `forget`.

    `slots`: how many begin by themselves, in the order of submission; 0: none, the test says when.
    `ends_when_cancelled`: False leaves a running job that is cancelled as it is (it ignores TERM), until `end`.
    Counts its calls in `calls`, and remembers in `cancelled` the ids that it was asked to cancel.
    """

    def __init__(self, slots: int = 0, *, ends_when_cancelled: bool = True) -> None:
        self.slots, self.ends_when_cancelled = slots, ends_when_cancelled
        self.jobs: dict[str, FakeJob] = {}
        self.calls: list[str] = []
        self.cancelled: list[str] = []
        self.refusal: str | None = None
        self._is_away = False
        self._answers_to_lose: dict[str, int] = {}

    @property
    def name(self) -> str:
        return "fake"

    # what the worker calls

    def submit(self, spec: JobSpec) -> str:
        self._come("submit")
        if self.refusal is not None:
            raise SubmissionRefusedError(self.refusal)
        try:
            render_script(spec)
        except JobSpecError as error:
            raise SubmissionRefusedError(str(error)) from error
        job = self._id(spec.tag)
        if job is None:
            job = f"fake:{len(self.jobs) + 1}"
            waits = JobReport(state=JobState.PENDING, reason="Resources")
            self.jobs[job] = FakeJob(spec=spec, report=waits)
            self._fill()
        self._go("submit")
        return job

    def look(self, jobs: Collection[str]) -> Mapping[str, JobReport | None]:
        self._come("look")
        self._go("look")
        return {job: self.jobs[job].report if job in self.jobs else None for job in jobs}

    def find(self, tags: Collection[str]) -> Mapping[str, str]:
        self._come("find")
        self._go("find")
        return {tag: job for tag in tags if (job := self._id(tag)) is not None}

    def cancel(self, jobs: Collection[str]) -> None:
        self._come("cancel")
        for job in jobs:
            self.cancelled.append(job)
            known = self.jobs.get(job)
            if known is None or known.report.state.phase is Phase.OVER:
                continue
            if known.report.state.phase is Phase.WAITING:
                self.report(job, state=JobState.CANCELLED)
            elif self.ends_when_cancelled:
                self.report(job, state=JobState.CANCELLED, signal=15)
        self._fill()
        self._go("cancel")

    # what the test does to it

    def begin(self, job: str, node: str = "n1") -> None:
        """The job holds its slot from now on."""
        self.report(job, state=JobState.RUNNING, reason="", node=node)

    def end(self, job: str, exit_code: int = 0) -> None:
        """The job's command has exited."""
        state = JobState.COMPLETED if exit_code == 0 else JobState.FAILED
        self.report(job, state=state, reason="" if exit_code == 0 else "NonZeroExitCode", exit_code=exit_code)
        self._fill()

    def report(
        self,
        job: str,
        *,
        state: JobState,
        reason: str | None = None,
        exit_code: int | None = None,
        signal: int | None = None,
        node: str | None = None,
        restarts: int | None = None,
    ) -> None:
        """Set what is reported of the job; reason, node and restarts stay as they are unless given."""
        known = self.jobs[job]
        known.report = replace(
            known.report,
            state=state,
            reason=known.report.reason if reason is None else reason,
            exit_code=exit_code,
            signal=signal,
            node=known.report.node if node is None else node,
            restarts=known.report.restarts if restarts is None else restarts,
        )

    def say(self, job: str, text: str) -> None:
        """The job prints: `text` is appended to its output, as it stands."""
        spec = self.jobs[job].spec
        os.makedirs(spec.directory, exist_ok=True)
        with open(os.path.join(spec.directory, "output"), "a", encoding="utf-8", newline="") as output:
            output.write(text)

    def forget(self, job: str) -> None:
        """The job's record is purged."""
        del self.jobs[job]

    def lose_answers(self, method: str, count: int = 1) -> None:
        """The next `count` calls of the method do what they say, and raise instead of answering."""
        self._answers_to_lose[method] = count

    @contextmanager
    def away(self) -> Generator[None]:
        """Inside, every call raises and does nothing."""
        self._is_away = True
        try:
            yield
        finally:
            self._is_away = False

    def _id(self, tag: str) -> str | None:
        return next((job for job, known in self.jobs.items() if known.spec.tag == tag), None)

    def _fill(self) -> None:
        """Let the next ones begin while there are slots."""
        running = sum(known.report.state.phase is Phase.RUNNING for known in self.jobs.values())
        waiting = [job for job, known in self.jobs.items() if known.report.state is JobState.PENDING]
        for job in waiting[: max(0, self.slots - running)]:
            self.begin(job)

    def _come(self, method: str) -> None:
        self.calls.append(method)
        if self._is_away:
            raise TransportUnavailableError("the fake cluster does not answer")

    def _go(self, method: str) -> None:
        if self._answers_to_lose.get(method, 0):
            self._answers_to_lose[method] -= 1
            raise TransportUnavailableError(f"the fake cluster's answer to {method} was lost")
