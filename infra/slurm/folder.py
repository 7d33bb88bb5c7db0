"""A job's directory, and the worker's own files in it: how much of its output was sent, that its end was reported.

`<jobs directory>/<run id>.<k>/` is one submission. `sent` and `reported` are written by the worker that follows it, the
rest by whoever carries the job.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import cast

from infra.slurm.joblog import CHUNK_BYTES, Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Up to where the output is in the log for sure. `sending_at_us`: a call was begun then, its answer is open."""

    position: Position = field(default_factory=Position)
    sending_at_us: int | None = None


def output_path(directory: str) -> str:
    return os.path.join(directory, "output")


def open_tag(jobs_directory: str, run_id: str, run_count: int) -> str | None:
    """Return the tag of the run's submission whose end was not reported, None without any.

    A run that is Running was counted since it was handed in; what is below that may have been removed.
    """
    for number, tag in enumerate(_tags(run_id, max(0, run_count - 1)), max(0, run_count - 1)):
        directory = os.path.join(jobs_directory, tag)
        if not os.path.isdir(directory):
            if number >= run_count:
                return None
            continue
        if not os.path.lexists(os.path.join(directory, "reported")):
            return tag
    return None


def new_tag(jobs_directory: str, run_id: str, run_count: int) -> str:
    """Return the tag to submit with, and make its directory: the one that was begun and not reported, or the next.

    A run that is cancelled while it waits keeps its run count, so that a number may be taken.
    """
    for tag in _tags(run_id, run_count):
        directory = os.path.join(jobs_directory, tag)
        if not os.path.lexists(os.path.join(directory, "reported")):
            os.makedirs(directory, exist_ok=True)
            return tag
    raise AssertionError("there is no last number")


def mark_reported(directory: str, words: str) -> None:
    """Note that nothing is left to do for this submission."""
    _replace(os.path.join(directory, "reported"), f"{words}\n")


def read_sent(directory: str) -> Sent:
    """Return what was sent; from the beginning where nothing readable says more."""
    try:
        with open(os.path.join(directory, "sent"), encoding="utf-8") as file:
            said = cast("dict[str, int | None]", json.load(file))
        return Sent(
            position=Position(offset=said["offset"] or 0, lines=said["lines"] or 0, last_us=said["last_us"] or 0),
            sending_at_us=said["sending_at_us"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Sent()


def write_sent(directory: str, sent: Sent) -> None:
    _replace(
        os.path.join(directory, "sent"), json.dumps({**asdict(sent.position), "sending_at_us": sent.sending_at_us})
    )


def read_output(directory: str, offset: int) -> tuple[bytes, bool]:
    """Return what stands in the output from `offset` on, a chunk at most, and whether it reaches its end.

    Output that is not there or may not be read has ended; what fails otherwise may be readable later.
    """
    try:
        with open(output_path(directory), "rb") as file:
            file.seek(offset)
            chunk = file.read(CHUNK_BYTES)
            return chunk, not file.read(1)
    except (FileNotFoundError, PermissionError):
        return b"", True
    except OSError:
        return b"", False


def write_private(path: str, content: bytes) -> None:
    """Write a file whole, or not at all; the job's environment may hold secrets, so it is its owner's only."""
    temporary = f"{path}.{os.urandom(4).hex()}.new"  # another worker may be at it
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    os.replace(temporary, path)


def make_directory(directory: str) -> None:
    """Make a job's directory, and the one that holds all jobs; never what that is in, which may be a missing mount."""
    for path in (os.path.dirname(directory), directory):
        try:
            os.mkdir(path)
        except FileExistsError:
            pass


def _tags(run_id: str, first: int) -> list[str]:
    return [f"{run_id}.{number}" for number in range(first, first + 1000)]


def _replace(path: str, text: str) -> None:
    """Write a file whole or not at all."""
    temporary = f"{path}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
