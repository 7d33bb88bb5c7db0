"""The transport `sbatch`: jobs of a SLURM cluster, by the command line tools that every site has.

One `squeue` answers for all jobs of a turn; one that has just failed, or is not listed any more, costs one `scontrol`,
and `sacct` where there is accounting and SLURM remembers too little. A job is its number and its directory; what a
restarted worker needs stands there. Not a word of JSON: before 24.11 squeue cannot filter it, nor scontrol print it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from infra.slurm.answers import Kind
from infra.slurm.endings import end_of, last_start
from infra.slurm.handing import carrier_number, find_numbers, hand_in, storage
from infra.slurm.identifier import JobId
from infra.slurm.job import JobSpec
from infra.slurm.listing import (
    ACCOUNT_FORMAT,
    COMMENT_FORMAT,
    QUEUE_FORMAT,
    Listed,
    read_accounts,
    read_comments,
    read_job,
    read_queue,
)
from infra.slurm.pace import Pace
from infra.slurm.states import JobState, Phase, UnknownStateError
from infra.slurm.tools import Answer, Tools
from infra.slurm.transport import JobReport, TransportUnavailableError

# A queue that comes within this time is asked for at each look; else a tenth of the time goes to it.
QUICK_SECONDS = 0.5
PATIENCE = 9.0
AGE_SECONDS_MAX = 20.0  # a controller that is restarted lets one question wait for long: that is no long queue
CANCELLED_AT_ONCE = 100  # numbers on one command line
ACCOUNTING_LAG_SECONDS = 8.0  # how long accounting may take to say who cancelled a job
ACCOUNTING_AGAIN_SECONDS = 10.0  # between two questions about a job that accounting does not know yet
ACCOUNTING_AWAY_SECONDS = 300.0  # how long an end waits for accounting that does not answer
LOST_FOR = "now-2days"  # how far back a job is looked for whose answer was lost


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What this transport has seen of a job that is over, or not listed any more. Times in monotonic seconds."""

    since: float
    is_forgotten: bool = False
    shown: Listed | None = None
    report: JobReport | None = None
    asked_accounting_at: float | None = None
    accounted: JobReport | None = None


