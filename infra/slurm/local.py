"""The transport `local`: jobs as processes of this machine, within a number of slots; they outlive the worker.

A job is its directory. What is known of it stands there, and whether its launcher lives is asked of the kernel:
`launcher` (a symlink that names the process) makes it a job, `began` means that it holds a slot, `result` that it is
over. Without a result, and with a launcher that is known to be gone, it has failed with its machine. A worker on
another host sees the same files, and never takes a silent launcher for a dead one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager

from infra.slurm.folder import make_directory, write_private
from infra.slurm.inheritance import inherited
from infra.slurm.job import JobSpec, JobSpecError, render_script
from infra.slurm.machine import host_of, is_gone, machine, machine_of, pid_of
from infra.slurm.result import Result, UnreadableResultError, read_result
from infra.slurm.slots import NAME_MAX
from infra.slurm.states import JobState
from infra.slurm.transport import JobReport, SubmissionRefusedError, TransportUnavailableError

LAUNCHER_GONE = "its launcher is gone"
MACHINE_RESTARTED = "its machine was restarted"

_START_SECONDS = 30.0
_IMPORT_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from infra.slurm.launcher import main; main()"


class LocalTransport:
    """Carries jobs on this machine; see `infra.slurm.transport.Transport`.

    `jobs_directory`: where `find` looks for a tag's directory. `slots`: how many jobs of this user run at once on this
    machine, over all workers that give the same `slots_name`. `environment`: the worker's, of which a job gets
    PATH, HOME, LANG, LC_*, TMPDIR, USER, LOGNAME, VIRTUAL_ENV and where caches are. `here`: another machine, for tests.
    A job id is `<host>:<directory>`, the host being the one that the job is on. Cores and memory are not shared out.
    """

    def __init__(
        self,
        jobs_directory: str,
        *,
        slots: int,
        slots_name: str = "default",
        environment: Mapping[str, str] = os.environ,
        here: str | None = None,
    ) -> None:
        if slots < 1 or not 1 <= len(slots_name.encode()) <= NAME_MAX:
            raise ValueError(
                f"slots {slots} named {slots_name!r}: at least one, and a name of at most {NAME_MAX} bytes"
            )
        self._jobs_directory, self._slots, self._slots_name = os.path.abspath(jobs_directory), slots, slots_name
        self._environment = inherited(environment, same_host=True)
        self._here = machine() if here is None else here

    @property
    def name(self) -> str:
        return "local"

    def submit(self, spec: JobSpec) -> str:
        """Start the job's launcher, unless it has one; return the job's id. Its tag is its directory's name."""
        try:
            script = render_script(spec).encode("utf-8", "surrogateescape")
        except JobSpecError as error:
            raise SubmissionRefusedError(str(error)) from error
        if os.path.basename(spec.directory) != spec.tag:
            raise SubmissionRefusedError(f"the job {spec.tag} needs a directory of this name, not {spec.directory}")
        with _storage(spec.directory):
            make_directory(spec.directory)
            launcher = _launcher(spec.directory)
            if launcher is None:
                write_private(os.path.join(spec.directory, "script"), script)
                self._start(spec)
                launcher = _launcher(spec.directory)
        if launcher is None:
            raise TransportUnavailableError(
                f"no launcher could be started: read {spec.directory}/output, then try again"
            )
        return f"{host_of(launcher)}:{spec.directory}"

    def look(self, jobs: Collection[str]) -> Mapping[str, JobReport | None]:
        reports: dict[str, JobReport | None] = {}
        for job in jobs:
            directory = _directory(job)
            with _storage(directory):
                reports[job] = self._report(directory) if directory else None
        return reports

    def find(self, tags: Collection[str]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for tag in tags:
            directory = os.path.join(self._jobs_directory, tag)
            with _storage(directory):
                launcher = _launcher(directory)
                if launcher is not None:
                    found[tag] = f"{host_of(launcher)}:{directory}"
        return found

    def cancel(self, jobs: Collection[str]) -> None:
        """Leave a mark that a launcher on another host finds within seconds, and tell one on this host at once."""
        for job in jobs:
            directory = _directory(job)
            with _storage(directory):
                launcher = _launcher(directory) if directory else None
                if launcher is None or _exists(os.path.join(directory, "result")):
                    continue
                try:
                    os.symlink(f"{self._here}:{os.getpid()}", os.path.join(directory, "cancelled"))
                except FileExistsError:
                    pass  # asked for before: the launcher may not have heard of it
                self._tell(launcher)

    def _report(self, directory: str) -> JobReport | None:
        launcher = _launcher(directory)
        if launcher is None:
            return None
        began = _exists(os.path.join(directory, "began"))
        gone = is_gone(launcher, self._here)
        try:
            result = read_result(directory)  # after asking for its launcher, whose last act it is
        except UnreadableResultError as error:
            return JobReport(state=JobState.NODE_FAIL, reason=str(error), node=host_of(launcher))
        return _report(launcher, self._here, began=began, gone=gone, result=result, slots=self._slots)

    def _start(self, spec: JobSpec) -> None:
        """Start a launcher and wait until it has claimed the directory, or found that another one has."""
        order = (spec.time_limit_seconds or 0, spec.notice_seconds, spec.grace_seconds, self._slots, self._slots_name)
        command = [sys.executable, "-I", "-S", "-c", _START, _IMPORT_ROOT, spec.directory, *map(str, order)]
        with open(os.path.join(spec.directory, "output"), "ab") as output:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd="/",
                env=self._environment,
                timeout=_START_SECONDS,
                check=False,
                start_new_session=True,
            )

    def _tell(self, launcher: str) -> None:
        """Send the launcher SIGTERM if it is there; the handle makes sure that it is this process, and no later one."""
        if machine_of(launcher) != self._here:
            return
        try:
            handle = os.pidfd_open(pid_of(launcher))
        except ProcessLookupError:
            return
        try:
            if not is_gone(launcher, self._here):
                signal.pidfd_send_signal(handle, signal.SIGTERM)
        except ProcessLookupError:
            return
        finally:
            os.close(handle)


