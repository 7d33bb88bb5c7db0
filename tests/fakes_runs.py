"""FakeRuns: a work pool's runs in memory, by the API's rules; it passes the contract of the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from infra.slurm.runs import (
    LINES_PER_CALL_MAX,
    LogLine,
    Place,
    Proposal,
    RunGoneError,
    RunNow,
    RunsRefusedError,
    RunState,
    RunsUnavailableError,
)

UNFINISHED = {RunState.PENDING, RunState.RUNNING, RunState.CANCELLING}


class Trouble(StrEnum):
    """What becomes of a call."""

    AWAY = "away"  # nothing is done, and no answer
    LOST = "lost"  # it is done, and no answer
    REFUSED = "refused"


class FakeRuns:
    """`calls` counts what was asked for; `proposals` what was accepted, in order; `logs` is all that was sent."""

    def __init__(self, place: Place) -> None:
        self.where = place
        self.runs: dict[str, RunNow] = {}
        self.logs: list[LogLine] = []
        self.leases: set[str] = set()
        self.renewed: list[tuple[str, int]] = []
        self.workers: frozenset[str] = frozenset()
        self.calls: list[str] = []
        self.proposals: list[tuple[str, Proposal]] = []
        self._troubles: dict[str, list[Trouble]] = {}
        self.is_away = False

    # what a test does to it

    def add(self, run_id: str, state: RunState = RunState.PENDING, **more: str | int) -> RunNow:
        name = {RunState.PENDING: "Submitting"}.get(state, state.capitalize())
        run = replace(RunNow(run_id=run_id, state=state, state_name=name), **more)  # pyright: ignore[reportArgumentType]
        self.runs[run_id] = run
        if run.lease:
            self.leases.add(run.lease)
        return run

    def set_state(self, run_id: str, state: RunState) -> None:
        """Somebody sets the state by hand."""
        self.runs[run_id] = replace(self.runs[run_id], state=state, state_name=state.capitalize())

    def trouble(self, method: str, *troubles: Trouble) -> None:
        """The next calls of the method end so."""
        self._troubles.setdefault(method, []).extend(troubles)

    def texts(self, run_id: str) -> list[str]:
        """Return the run's log as the UI shows it: by time."""
        return [line.text for line in sorted(self.logs, key=lambda line: line.at_us) if line.run_id == run_id]

    def states(self, run_id: str) -> list[str]:
        """Return the names of the states that were accepted, in order."""
        return [proposal.name for run, proposal in self.proposals if run == run_id]

    # what the follower calls

    async def to_cancel(self) -> Sequence[RunNow]:
        self._come("to_cancel")
        found = [run for run in self.runs.values() if run.state is RunState.CANCELLING]
        self._go("to_cancel")
        return found

    async def unfinished(self) -> Sequence[RunNow]:
        self._come("unfinished")
        found = [run for run in self.runs.values() if run.state in UNFINISHED]
        self._go("unfinished")
        return found

    async def read(self, run_id: str) -> RunNow:
        self._come("read")
        run = self._run(run_id)
        self._go("read")
        return run

    async def propose(self, run_id: str, proposal: Proposal) -> RunNow:
        self._come("propose")
        run = self._run(run_id)
        if _is_accepted(run, proposal):
            count = run.run_count + (proposal.state is RunState.RUNNING)
            self.runs[run_id] = replace(run, state=proposal.state, state_name=proposal.name, run_count=count)
            self.proposals.append((run_id, proposal))
        self._go("propose")
        return self.runs[run_id]

    async def place(self, run_id: str) -> Place:
        self._come("place")
        self._run(run_id)
        self._go("place")
        return self.where

    async def send_logs(self, lines: Sequence[LogLine]) -> None:
        assert len(lines) <= LINES_PER_CALL_MAX
        self._come("send_logs")
        self.logs.extend(lines)
        self._go("send_logs")

    async def last_sent(self, run_id: str, first_us: int, last_us: int) -> int | None:
        self._come("last_sent")
        times = [line.at_us for line in self.logs if line.run_id == run_id and first_us <= line.at_us <= last_us]
        self._go("last_sent")
        return max(times, default=None)

    async def renew(self, lease: str, seconds: int) -> bool:
        self._come("renew")
        self.renewed.append((lease, seconds))
        self._go("renew")
        return lease in self.leases

    async def living_workers(self) -> frozenset[str]:
        self._come("living_workers")
        self._go("living_workers")
        return self.workers

    def _run(self, run_id: str) -> RunNow:
        try:
            return self.runs[run_id]
        except KeyError:
            raise RunGoneError(run_id) from None

    def _come(self, method: str) -> None:
        self.calls.append(method)
        if self.is_away:
            raise RunsUnavailableError("the fake API does not answer")
        waiting = self._troubles.get(method, [])
        if waiting and waiting[0] is not Trouble.LOST:
            if waiting.pop(0) is Trouble.REFUSED:
                raise RunsRefusedError("the fake API wants none of this")
            raise RunsUnavailableError("the fake API does not answer")

    def _go(self, method: str) -> None:
        waiting = self._troubles.get(method, [])
        if waiting and waiting[0] is Trouble.LOST:
            waiting.pop(0)
            raise RunsUnavailableError("the fake API's answer was lost")


def _is_accepted(run: RunNow, proposal: Proposal) -> bool:
    """Prefect's rules for flow runs, as far as a worker meets them."""
    if run.state.is_final and proposal.state is not RunState.SCHEDULED:
        return False
    if run.state is RunState.CANCELLING:
        return proposal.state is RunState.CANCELLED
    if proposal.state is RunState.PENDING:
        from_pending = run.state is RunState.PENDING and proposal.name not in {run.state_name, "Pending"}
        return from_pending or run.state is RunState.SCHEDULED
    return True
