"""A pool, a cluster and workers, all in memory but for the jobs' directories; time passes when the test says so."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from infra.slurm.carriers import Carriers
from infra.slurm.census import Census
from infra.slurm.followed import Followed
from infra.slurm.follower import Follower
from infra.slurm.job import JobSpec
from infra.slurm.machine import start_ticks
from infra.slurm.outbox import Outbox
from infra.slurm.ownership import Identity
from infra.slurm.runs import Place, RunState
from infra.slurm.submission import Submission
from tests.fakes_runs import FakeRuns
from tests.fakes_slurm import FakeTransport

WALL_US = 1_800_000_000_000_000
NO_PROCESS = 2**22 + 1  # above the highest process id that Linux gives


def living(name: str, *, host: str = "h1", boot: str = "b1") -> Identity:
    """Return the identity of a worker whose process lives (this one)."""
    ticks = start_ticks(os.getpid())
    assert ticks is not None
    return Identity(host=host, boot=boot, pid=os.getpid(), ticks=ticks, name=name)


def dead(name: str, *, host: str = "h1", boot: str = "b1") -> Identity:
    """Return the identity of a worker whose process is gone."""
    return Identity(host=host, boot=boot, pid=NO_PROCESS, ticks=1, name=name)


@dataclass(kw_only=True)
class Crew:
    """One worker without Prefect."""

    follower: Follower
    census: Census
    submission: Submission

    async def turn(self) -> None:
        """As the worker's loop."""
        await self.census.turn()
        await self.follower.turn()


@dataclass(kw_only=True)
class Scene:
    """`now` is everybody's monotonic clock."""

    top: Path
    transport: FakeTransport = field(default_factory=FakeTransport)
    log_lines_max: int = 1000
    now: float = 1000.0
    runs: FakeRuns = field(init=False)
    busy: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self.runs = FakeRuns(
            Place(jobs_directory=str(self.top / "_jobs"), transport="fake", log_lines_max=self.log_lines_max)
        )

    def crew(self, me: Identity) -> Crew:
        follower = Follower(
            runs=self.runs,
            carriers=Carriers(make=lambda name, jobs_directory: self.transport),
            outbox=Outbox(runs=self.runs, wall_us=lambda: WALL_US + int(self.now * 1_000_000)),
            me=me,
            monotonic=lambda: self.now,
        )
        census = Census(runs=self.runs, follower=follower, me=me, monotonic=lambda: self.now, busy=lambda: self.busy)
        return Crew(
            follower=follower,
            census=census,
            submission=Submission(runs=self.runs, follower=follower, me=me, pause=self.pause),
        )

    async def pause(self, seconds: float) -> None:
        self.now += seconds

    async def hand_in(self, crew: Crew, run_id: str) -> Followed:
        """Hand the run in; one that is not there yet is made."""
        run = self.runs.runs.get(run_id) or self.runs.add(run_id)
        return await crew.submission.hand_in(run, self.runs.where, self.spec)

    def spec(self, tag: str) -> JobSpec:
        directory = str(self.top / "_jobs" / tag)
        return JobSpec(tag=tag, name=tag, directory=directory, command=("true",), working_directory="/")

    async def pass_time(self, *crews: Crew, turns: int = 1, seconds: float = 2.0) -> None:
        for _ in range(turns):
            self.now += seconds
            for crew in crews:
                await crew.turn()

    def job(self, run_id: str) -> str:
        """Return the run's newest job."""
        return [job for job, known in self.transport.jobs.items() if known.spec.tag.startswith(f"{run_id}.")][-1]

    def state(self, run_id: str) -> RunState:
        return self.runs.runs[run_id].state
