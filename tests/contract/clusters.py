"""What carries jobs, as the contract's tests and those of `local` see it: jobs that run until they are told to end."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, cast

from infra.slurm.job import JobSpec
from infra.slurm.local import LocalTransport
from infra.slurm.machine import is_gone, machine, machine_of, pid_of
from infra.slurm.sbatch import SbatchTransport
from infra.slurm.states import JobState
from infra.slurm.tools import Tools
from infra.slurm.transport import JobReport, Transport
from tests.contract.fake_slurm import Cluster as FakeSlurm
from tests.contract.fake_slurm import Job, install
from tests.fakes_slurm import FakeTransport
from tests.waiting import wait_until

LIMIT_SECONDS = 30.0

# Says that it has begun, waits for a line on the named pipe that it is given, and exits with what it says.
_HELD = ': >"$0.begun"; read -r code <"$0"; exit "$code"'


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


class Held:
    """Jobs that wait on a pipe of theirs: specs in `jobs`, pipes in `top/pipes`."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self.root, self.jobs = top / "root", top / "root" / "_jobs"
        (top / "pipes").mkdir()
        self.jobs.mkdir(parents=True)

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

    def output(self, job: str) -> str:
        return (self.jobs / os.path.basename(job) / "output").read_text()

    @contextmanager
    def unmounted(self) -> Generator[None]:
        """The storage is not mounted; what runs had begun before, and needs no file of its own until it ends."""
        begun = [self._pipe(f"{tag}.begun") for tag in os.listdir(self.jobs)]
        wait_until(lambda: all(path.exists() for path in begun), LIMIT_SECONDS, "jobs to begin")
        self.root.rename(self._top / "elsewhere")
        try:
            yield
        finally:
            (self._top / "elsewhere").rename(self.root)

    def _pipe(self, tag: str) -> Path:
        return self._top / "pipes" / tag


class LocalCluster(Held):
    """The real thing: jobs in `root/_jobs`, the pipes that end them in `pipes`; its slots are the test's own."""

    def __init__(self, top: Path, slots: int = 1) -> None:
        super().__init__(top)
        self._slots, self._slots_name = slots, os.urandom(8).hex()
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

    def away(self) -> AbstractContextManager[None]:
        return self.unmounted()

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


class SbatchCluster(Held):
    """The transport `sbatch` with programs that keep their cluster in files: see `tests.contract.fake_slurm`."""

    def __init__(self, top: Path, slots: int = 1) -> None:
        super().__init__(top)
        self.state = top / "slurm"
        self.programs = install(self.state, slots=slots)
        self.now = 1000.0
        self.transport: Transport = self.worker()
        self.another: Transport = self.worker()

    def worker(self) -> SbatchTransport:
        """Return another worker's transport, which is as patient, and waits for nothing."""
        path = f"{self.programs}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PREFECT_API_KEY": "a secret", "TOKEN": "a secret"}
        controller, accounts = (
            Tools(environment=environment, pause=lambda seconds: None, monotonic=lambda: self.now) for _ in range(2)
        )
        return SbatchTransport(str(self.jobs), tools=controller, accounts=accounts, monotonic=lambda: self.now)

    @contextmanager
    def away(self) -> Generator[None]:
        """Neither the controller answers nor is the storage there: what was handed in is found without asking SLURM."""
        with self.down(), self.unmounted():
            yield

    @contextmanager
    def down(self, words: str = "") -> Generator[None]:
        """The controller is."""
        (self.state / "down").write_text(words)
        try:
            yield
        finally:
            (self.state / "down").unlink()

    def calls(self, program: str) -> list[str]:
        """Return what was asked of the program so far."""
        lines = (self.state / "calls").read_text().splitlines() if (self.state / "calls").exists() else []
        return [line for line in lines if line.startswith(f"{program} ")]

    def record(self, number: int) -> Job:
        """Return what the cluster knows of a job."""
        job = FakeSlurm(self.state).job(number)
        assert job is not None
        return job

    def change(self, number: int, **said: object) -> None:
        """Have the cluster say something else of a job."""
        FakeSlurm(self.state).save(cast("Job", {**self.record(number), **said}))

    def hand_in_again(self, tag: str) -> str:
        """Hand the tag's script in a second time, past the transport; return the second job."""
        return f"{self._ask('sbatch', str(self.jobs / tag / 'script'))}:{self.jobs / tag}"

    def scancel(self, number: int) -> None:
        """Somebody else ends the job."""
        self._ask("scancel", str(number))

    def _ask(self, *command: str) -> str:
        program = str(self.programs / command[0])
        return subprocess.run([program, *command[1:]], capture_output=True, text=True, check=True).stdout.strip()

    def forget(self, number: int) -> None:
        """The job's record is purged."""
        (self.state / "jobs" / f"{number}.json").unlink()

    def close(self) -> None:
        """End every job that runs."""
        slurm = FakeSlurm(self.state)
        with slurm.locked():
            (self.state / "slots").write_text("0")
        for job in slurm.jobs():
            if job["state"] == "RUNNING":
                wait_until(lambda job=job: self.record(job["number"])["pid"] != 0, LIMIT_SECONDS, "the script to start")
                try:
                    os.killpg(self.record(job["number"])["pid"], signal.SIGKILL)
                except ProcessLookupError:
                    pass
        wait_until(lambda: all(job["state"] != "RUNNING" for job in slurm.jobs()), LIMIT_SECONDS, "jobs to end")


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