@dataclass(slots=True)
class SbatchTransport:
    """Carries jobs on the cluster; see `infra.slurm.transport.Transport`. A job id is `<number>:<directory>`.

    `jobs_directory`: where `find` looks for a tag's directory; shared with the nodes.
    `accounts` runs sacct: that the database is away is no reason to leave the controller alone.
    SLURM's own KillWait is the grace between TERM and KILL.
    """

    jobs_directory: str
    tools: Tools = field(default_factory=Tools)
    accounts: Tools = field(default_factory=Tools)
    pace: Pace = field(default_factory=Pace)
    monotonic: Callable[[], float] = time.monotonic
    _seen: dict[JobId, _Seen] = field(default_factory=dict[JobId, _Seen])
    _cancelled: set[int] = field(default_factory=set[int])
    _has_accounting: bool = True
    _listed: Mapping[int, Listed] = field(default_factory=dict[int, Listed])
    _listed_until: float = float("-inf")

    @property
    def name(self) -> str:
        return "sbatch"

    def submit(self, spec: JobSpec) -> str:
        script = os.path.join(spec.directory, "script")
        return hand_in(spec, send=lambda _: self._send(script), search=self._search)

    def look(self, jobs: Collection[str]) -> Mapping[str, JobReport | None]:
        ids = {job: JobId.parse(job) for job in jobs}
        known = {job: name for job, name in ids.items() if name is not None}
        self._seen = {name: seen for name, seen in self._seen.items() if name in known.values()}
        reports: dict[str, JobReport | None] = dict.fromkeys(jobs)
        if known:
            queue = self._listing()
            for job, name in known.items():
                reports[job] = self._report(name, queue)
        return reports

    def find(self, tags: Collection[str]) -> Mapping[str, str]:
        return find_numbers(self.jobs_directory, tags, search=self._search)

    def cancel(self, jobs: Collection[str]) -> None:
        """Have SLURM end these jobs, and second submissions of theirs; the queue says which number is still theirs."""
        names = [name for name in map(JobId.parse, jobs) if name is not None]
        if not names:
            return
        wanted = {self._carrier(name): name.tag for name in names}
        tags = {name.tag for name in names}
        numbers = [
            number
            for number, one in sorted(self._queue().items())
            if _phase(one) is not Phase.OVER and (one.tag in tags or (number in wanted and one.is_of(wanted[number])))
        ]
        for start in range(0, len(numbers), CANCELLED_AT_ONCE):
            batch = numbers[start : start + CANCELLED_AT_ONCE]
            self._cancelled.update(batch)
            self.tools.ask("scancel", *map(str, batch))

    def _send(self, script: str) -> int:
        self.pace.wait()
        said = self.tools.hand_in("sbatch", "--parsable", script).strip()
        number = said.rpartition("\n")[2].partition(";")[0]
        if not number.isdecimal():
            raise TransportUnavailableError(f"sbatch: the answer is no job number: {said[:200]!r}")
        return int(number)

    def _listing(self) -> Mapping[int, Listed]:
        """Return the queue, as it was a moment ago where it takes long to come: each job of it costs the controller."""
        began = self.monotonic()
        if began >= self._listed_until:
            self._listed = self._queue()
            took = self.monotonic() - began
            age = min(took * PATIENCE, AGE_SECONDS_MAX)
            self._listed_until = began + took + age if took > QUICK_SECONDS else began
        return self._listed

    def _queue(self) -> Mapping[int, Listed]:
        """Return all jobs of this user, those too that are over and not yet forgotten: the controller filters it."""
        return read_queue(self.tools.ask("squeue", "-h", "-t", "all", "-u", str(os.getuid()), "-O", QUEUE_FORMAT).text)

    def _search(self, tags: Collection[str]) -> Mapping[str, int]:
        """Return the jobs that SLURM knows by these tags. Of two, the first; the second will find that out itself."""
        found: dict[str, int] = {}
        for number, one in sorted(self._queue().items()):
            if one.tag in tags:
                found.setdefault(one.tag, number)
        missing = [tag for tag in tags if tag not in found]
        if missing:
            uid = str(os.getuid())
            answer = self._account("-S", LOST_FOR, "-u", uid, "-o", COMMENT_FORMAT)
            found |= read_comments(answer.text if answer is not None else "", missing)
        return found

    def _report(self, name: JobId, queue: Mapping[int, Listed]) -> JobReport | None:
        """Return what is known of one job, by the queue if it is in it and not over."""
        number = name.number
        one = _own(queue.get(number), name.tag)
        if one is None or _phase(one) is Phase.OVER:
            number = self._carrier(name)  # a second submission ends at once, the first carries the tag out
            one = _own(queue.get(number), name.tag)
        if one is not None and _phase(one) is not Phase.OVER:
            self._seen.pop(name, None)
            return _report_of(one)
        seen = self._seen.setdefault(name, _Seen(since=self.monotonic()))
        if seen.report is None:
            with storage(name.directory):
                seen.report = self._end(name, number, seen, listed=one)
        report = seen.report
        if report is not None and report.state.phase is not Phase.OVER:
            seen.report = None  # not the last word
        return report

    def _end(self, name: JobId, number: int, seen: _Seen, *, listed: Listed | None) -> JobReport | None:
        """Return how a job ended, once this is known as well as it ever will be. The queue tells of success all."""
        if seen.shown is None and listed is not None and listed.state == JobState.COMPLETED:
            seen.shown = listed
        if seen.shown is None and (listed is not None or not seen.is_forgotten):
            seen.shown = self._show(number, name.tag)
            seen.is_forgotten = seen.shown is None
        if seen.shown is None:
            return self._end_of_forgotten(name, number, seen)
        said = _report_of(seen.shown)
        if said.state.phase is not Phase.OVER:
            seen.shown = None
        elif said.state is JobState.CANCELLED and number not in self._cancelled:
            return self._end_of_cancelled(said, name, number, seen)
        return end_of(said, directory=name.directory, number=number)

    def _end_of_cancelled(self, said: JobReport, name: JobId, number: int, seen: _Seen) -> JobReport | None:
        """Only accounting knows by whom, a little later."""
        waits = self._waits(seen, ACCOUNTING_LAG_SECONDS)
        try:
            accounted = self._accounted(number, seen, ACCOUNTING_LAG_SECONDS / 4)
        except TransportUnavailableError:
            accounted, waits = None, False
        if accounted is None and self._has_accounting and waits:
            return replace(said, state=JobState.COMPLETING)
        by = "" if accounted is None else accounted.by
        return end_of(replace(said, by=by), directory=name.directory, number=number)

    def _end_of_forgotten(self, name: JobId, number: int, seen: _Seen) -> JobReport | None:
        """What the job has left behind, unless it was told to end: then accounting knows better, if there is any."""
        left = end_of(None, directory=name.directory, number=number)
        if left is not None and left.state is not JobState.CANCELLED:
            return left
        try:
            accounted = self._accounted(number, seen, ACCOUNTING_AGAIN_SECONDS)
        except TransportUnavailableError as error:
            if self._waits(seen, ACCOUNTING_AWAY_SECONDS):
                return JobReport(state=JobState.COMPLETING, reason=str(error))
            accounted = None
        if accounted is None:
            return left
        said = replace(accounted, restarts=last_start(name.directory, number))
        return end_of(said, directory=name.directory, number=number)

    def _show(self, number: int, tag: str) -> Listed | None:
        answer = self.tools.ask("scontrol", "show", "job", str(number))
        if answer.verdict is not None and answer.verdict.kind is Kind.UNKNOWN_JOB:
            return None
        return _own(read_job(answer.text), tag)

    def _accounted(self, number: int, seen: _Seen, again_seconds: float) -> JobReport | None:
        """Return what accounting knows of the job's end, None for nothing (yet)."""
        now = self.monotonic()
        if seen.accounted is None and (seen.asked_accounting_at or float("-inf")) + again_seconds <= now:
            answer = self._account("-j", str(number), "-o", ACCOUNT_FORMAT)
            seen.asked_accounting_at = now
            seen.accounted = None if answer is None else read_accounts(answer.text).get(number)
        return seen.accounted

    def _account(self, *question: str) -> Answer | None:
        """Ask the accounting, None where there is none."""
        if not self._has_accounting or not self.accounts.has("sacct"):
            self._has_accounting = False
            return None
        answer = self.accounts.ask("sacct", "-n", "-P", "-X", *question)
        if answer.verdict is not None:
            self._has_accounting = False
            return None
        return answer

    def _waits(self, seen: _Seen, seconds: float) -> bool:
        return self.monotonic() - seen.since < seconds

    def _carrier(self, name: JobId) -> int:
        """Return the number of the job that carries the tag out: its script says so; else that which was handed in."""
        with storage(name.directory):
            return carrier_number(name.directory) or name.number


def open_sbatch(jobs_directory: str) -> SbatchTransport:
    return SbatchTransport(os.path.abspath(jobs_directory))


def _own(one: Listed | None, tag: str) -> Listed | None:
    return one if one is not None and one.is_of(tag) else None


def _phase(one: Listed) -> Phase | None:
    """Return how far a job is, None for a word that nobody knows."""
    try:
        return one.report.state.phase
    except UnknownStateError:
        return None


def _report_of(one: Listed) -> JobReport:
    try:
        return one.report
    except UnknownStateError as error:
        raise TransportUnavailableError(str(error)) from error
