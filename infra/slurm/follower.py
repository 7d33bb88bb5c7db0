"""Follows all jobs of a worker: one look for all of them a turn, then what runs are to be told. Prefect-free.

A turn never waits for a job. The API away: jobs are looked at all the same, and everything is said later, in order:
logs first, then the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from loguru import logger

from infra.slurm.carriers import Carriers
from infra.slurm.course import Misses, Whereabouts, next_proposal
from infra.slurm.folder import mark_reported, read_sent
from infra.slurm.followed import Followed
from infra.slurm.outbox import Outbox
from infra.slurm.ownership import Identity, beat, end_heartbeat, heartbeat_path, still_mine
from infra.slurm.runs import Proposal, RunGoneError, RunNow, Runs, RunsRefusedError, RunState, RunsUnavailableError
from infra.slurm.tidying import tidy
from infra.slurm.transport import JobReport, TransportUnavailableError

CANCEL_AGAIN_SECONDS = 30.0  # a scheduler may have forgotten what it was asked
REASON_SECONDS_MIN = 60.0  # between two reasons why a job waits: schedulers change their mind every second
HURRY_SECONDS = 5.0
BEAT_SECONDS = 10.0
NOTHING: Mapping[str, JobReport | None] = {}
FAILURES_MAX = 3  # in a row within a turn: then the API is away, and the other runs are not tried


@dataclass(slots=True, kw_only=True)
class Follower:
    """`monotonic`: seconds. `followed` is by run id."""

    runs: Runs
    carriers: Carriers
    outbox: Outbox
    me: Identity
    monotonic: Callable[[], float]
    followed: dict[str, Followed] = field(default_factory=dict[str, Followed])
    lost_tags: set[str] = field(default_factory=set[str])
    is_away: bool = False
    _unasked: set[str] = field(default_factory=set[str])
    _beaten: dict[str, float] = field(default_factory=dict[str, float])

    def follow(
        self,
        run: RunNow,
        *,
        tag: str,
        jobs_directory: str,
        transport: str,
        lines_max: int,
        number: int,
        job: str | None,
    ) -> Followed:
        """Follow a run's job from the next turn on."""
        directory = f"{jobs_directory}/{tag}"
        self.followed[run.run_id] = Followed(
            run=run,
            tag=tag,
            jobs_directory=jobs_directory,
            directory=directory,
            transport=transport,
            lines_max=lines_max,
            number=number,
            job=job,
            sent=read_sent(directory),
        )
        return self.followed[run.run_id]

    def end_heartbeats(self) -> None:
        """This worker stops: others may take its jobs over at once, once they have looked twice."""
        for jobs_directory in self._beaten:
            end_heartbeat(jobs_directory, self.me)

    def tidy(self) -> None:
        """Remove what is long over. Takes as long as the shared storage likes: not for the event loop."""
        for jobs_directory in list(self._beaten):
            try:
                tidy(jobs_directory, heartbeat_path(jobs_directory, self.me))
            except OSError as error:
                logger.bind(directory=jobs_directory, reason=str(error)).warning("could not tidy up")

    async def turn(self) -> None:
        """Look at all jobs, and tell the API what changed, as far as both can be asked."""
        await self._look()
        try:
            await self._note_cancellations()
            await self.outbox.send(list(self.followed.values()))
            await self.outbox.send_notes(list(self.followed.values()))
            await self._advance_all()
        except (RunsUnavailableError, RunsRefusedError) as error:
            if not self.is_away:
                logger.bind(reason=str(error)).warning("the API does not answer; jobs go on, and are reported later")
            self.is_away = True
            # Ends are held back until their logs are sent; cancellations that are known go on.
            await self._cancel()
        else:
            if self.is_away:
                logger.info("the API answers again")
            self.is_away = False

    @property
    def is_hurried(self) -> bool:
        """True for a few seconds after jobs were asked to end: most do at once, and somebody is waiting."""
        now = self.monotonic()
        asked = (job.cancel_asked_at for job in self.followed.values())
        return any(at is not None and now - at < HURRY_SECONDS for at in asked)

    async def _look(self) -> None:
        """Ask each transport once for all its jobs, and see who else has entered the registers."""
        for jobs in _by_transport(list(self.followed.values())).values():
            await self.carriers.call(lambda jobs=jobs: self._look_at(jobs))
        for job in [job for job in self.followed.values() if job.is_taken]:
            logger.bind(run=job.run.run_id).info("another worker follows this run now")
            self._drop(job)

    def _look_at(self, jobs: Sequence[Followed]) -> None:
        now = self.monotonic()
        self._beat(jobs[0].jobs_directory, now)
        for job in jobs:
            job.is_taken = not still_mine(job.directory, job.number)
        transport = self.carriers.get(jobs[0].transport, jobs[0].jobs_directory)
        try:
            nameless = [job for job in jobs if job.job is None]
            if nameless:
                names = transport.find([job.tag for job in nameless])
                for job in nameless:
                    job.job = names.get(job.tag)
            asked = [job for job in jobs if not job.is_over]
            ids = [job.job for job in asked if job.job is not None]
            reports: Mapping[str, JobReport | None] = transport.look(ids) if ids else NOTHING
        except TransportUnavailableError as error:
            if transport.name not in self._unasked:
                logger.bind(transport=transport.name, reason=str(error)).warning("the jobs could not be looked at")
            self._unasked.add(transport.name)
            return
        self._unasked.discard(transport.name)
        for job in asked:
            _note_report(job, reports.get(job.job) if job.job is not None else None, now)

    def _beat(self, jobs_directory: str, now: float) -> None:
        if now - self._beaten.get(jobs_directory, -BEAT_SECONDS) < BEAT_SECONDS:
            return
        try:
            beat(jobs_directory, self.me)
            self._beaten[jobs_directory] = now
        except OSError as error:
            logger.bind(reason=str(error)).warning("could not show that this worker lives")

    async def _note_cancellations(self) -> None:
        """Learn which runs are to be cancelled, and ask their jobs to end."""
        for run in await self.runs.to_cancel():
            job = self.followed.get(run.run_id)
            if job is not None:
                job.run = run
        await self._cancel()

    async def _cancel(self) -> None:
        """Ask the jobs of cancelled runs to end, again where that had no effect."""
        now = self.monotonic()
        due = [
            job
            for job in self.followed.values()
            if job.run.state is RunState.CANCELLING
            and not job.is_over
            and (job.cancel_asked_at is None or now - job.cancel_asked_at >= CANCEL_AGAIN_SECONDS)
        ]
        for job in await self._end_jobs(due):
            job.cancel_asked_at = now

    async def _end_jobs(self, jobs: Sequence[Followed]) -> Sequence[Followed]:
        """Ask jobs to end, all of a transport in one call; return those that could be asked."""
        asked: list[Followed] = []
        for (name, jobs_directory), group in _by_transport(jobs).items():
            transport = self.carriers.get(name, jobs_directory)
            names = {job.job: job for job in group if job.job is not None}
            if not names:
                continue
            try:
                await self.carriers.call(lambda transport=transport, names=names: transport.cancel(list(names)))
                asked += names.values()
            except TransportUnavailableError as error:
                runs = [job.run.run_id for job in names.values()]
                logger.bind(runs=runs, reason=str(error)).warning("jobs could not be asked to end; tried again")
        return asked

    async def _advance_all(self) -> None:
        failures = 0
        for job in list(self.followed.values()):
            try:
                await self._advance(job)
                failures = 0
            except RunGoneError:
                await self._abandon(job, "the run was deleted")
            except RunsRefusedError as error:
                logger.bind(run=job.run.run_id, reason=str(error)).warning("a state was refused; tried again")
            except RunsUnavailableError:
                failures += 1
                if failures >= FAILURES_MAX or failures >= len(self.followed):
                    raise

    async def _advance(self, job: Followed) -> None:
        """Propose what follows from the last report, until there is nothing to propose."""
        for _ in range(4):
            if job.is_unwanted:
                await self._abandon(job, f"the run is {job.run.state_name} already")
                return
            where = Whereabouts(job=job.job or "", log=job.source.path)
            proposal = next_proposal(job.run.state, job.run.state_name, job.report, lost=job.is_lost, where=where)
            if proposal is None or not self._is_due(job, proposal):
                return
            if proposal.state is not RunState.PENDING:
                current = await self.runs.read(job.run.run_id)
                if (current.state, current.state_name) != (job.run.state, job.run.state_name):
                    job.run = current  # a lost answer, or somebody else: think again
                    continue
            before, job.run = job.run, await self.runs.propose(job.run.run_id, proposal)
            if proposal.state is RunState.PENDING:
                job.queued_at = self.monotonic()
            if proposal.state.is_final and job.run.state is proposal.state:
                await self._close(job, proposal.message)
                return
            if (before.state, before.state_name) == (job.run.state, job.run.state_name):
                return  # refused: the next turn tries again

    def _is_due(self, job: Followed, proposal: Proposal) -> bool:
        """The end waits for the last lines; a new reason why a job waits is not told every second."""
        if proposal.state is RunState.PENDING:
            return job.queued_at is None or self.monotonic() - job.queued_at >= REASON_SECONDS_MIN
        return job.is_drained or not proposal.state.is_final

    async def _abandon(self, job: Followed, why: str) -> None:
        """Nobody waits for this job any more: end it, and let it go."""
        if not job.is_over and job.job is not None and not await self._end_jobs([job]):
            return
        logger.bind(run=job.run.run_id, reason=why).info("let a run go")
        await self._close(job, why)

    async def _close(self, job: Followed, words: str) -> None:
        """The run's end stands with the API: note it, so that the run's next submission gets a directory of its own."""
        try:
            await self.carriers.call(lambda: mark_reported(job.directory, words))
        except OSError as error:
            logger.bind(run=job.run.run_id, reason=str(error)).warning("could not note that the run's end is reported")
        self._drop(job)

    def _drop(self, job: Followed) -> None:
        if job.is_taken:
            self.lost_tags.add(job.tag)
        self.followed.pop(job.run.run_id, None)
        job.finished.set()


def _by_transport(jobs: Sequence[Followed]) -> Mapping[tuple[str, str], list[Followed]]:
    """Return the jobs by their transport and its jobs directory."""
    groups: dict[tuple[str, str], list[Followed]] = {}
    for job in jobs:
        groups.setdefault((job.transport, job.jobs_directory), []).append(job)
    return groups


def _note_report(job: Followed, report: JobReport | None, now: float) -> None:
    """Take down what a transport that answered knows of a job."""
    if report is None:
        job.misses = job.misses.another(now)
        job.is_lost = job.misses.prove_loss(now)
        if job.is_lost:
            job.report = None
        return
    if job.restarts is not None and report.restarts > job.restarts:
        why = f" ({report.reason})" if report.reason else ""
        job.notes.append(f"The scheduler has put the job back into its queue{why}.")
    job.restarts = report.restarts
    job.report, job.misses = report, Misses()
