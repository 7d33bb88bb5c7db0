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
NOT_YET = "Not handed in yet"
NEVER_HANDED_IN = Proposal(state=RunState.CANCELLED, name="Cancelled", message="No job was handed in.")


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
        asked = False
        while True:
            try:
                handed = await self.follower.carriers.call(lambda: self._hand_in(run, place, make_spec))
            except (TransportUnavailableError, OSError) as error:
                logger.bind(run=run.run_id, reason=str(error)).warning("could not hand the job in; tried again")
                await self._say_why(run.run_id, str(error))
                await self.pause(AGAIN_SECONDS)
                asked = asked or isinstance(error, TransportUnavailableError)
                await self._check_wanted(run.run_id, asked=asked)
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

    async def _say_why(self, run_id: str, why: str) -> None:
        """Let the run say what it waits for; the API refuses the same name a second time, which is as well."""
        try:
            await self.runs.propose(run_id, Proposal(state=RunState.PENDING, name=NOT_YET, message=why))
        except (RunsUnavailableError, RunGoneError, RunsRefusedError):
            pass  # the job matters more

    async def _check_wanted(self, run_id: str, *, asked: bool) -> None:
        """Raises NoLongerWantedError. If the transport was `asked`, there may be a job, which the census looks for."""
        try:
            run = await self.runs.read(run_id)
        except RunGoneError:
            raise NoLongerWantedError("the run was deleted") from None
        except (RunsUnavailableError, RunsRefusedError):
            return
        if run.state is RunState.CANCELLING and not asked:
            await self.tell(run_id, NEVER_HANDED_IN)
        if run.state is not RunState.PENDING:
            raise NoLongerWantedError(f"the run is {run.state_name}")
