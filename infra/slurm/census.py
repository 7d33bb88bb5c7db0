"""Compares the pool's unfinished runs with those that are followed: adopts what nobody follows, renews slots.

At the start, and every CENSUS_SECONDS: one call for 200 runs. What a worker left behind is found by its directory, so
that a job whose id was never stored is found too.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from loguru import logger

from infra.slurm.folder import open_tag
from infra.slurm.follower import Follower
from infra.slurm.machine import start_ticks
from infra.slurm.ownership import Holder, Identity, Silence, heartbeat_path, holder_of, may_take, take
from infra.slurm.runs import (
    Place,
    Proposal,
    RunGoneError,
    RunNow,
    Runs,
    RunsRefusedError,
    RunState,
    RunsUnavailableError,
)
from infra.slurm.transport import TransportUnavailableError

CENSUS_SECONDS = 15.0
ORPHANS_CENSUS_SECONDS = 5.0  # while there are runs without a job
RENEW_SECONDS = 60.0
LEASE_SECONDS = 900  # a worker that is away for less keeps its slots
# How long a run must have no job before it is given back: a worker may be just about to hand it in.
ORPHAN_OWN_SECONDS = 10.0
ORPHAN_SECONDS = 60.0


@dataclass(slots=True, kw_only=True)
class Census:
    """`busy()`: the runs that this process is handing in at the moment. `on_adopted` hears of each that is taken up.

    `taken` is set when the first census is over.
    """

    runs: Runs
    follower: Follower
    me: Identity
    monotonic: Callable[[], float]
    busy: Callable[[], Collection[str]]
    on_adopted: Callable[[str], None] = lambda run_id: None  # noqa: ARG005
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    _places: dict[str, Place] = field(default_factory=dict[str, Place])
    _orphans: dict[str, float] = field(default_factory=dict[str, float])
    _silence: Silence = field(default_factory=Silence)
    _taken_at: float | None = None

    async def turn(self) -> None:
        """Take the census if it is due. The API away: it is due again at the next turn."""
        now = self.monotonic()
        interval = ORPHANS_CENSUS_SECONDS if self._orphans else CENSUS_SECONDS
        if self._taken_at is not None and now - self._taken_at < interval:
            return
        try:
            before = dict(self.follower.followed)
            listed = {run.run_id: run for run in await self.runs.unfinished()}
            await self._refresh(listed, [run_id for run_id in before if run_id not in listed])
            strange = [run for run_id, run in listed.items() if run_id not in self.follower.followed]
            await self._consider_all(strange)
            self._taken_at = now
            self.taken.set()
        except (RunsUnavailableError, RunsRefusedError) as error:
            logger.bind(reason=str(error)).warning("runs that were left behind could not be asked for; tried again")

    async def _refresh(self, listed: dict[str, RunNow], missing: Sequence[str]) -> None:
        """Learn of leases, and of runs that somebody ended or deleted while their jobs live; keep the slots."""
        for run_id in missing:
            job = self.follower.followed.get(run_id)
            if job is not None:
                try:
                    job.run = await self.runs.read(run_id)
                except RunGoneError:
                    job.run = replace(job.run, state=RunState.CANCELLED, state_name="deleted")
        now = self.monotonic()
        for run_id, job in list(self.follower.followed.items()):
            lease = listed[run_id].lease if run_id in listed else ""
            if lease and (job.renewed_at is None or now - job.renewed_at >= RENEW_SECONDS):
                job.renewed_at = now
                if not await self.runs.renew(lease, LEASE_SECONDS):
                    logger.bind(run=run_id).warning("the run's slot in its deployment's concurrency limit is lost")

    async def _consider_all(self, strange: Sequence[RunNow]) -> None:
        ids = {run.run_id for run in strange}
        self._places = {run_id: place for run_id, place in self._places.items() if run_id in ids}
        self._orphans = {run_id: since for run_id, since in self._orphans.items() if run_id in ids}
        for run in strange:
            if run.run_id in self.busy():
                continue
            try:
                await self._consider(run)
            except (RunGoneError, RunsRefusedError, TransportUnavailableError, OSError) as error:
                logger.bind(run=run.run_id, reason=str(error)).warning("could not take up a run; tried again")

    async def _consider(self, run: RunNow) -> None:
        """Take a run up, or give it back, if nobody else has it."""
        place = self._places.get(run.run_id) or await self.runs.place(run.run_id)
        self._places[run.run_id] = place
        call = self.follower.carriers.call
        tag = await call(lambda: open_tag(place.jobs_directory, run.run_id, run.run_count))
        if tag is None:
            await self._give_back(run)
            return
        number = await call(lambda: self._take(place.jobs_directory, tag))
        if number is None:
            return
        transport = self.follower.carriers.get(place.transport, place.jobs_directory)
        found = await call(lambda: transport.find([tag]))
        if tag not in found and run.state is RunState.PENDING:
            await self._give_back(run)
            return
        self._orphans.pop(run.run_id, None)
        self.follower.follow(
            run,
            tag=tag,
            jobs_directory=place.jobs_directory,
            transport=place.transport,
            lines_max=place.log_lines_max,
            number=number,
            job=found.get(tag),
        )
        logger.bind(run=run.run_id, job=found.get(tag, "?")).info("follows a run that was left behind")
        self.on_adopted(run.run_id)

    def _take(self, jobs_directory: str, tag: str) -> int | None:
        """Enter this worker into a job's register; None if another one follows the job."""
        directory = os.path.join(jobs_directory, tag)
        holder = holder_of(directory) or Holder(number=-1, text="")
        who = Identity.parse(holder.text)
        if who == self.me:
            return holder.number
        free = may_take(
            who,
            self.me,
            same_name_is_me=tag not in self.follower.lost_tags,
            ticks_of=start_ticks,
            is_silent=lambda: (
                who is not None and self._silence.is_silent(heartbeat_path(jobs_directory, who), self.monotonic())
            ),
        )
        if not free or not take(directory, self.me, holder.number + 1):
            return None
        return holder.number + 1

    async def _give_back(self, run: RunNow) -> None:
        """A run without a job goes back to the queue, or ends, once nobody can be about to hand it in."""
        now = self.monotonic()
        seconds = now - self._orphans.setdefault(run.run_id, now)
        if seconds < (ORPHAN_OWN_SECONDS if run.worker == self.me.name else ORPHAN_SECONDS):
            return
        if run.worker not in {"", self.me.name} and run.worker in await self.runs.living_workers():
            return
        current = await self.runs.read(run.run_id)
        if (current.state, current.run_count) != (run.state, run.run_count):
            return
        await self.runs.propose(run.run_id, _without_job(run.state))
        logger.bind(run=run.run_id, state=run.state).info("gave back a run that has no job")


def _without_job(state: RunState) -> Proposal:
    """Return what becomes of a run that nobody follows and that no job can be found for."""
    if state is RunState.PENDING:
        return Proposal(
            state=RunState.SCHEDULED,
            name="Scheduled",
            message="The worker that took this run ended before it handed a job in; the run is in the queue again.",
        )
    if state is RunState.CANCELLING:
        return Proposal(state=RunState.CANCELLED, name="Cancelled", message="No job was found for this run.")
    return Proposal(
        state=RunState.CRASHED, name="Crashed", message="The worker has ended, and no job was found for this run."
    )
