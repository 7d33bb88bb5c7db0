"""The transport `slurmrestd`: hands jobs in and asks about them over SLURM's REST API; no command of SLURM is needed.

One question for all jobs: the API has no filter that all versions know, so the whole queue comes. Where that takes long
it is asked for the more seldom.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from loguru import logger

from infra.slurm.endings import end_of
from infra.slurm.handing import carrier_number, find_numbers, hand_in, storage
from infra.slurm.identifier import JobId
from infra.slurm.inheritance import inherited
from infra.slurm.listing import Listed
from infra.slurm.pace import Pace
from infra.slurm.rest_bodies import submit_body
from infra.slurm.rest_client import URL, AddressError, RestClient, job_number, read_address
from infra.slurm.rest_errors import Meaning, warnings_of
from infra.slurm.rest_jobs import StrangeAnswerError, read_jobs
from infra.slurm.spec import JobSpec, JobSpecError
from infra.slurm.states import Phase, UnknownStateError
from infra.slurm.token import TokenFile
from infra.slurm.transport import JobReport, SubmissionRefusedError, TransportUnavailableError

TOKEN_FILE = "PHASELINE_SLURMRESTD_TOKEN_FILE"
USER = "PHASELINE_SLURMRESTD_USER"

PATH = "/usr/local/bin:/usr/bin:/bin"
# A queue that comes within this time is asked for whenever somebody wants to know; else a tenth of the time goes to it.
QUICK_SECONDS = 0.5
PATIENCE = 9.0
AGE_SECONDS_MAX = 20.0  # a controller that is restarted lets one question wait for long: that is no long queue


def open_slurmrestd(jobs_directory: str, environment: Mapping[str, str] = os.environ) -> SlurmrestdTransport:
    """Return the transport for the slurmrestd that the environment names; its calls say what is wrong with it."""
    return SlurmrestdTransport(
        os.path.abspath(jobs_directory), connect=lambda: connect(environment), environment=environment
    )


def connect(environment: Mapping[str, str]) -> RestClient:
    """Return the way to the slurmrestd that the environment names. Raises AddressError."""
    text, path = environment.get(URL, ""), environment.get(TOKEN_FILE, "")
    if not text:
        raise AddressError(f"{URL} is not set in the worker's environment: set it to http://host:6820 or unix:/path")
    address = read_address(text)
    if not path and not address.socket:
        raise AddressError(f"{TOKEN_FILE} is not set in the worker's environment, and {address.text} wants a token")
    user = environment.get(USER) or _own_name()
    return RestClient(address, user=user, file=TokenFile(path, user) if path else None)


def list_jobs(numbers: Collection[int], environment: Mapping[str, str] = os.environ) -> list[Listed]:
    """Return what SLURM knows of the jobs with these numbers, in one question. Raises TransportUnavailableError."""
    return open_slurmrestd("/", environment).listed(frozenset(numbers))


@dataclass(slots=True, kw_only=True)
class _Queue:
    """What was said of some jobs last, and until when that will do."""

    listed: Mapping[int, Listed] = field(default_factory=dict[int, Listed])
    numbers: frozenset[int] = frozenset()
    until: float = float("-inf")


@dataclass(slots=True)
class SlurmrestdTransport:
    """Carries jobs by slurmrestd; see `infra.slurm.transport.Transport`. A job id is `<job number>:<directory>`.

    `jobs_directory`: where `find` looks for a tag's directory; shared with the nodes. `connect` raises AddressError.
    `environment` is the worker's, of which a job gets what `infra.slurm.inheritance` says.
    SLURM's own KillWait is the grace between TERM and KILL.
    """

    jobs_directory: str
    connect: Callable[[], RestClient]
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    pace: Pace = field(default_factory=Pace)
    monotonic: Callable[[], float] = time.monotonic
    _opened: RestClient | None = None
    _queue: _Queue = field(default_factory=_Queue)

    @property
    def name(self) -> str:
        return "slurmrestd"

    def submit(self, spec: JobSpec) -> str:
        """Hand the job in, unless it was; a wrong address refuses it. Its tag is its directory's name."""
        try:
            self._client()
        except AddressError as error:
            raise SubmissionRefusedError(str(error)) from None
        return hand_in(spec, send=lambda script: self._send(spec, script), search=self._search)

    def look(self, jobs: Collection[str]) -> Mapping[str, JobReport | None]:
        known = {job: name for job in jobs if (name := JobId.parse(job)) is not None}
        reports: dict[str, JobReport | None] = dict.fromkeys(jobs)
        if known:
            queue = self._list(list(known.values()))
            for job, name in known.items():
                with storage(name.directory):
                    reports[job] = _report(name, queue)
        return reports

    def find(self, tags: Collection[str]) -> Mapping[str, str]:
        return find_numbers(self.jobs_directory, tags, search=self._search)

    def cancel(self, jobs: Collection[str]) -> None:
        """Have SLURM end these jobs, and second submissions of theirs; the queue says which numbers are theirs."""
        names = [name for name in map(JobId.parse, jobs) if name is not None]
        if not names:
            return
        self._queue = _Queue()
        wanted = {name.number: name.tag for name in names}
        tags = {name.tag for name in names}
        for number, one in sorted(self._list(names).items()):
            is_theirs = one.tag in tags or (number in wanted and one.is_of(wanted[number]))
            if is_theirs and _phase(one) is not Phase.OVER:
                self._end(number)
        self._queue = _Queue()

    def listed(self, numbers: frozenset[int], tags: frozenset[str] = frozenset()) -> list[Listed]:
        """Return what the queue says of the jobs with these numbers or tags."""
        verdict, answer = self._reach().get("jobs")
        if verdict.meaning is not Meaning.FINE:
            raise TransportUnavailableError(f"slurmrestd does not list the queue: {verdict.words}")
        try:
            return list(read_jobs(answer, numbers=numbers, tags=tags))
        except StrangeAnswerError as error:
            raise TransportUnavailableError(f"slurmrestd's list of the queue cannot be read: {error}") from None

    def _end(self, number: int) -> None:
        verdict, _ = self._reach().delete(f"job/{number}")
        if verdict.meaning is Meaning.REFUSED:
            raise TransportUnavailableError(f"SLURM does not end job {number}: {verdict.words}")

    def _send(self, spec: JobSpec, script: str) -> int:
        self.pace.wait()
        environment = {"PATH": PATH} | inherited(self.environment, same_host=False)
        try:
            verdict, answer = self._reach().post(
                "job/submit", lambda version: submit_body(spec, script, version, environment)
            )
        except JobSpecError as error:
            raise SubmissionRefusedError(str(error)) from error
        number = job_number(answer)
        if verdict.meaning is not Meaning.FINE or number is None:
            raise SubmissionRefusedError(f"SLURM refuses the job: {verdict.words or 'it says no number'}")
        ignored = [words for words in warnings_of(answer) if "gnoring" in words]
        if ignored:
            logger.bind(job=number, reason="; ".join(ignored)).warning("slurmrestd has ignored a part of a job")
        return number

    def _search(self, tags: Collection[str]) -> Mapping[str, int]:
        """Return the numbers of the jobs with these tags. Of two, the first; the second will find that out itself."""
        found: dict[str, int] = {}
        for one in self.listed(frozenset(), frozenset(tags)):
            found[one.tag] = min(one.number, found.get(one.tag, one.number))
        return found

    def _list(self, names: Collection[JobId]) -> Mapping[int, Listed]:
        """Return what the queue says of these jobs, and of all others with their tags."""
        began, numbers = self.monotonic(), frozenset(name.number for name in names)
        if began < self._queue.until and numbers <= self._queue.numbers:
            return self._queue.listed
        found = self.listed(numbers, frozenset(name.tag for name in names))
        took = self.monotonic() - began
        age = min(took * PATIENCE, AGE_SECONDS_MAX)
        until = began + took + age if took > QUICK_SECONDS else began
        self._queue = _Queue(listed={one.number: one for one in found}, numbers=numbers, until=until)
        return self._queue.listed

    def _reach(self) -> RestClient:
        try:
            return self._client()
        except AddressError as error:
            raise TransportUnavailableError(str(error)) from None

    def _client(self) -> RestClient:
        """Raises AddressError."""
        if self._opened is None:
            self._opened = self.connect()
        return self._opened


def _report(name: JobId, queue: Mapping[int, Listed]) -> JobReport | None:
    """Return what is known of one job. Raises OSError, TransportUnavailableError."""
    number, one = name.number, _own(queue.get(name.number), name.tag)
    if one is None or _phase(one) is Phase.OVER:
        number = carrier_number(name.directory) or number  # a second submission ends at once, the first goes on
        one = _own(queue.get(number), name.tag)
    try:
        said = None if one is None else one.report
    except UnknownStateError as error:
        raise TransportUnavailableError(str(error)) from error
    return end_of(said, directory=name.directory, number=number)


def _phase(one: Listed) -> Phase | None:
    """Return how far a job is, None for a word that nobody knows."""
    try:
        return one.report.state.phase
    except UnknownStateError:
        return None


def _own(one: Listed | None, tag: str) -> Listed | None:
    return one if one is not None and one.is_of(tag) else None


def _own_name() -> str:
    """Return this process's user by name, by number where it has none here."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
