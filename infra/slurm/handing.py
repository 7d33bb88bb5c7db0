"""Hands a job in to SLURM once, though any answer may be lost, and any worker may die at any line.

In the job's directory: `script`; `submitting`, made before it is handed in; `submitted`, a symlink to the number that
SLURM gave it; `job`, a symlink that the job's script makes itself when it starts, so that of two jobs with one tag,
whatever went wrong, one runs. Shared by the transports sbatch and slurmrestd.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager

from infra.slurm.folder import make_directory, write_private
from infra.slurm.identifier import JobId
from infra.slurm.job import JobSpec, JobSpecError, render_script
from infra.slurm.transport import SubmissionRefusedError, TransportUnavailableError

MARK = "submitting"


def hand_in(
    spec: JobSpec, *, send: Callable[[str], int], search: Callable[[Collection[str]], Mapping[str, int]]
) -> str:
    """Return the identifier of the tag's job, handed in now or earlier.

    `send(script)` hands the script in and returns the job's number; `search(tags)` returns the numbers of jobs that
    SLURM knows by these tags (their comments). Raises SubmissionRefusedError, TransportUnavailableError.
    """
    try:
        script = render_script(spec)
    except JobSpecError as error:
        raise SubmissionRefusedError(str(error)) from error
    directory = spec.directory
    if os.path.basename(directory) != spec.tag:
        raise SubmissionRefusedError(f"the job {spec.tag} needs a directory of this name, not {directory}")
    with storage(directory):
        number = known_number(directory)
        if number is None and not _mark(directory):
            number = search([spec.tag]).get(spec.tag)
        if number is None:
            write_private(os.path.join(directory, "script"), script.encode("utf-8", "surrogateescape"))
            number = _send(script, directory, send)
        note_number(directory, number)
        return str(JobId(number=known_number(directory) or number, directory=directory))


def find_numbers(
    jobs_directory: str, tags: Collection[str], *, search: Callable[[Collection[str]], Mapping[str, int]]
) -> Mapping[str, str]:
    """Return the identifiers of the jobs with these tags. SLURM is asked only for those whose answer was lost.

    Raises TransportUnavailableError.
    """
    numbers: dict[str, int] = {}
    lost: list[str] = []
    with storage(jobs_directory):
        if tags:
            os.stat(jobs_directory)  # a missing mount is no answer
        for tag in tags:
            directory = os.path.join(jobs_directory, tag)
            number = known_number(directory)
            if number is not None:
                numbers[tag] = number
            elif os.path.lexists(os.path.join(directory, MARK)):
                lost.append(tag)
        if lost:
            for tag, number in search(lost).items():
                note_number(os.path.join(jobs_directory, tag), number)
                numbers[tag] = number
    return {
        tag: str(JobId(number=number, directory=os.path.join(jobs_directory, tag))) for tag, number in numbers.items()
    }


def known_number(directory: str) -> int | None:
    """Return the number of the directory's job: that which runs, else that which was handed in. Raises OSError."""
    for name in ("job", "submitted"):
        number = _link(os.path.join(directory, name))
        if number is not None:
            return number
    return None


def carrier_number(directory: str) -> int | None:
    """Return the number of the job that carries the tag out, None before it has begun. Raises OSError."""
    return _link(os.path.join(directory, "job"))


def note_number(directory: str, number: int) -> None:
    """Note what SLURM answered; the first answer stays."""
    try:
        os.symlink(str(number), os.path.join(directory, "submitted"))
    except FileExistsError:
        pass


@contextmanager
def storage(directory: str) -> Generator[None]:
    """Turn what the storage does wrong inside into "could not be asked"."""
    try:
        yield
    except OSError as error:
        raise TransportUnavailableError(f"cannot look after the job in {directory}: {error}") from error


def _mark(directory: str) -> bool:
    """Say that the job is about to be handed in; False if that stood there already."""
    make_directory(directory)
    try:
        os.symlink(str(os.getpid()), os.path.join(directory, MARK))
    except FileExistsError:
        return False
    return True


def _send(script: str, directory: str, send: Callable[[str], int]) -> int:
    """Hand it in. What was refused is known not to be there, so nobody need look for it."""
    try:
        return send(script)
    except SubmissionRefusedError:
        os.unlink(os.path.join(directory, MARK))
        raise


def _link(path: str) -> int | None:
    try:
        value = os.readlink(path)
    except FileNotFoundError:
        return None
    return int(value) if value.isdecimal() else None
