"""Hands a run in as a job: a directory, this worker's name in its register, then the transport. Prefect-free.

In this order, so that a worker that dies between any two of them leaves something behind that others find.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from loguru import logger

from infra.slurm.folder import new_tag
from infra.slurm.followed import Followed
from infra.slurm.follower import Follower
from infra.slurm.job import JobSpec
from infra.slurm.ownership import Identity, holder_of, take
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

AGAIN_SECONDS = 5.0


class NoLongerWantedError(Exception):
    """The run was cancelled, deleted or taken by somebody else before its job could be handed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _HandedIn:
    tag: str
    number: int
    job: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """`pause`: waits for so many seconds."""

    runs: Runs
    follower: Follower
    me: Identity
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def hand_in(self, run: RunNow, place: Place, make_spec: Callable[[str], JobSpec]) -> Followed:
        """Hand a pending run in, and follow it; as often as it takes, while it is wanted.

        Raises SubmissionRefusedError, NoLongerWantedError.
        """
        while True:
            try:
                handed = await self.follower.carriers.call(lambda: self._hand_in(run, place, make_spec))
            except (TransportUnavailableError, OSError) as error:
                logger.bind(run=run.run_id, reason=str(error)).warning("could not hand the job in; tried again")
                await self.pause(AGAIN_SECONDS)
                await self._check_wanted(run.run_id)
                continue
            return self.follower.follow(
                run,
                tag=handed.tag,
                jobs_directory=place.jobs_directory,
                transport=place.transport,
                lines_max=place.log_lines_max,
                number=handed.number,
                job=handed.job,
            )

    async def tell(self, run_id: str, proposal: Proposal) -> None:
        """Propose an end for a run that gets no job, until the API has heard it."""
        while True:
            try:
                await self.runs.propose(run_id, proposal)
                return
            except RunsUnavailableError:
                await self.pause(AGAIN_SECONDS)
            except (RunGoneError, RunsRefusedError) as error:
                logger.bind(run=run_id, reason=str(error)).warning("the run's end was refused")
                return

    def _hand_in(self, run: RunNow, place: Place, make_spec: Callable[[str], JobSpec]) -> _HandedIn:
        tag = new_tag(place.jobs_directory, run.run_id, run.run_count)
        directory = f"{place.jobs_directory}/{tag}"
        number = self._enter(directory)
        job = self.follower.carriers.get(place.transport, place.jobs_directory).submit(make_spec(tag))
        return _HandedIn(tag=tag, number=number, job=job)

    def _enter(self, directory: str) -> int:
        """Whom the API gave the run to follows it, whoever was here before."""
        while True:
            holder = holder_of(directory)
            if holder is not None and holder.text == str(self.me):
                return holder.number
            number = 0 if holder is None else holder.number + 1
            if take(directory, self.me, number):
                return number

    async def _check_wanted(self, run_id: str) -> None:
        """Raises NoLongerWantedError. A job that was handed in without an answer is found by the census."""
        try:
            run = await self.runs.read(run_id)
        except RunGoneError:
            raise NoLongerWantedError("the run was deleted") from None
        except (RunsUnavailableError, RunsRefusedError):
            return
        if run.state is not RunState.PENDING:
            raise NoLongerWantedError(f"the run is {run.state_name}")
