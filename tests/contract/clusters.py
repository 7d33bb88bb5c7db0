"""What carries jobs, as the contract's tests and those of `local` see it: jobs that run until they are told to end."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from infra.slurm.job import JobSpec
from infra.slurm.local import LocalTransport
from infra.slurm.machine import is_gone, machine, machine_of, pid_of
from infra.slurm.states import JobState
from infra.slurm.transport import JobReport, Transport
from tests.fakes_slurm import FakeTransport
from tests.waiting import wait_until

LIMIT_SECONDS = 30.0

# Waits for a line on the named pipe that it is given, and exits with what it says.
_HELD = 'read -r code <"$0"; exit "$code"'


class Cluster(Protocol):
    """One slot; `another` is a second worker's way to the same jobs."""

    transport: Transport
    another: Transport

    def held(self, tag: str) -> JobSpec:
        """Return a job that runs until `tell`."""
        ...

    def tell(self, job: str, exit_code: int) -> None:
        """Have a running job end."""
        ...

    def away(self) -> AbstractContextManager[None]:
        """Inside, the cluster cannot be asked."""
        ...


class FakeCluster:
    def __init__(self, top: Path) -> None:
        self.fake = FakeTransport(slots=1)
        self.transport: Transport = self.fake
        self.another: Transport = self.fake
        self._top = top

    def held(self, tag: str) -> JobSpec:
        place = str(self._top / tag)
        return JobSpec(tag=tag, name=tag, directory=place, command=("true",), working_directory=str(self._top))

    def tell(self, job: str, exit_code: int) -> None:
        self.fake.end(job, exit_code)

    def away(self) -> AbstractContextManager[None]:
        return self.fake.away()


class LocalCluster:
    """The real thing: jobs in `root/_jobs`, the pipes that end them in `pipes`; its slots are the test's own."""

    def __init__(self, top: Path, slots: int = 1) -> None:
        self._top, self._slots, self._slots_name = top, slots, os.urandom(8).hex()
        self.root, self.jobs = top / "root", top / "root" / "_jobs"
        (top / "pipes").mkdir()
        self.jobs.mkdir(parents=True)
        self.transport: Transport = self.worker()
        self.another: Transport = self.worker()

    def worker(
        self, *, here: str | None = None, environment: dict[str, str] | None = None, jobs: Path | None = None
    ) -> LocalTransport:
        """Return another worker's transport: on another machine by its name, or of other jobs on the same slots."""
        return LocalTransport(
            str(jobs or self.jobs),
            slots=self._slots,
            slots_name=self._slots_name,
            here=here,
            environment=os.environ if environment is None else environment,
        )

    def spec(
        self,
        tag: str,
        *command: str,
        time_limit_seconds: int | None = None,
        grace_seconds: int = 30,
        environment: dict[str, str] | None = None,
    ) -> JobSpec:
        return JobSpec(
            tag=tag,
            name=tag,
            directory=str(self.jobs / tag),
            command=command,
            working_directory=str(self._top),
            time_limit_seconds=time_limit_seconds,
            grace_seconds=grace_seconds,
            environment=environment or {},
        )

    def held(self, tag: str) -> JobSpec:
        os.mkfifo(self._pipe(tag))
        return self.spec(tag, "bash", "-c", _HELD, str(self._pipe(tag)))

    def tell(self, job: str, exit_code: int) -> None:
        pipe = self._pipe(os.path.basename(job))
        wait_until(lambda: _write_to_reader(pipe, f"{exit_code}\n"), LIMIT_SECONDS, f"{job} to listen")

    @contextmanager
    def away(self) -> Generator[None]:
        """The storage is not mounted."""
        self.root.rename(self._top / "elsewhere")
        try:
            yield
        finally:
            (self._top / "elsewhere").rename(self.root)

    def _pipe(self, tag: str) -> Path:
        return self._top / "pipes" / tag

    def output(self, job: str) -> str:
        return (self.jobs / os.path.basename(job) / "output").read_text()

    def launcher(self, job: str) -> str:
        """Return the process that carries the job."""
        return str((self.jobs / os.path.basename(job) / "launcher").readlink())

    def close(self) -> None:
        """End every job by its launcher, whose guard takes the job with it."""
        here = machine()
        links = [_link(self.jobs / job / "launcher") for job in os.listdir(self.jobs)]
        launchers = [link for link in links if link and machine_of(link) == here]
        for launcher in launchers:
            if not is_gone(launcher, here):
                os.kill(pid_of(launcher), signal.SIGKILL)
        wait_until(lambda: all(is_gone(launcher, here) for launcher in launchers), LIMIT_SECONDS, "launchers to end")


def _link(path: Path) -> str:
    """Return what the symlink says, "" if there is none."""
    return os.readlink(path) if path.is_symlink() else ""


def _write_to_reader(pipe: Path, text: str) -> bool:
    """Write to a named pipe if somebody reads it."""
    try:
        with open(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "w", encoding="utf-8") as writer:
            writer.write(text)
    except OSError:
        return False
    return True


def report_of(transport: Transport, job: str) -> JobReport:
    """Return what is known of the job, which has to be something."""
    report = transport.look([job])[job]
    assert report is not None
    return report


def wait_for(transport: Transport, job: str, *states: JobState) -> JobReport:
    """Wait until the job is in one of these states; return what is known of it then."""
    wait_until(
        lambda: report_of(transport, job).state in states,
        LIMIT_SECONDS,
        lambda: f"{job} to be {' or '.join(states)}, it is {report_of(transport, job)}",
    )
    return report_of(transport, job)


def is_pending(pid: int, number: signal.Signals) -> bool:
    """Whether a signal to the process has not been delivered yet."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(status["ShdPnd"], 16) >> (number - 1) & 1)
