"""A worker as `prefect worker start` starts it, with slots of its own, and gates that a test may arm.

It is forked from a process that has imported all of this and nothing else has happened to: a start costs a sixth.

TEST_SLOTS_NAME   whose slots its jobs take; nobody else's on this machine
TEST_HOLDS        at which moments it stops for a test, separated by commas: see `Moment`
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

import prefect.cli
from prefect.context import refresh_global_settings_context

import infra.slurm.worker
from infra.slurm import transports
from infra.slurm.job import JobSpec
from infra.slurm.local import LocalTransport
from infra.slurm.prefect_runs import PrefectRuns
from infra.slurm.runs import LogLine, Proposal, RunNow
from infra.slurm.states import Phase
from infra.slurm.transport import JobReport, Transport
from infra.slurm.transports import LOCAL, local_slots
from stages.engine.work.prctl import die_with_parent
from tests.end_to_end.prefect.gates import hold_if_armed

SLOTS_NAME = "TEST_SLOTS_NAME"


class Moment(StrEnum):
    """Where in a run's course a worker can be stopped."""

    BEFORE_SUBMISSION = "before submission"
    AFTER_SUBMISSION = "after submission"  # its id is not stored yet
    LINES_SENT = "lines sent"  # and not noted yet that they are
    JOB_OVER = "job over"  # nothing of it is told yet
    END_TOLD = "end told"  # and not noted yet that it is


class GatedTransport:
    """A transport with gates before and after what it does."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        return self._inner.name

    def submit(self, spec: JobSpec) -> str:
        hold_if_armed(Moment.BEFORE_SUBMISSION)
        job = self._inner.submit(spec)
        hold_if_armed(Moment.AFTER_SUBMISSION)
        return job

    def look(self, jobs: Collection[str]) -> Mapping[str, JobReport | None]:
        found = self._inner.look(jobs)
        if any(report is not None and report.state.phase is Phase.OVER for report in found.values()):
            hold_if_armed(Moment.JOB_OVER)
        return found

    def find(self, tags: Collection[str]) -> Mapping[str, str]:
        return self._inner.find(tags)

    def cancel(self, jobs: Collection[str]) -> None:
        self._inner.cancel(jobs)


class GatedRuns(PrefectRuns):
    """Prefect's runs, with gates after what was said."""

    __slots__ = ()

    async def send_logs(self, lines: Sequence[LogLine]) -> None:
        await PrefectRuns.send_logs(self, lines)
        await asyncio.to_thread(hold_if_armed, Moment.LINES_SENT)

    async def propose(self, run_id: str, proposal: Proposal) -> RunNow:
        answer = await PrefectRuns.propose(self, run_id, proposal)
        if proposal.state.is_final:
            await asyncio.to_thread(hold_if_armed, Moment.END_TOLD)
        return answer


def open_transport(name: str, jobs_directory: str) -> Transport:
    """Open what carries jobs; on this machine, in slots of the test's own."""
    if name != LOCAL:
        return GatedTransport(transports.open_transport(name, jobs_directory))
    slots_name = os.environ[SLOTS_NAME]
    return GatedTransport(LocalTransport(jobs_directory, slots=local_slots(), slots_name=slots_name))


def work(words: Sequence[str], environment: Mapping[str, str], directory: str, log: str) -> None:
    """Be a worker: in a session of its own, in `directory`, until killed, or until whoever forked this is gone."""
    os.setsid()
    die_with_parent(os.getppid())
    os.chdir(directory)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for number in (1, 2):
        os.dup2(output, number)
    os.environ.clear()
    os.environ.update(environment)
    refresh_global_settings_context()  # Prefect was imported with another environment
    infra.slurm.worker.open_transport = open_transport
    infra.slurm.worker.PrefectRuns = GatedRuns
    sys.argv = ["prefect", "worker", "start", *words]
    prefect.cli.app()
