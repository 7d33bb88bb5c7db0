"""Removes what nobody needs any more: directories of jobs that were reported long ago, heartbeats of workers long gone.

A run's directories go together, so that those that stay still count its submissions.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager

KEEP_SECONDS = 14 * 24 * 3600.0
HEARTBEAT_SECONDS = 24 * 3600.0


def tidy(jobs_directory: str, heartbeat: str) -> int:
    """Return how many directories were removed. Ages are by the storage's own clock: the one that moves `heartbeat`."""
    now = os.stat(heartbeat).st_mtime
    for path in _paths(os.path.dirname(heartbeat)):
        with _gone():
            if now - os.stat(path).st_mtime > HEARTBEAT_SECONDS:
                os.unlink(path)
    runs: dict[str, list[str]] = {}
    for path in _paths(jobs_directory):
        run_id, dot, number = os.path.basename(path).rpartition(".")
        if dot and number.isdecimal():
            runs.setdefault(run_id, []).append(path)
    removed = 0
    for directories in runs.values():
        if all(_is_old(directory, now) for directory in directories):
            for directory in directories:
                shutil.rmtree(directory, ignore_errors=True)
                removed += 1
    return removed


def _is_old(directory: str, now: float) -> bool:
    with _gone():
        return now - os.stat(os.path.join(directory, "reported")).st_mtime > KEEP_SECONDS
    return False


def _paths(directory: str) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.path for entry in entries]


@contextmanager
def _gone() -> Generator[None]:
    """What is not there (any more) is no reason to stop: another worker tidies too."""
    try:
        yield
    except FileNotFoundError:
        pass