def _report(launcher: str, here: str, *, began: bool, gone: bool, result: Result | None, slots: int) -> JobReport:
    """Decide what is said of a job."""
    node = host_of(launcher)
    if result is not None:
        return result.report
    if gone:
        reason = LAUNCHER_GONE if machine_of(launcher) == here else MACHINE_RESTARTED
        return JobReport(state=JobState.NODE_FAIL, reason=reason, node=node)
    if began:
        return JobReport(state=JobState.RUNNING, node=node)
    return JobReport(
        state=JobState.PENDING,
        reason="waiting for the only slot" if slots == 1 else f"waiting for one of {slots} slots",
    )


def _directory(job: str) -> str:
    """Return a job's directory by its id, "" for an id of another transport."""
    _, _, directory = job.partition(":")
    return directory if directory.startswith("/") else ""


def _launcher(directory: str) -> str | None:
    """Return the process that is entered as the job's launcher, None if there is no such job. Raises OSError.

    A directory that is not there is an answer only where the one that holds all jobs is.
    """
    try:
        return os.readlink(os.path.join(directory, "launcher"))
    except FileNotFoundError:
        pass
    parent = os.open(os.path.dirname(directory), os.O_RDONLY | os.O_DIRECTORY)
    try:  # asked again within it: the storage may just have come back
        return os.readlink(os.path.join(os.path.basename(directory), "launcher"), dir_fd=parent)
    except FileNotFoundError:
        return None
    finally:
        os.close(parent)


def _exists(path: str) -> bool:
    """Tell whether there is such a name. Raises OSError where that cannot be told."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _storage(directory: str) -> Generator[None]:
    """Turn what goes wrong inside into "could not be asked"."""
    try:
        yield
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TransportUnavailableError(f"cannot look after the job in {directory}: {error}") from error
