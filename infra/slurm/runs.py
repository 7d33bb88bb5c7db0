"""The seam between the follower and whoever keeps the runs' states: what a run is, what may be asked and proposed.

Three answers here too: a value; RunGoneError, the run was deleted; RunsUnavailableError, nobody could be asked, or the
answer was lost: whether the call did anything is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class RunsUnavailableError(Exception):
    """The API did not answer; what was asked for may have been done or not."""


class RunGoneError(Exception):
    """The run was deleted."""


class RunsRefusedError(Exception):
    """The API will not take this as it is, however often it is sent."""


class RunState(StrEnum):
    """Types of states, by Prefect's own words."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """Nothing follows, except that a person wants the run again."""
        return self in {RunState.COMPLETED, RunState.FAILED, RunState.CRASHED, RunState.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNow:
    """What the API holds of a run. `lease` is its slot in its deployment's concurrency limit, empty without one.

    `worker` is the name of the worker that took the run up, as far as it got to say so.
    """

    run_id: str
    state: RunState
    state_name: str = ""
    run_count: int = 0
    lease: str = ""
    worker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A state to propose: its type, its name as the UI shows it, and why."""

    state: RunState
    name: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of a run's log. `at_us`: microseconds since the epoch, different for each line of a run."""

    run_id: str
    at_us: int
    level: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run's job has its directory, which transport carries it, and how much of its output becomes log."""

    jobs_directory: str
    transport: str
    log_lines_max: int


LINES_PER_CALL_MAX = 500


class Runs(Protocol):
    """A work pool's runs. Every method raises RunsUnavailableError."""

    async def to_cancel(self) -> Sequence[RunNow]:
        """Return the runs that somebody wants cancelled (at most 200: the others come when these are done)."""
        ...

    async def unfinished(self) -> Sequence[RunNow]:
        """Return all runs that are pending, running or cancelling."""
        ...

    async def read(self, run_id: str) -> RunNow:
        """Raises RunGoneError."""
        ...

    async def propose(self, run_id: str, proposal: Proposal) -> RunNow:
        """Propose a state and return what the API holds now: something else where it refused. Raises RunGoneError."""
        ...

    async def place(self, run_id: str) -> Place:
        """Return where the run's job has its directory, by its job variables. Raises RunGoneError, RunsRefusedError."""
        ...

    async def send_logs(self, lines: Sequence[LogLine]) -> None:
        """Append lines, at most LINES_PER_CALL_MAX, of any runs. Raises RunsRefusedError."""
        ...

    async def last_sent(self, run_id: str, first_us: int, last_us: int) -> int | None:
        """Return the time of the run's newest line from `first_us` to `last_us` that the API has, None without any."""
        ...

    async def renew(self, lease: str, seconds: int) -> bool:
        """Keep a concurrency slot for that long; False: it is lost."""
        ...

    async def living_workers(self) -> frozenset[str]:
        """Return the names of the pool's workers that the API has heard of lately."""
        ...
