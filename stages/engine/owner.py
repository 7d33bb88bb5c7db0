"""Is the owner of an attempt still there? Leases decide about wasted work, never about safety."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from stages.engine import names
from stages.engine.fs import FileSystem
from stages.engine.identity import Process, is_gone
from stages.engine.manifest import Json
from stages.engine.policy import Cause
from stages.engine.records import Taken, is_earlier_start
from stages.engine.sightings import Freshness, Lease, Sightings


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """An owner that is gone: what that costs the dataset, and how it is known."""

    cause: Cause
    why: str


class Owners:
    """Judges the owners of a stage's attempts, from this host.

    `job` is the one that this process runs in: its earlier starts have ended, or it would not have been requeued.
    `job_ended` is told a job (`123.0`) and answers whether the batch system says that it has ended, in a word if the
    cluster took it away, or None if it could not be asked. Like a process found dead these only shorten the wait.
    """

    def __init__(
        self,
        *,
        fs: FileSystem,
        lease: Lease,
        here: Process | None,
        job: str = "-",
        job_ended: Callable[[str], bool | str | None] | None = None,
    ) -> None:
        self._fs, self._lease, self._here = fs, lease, here
        self._job, self._job_ended = job, job_ended

    def silence(
        self, sightings: Sightings, attempt: names.Attempt, private: str, owner: Taken, monotonic: Callable[[], float]
    ) -> Silence | Freshness:
        """Say why an owner is taken to be gone, or how fresh it looks; `monotonic` reads the observer's clock."""
        asked = monotonic()
        heartbeat_ns, found = self._look(private)
        freshness = sightings.judge(attempt.directory, heartbeat_ns, asked, self._lease, answered=monotonic())
        whose = f"{owner.host} pid {owner.pid}"
        if names.STORAGE_NOTE in found:
            return Silence(cause=Cause.CLUSTER, why=f"lost: the storage failed on {whose}")
        if is_earlier_start(owner.job, self._job):
            return Silence(cause=Cause.CLUSTER, why=f"lost: its job {owner.job} on {owner.host} was requeued")
        ended = self._job_ended(owner.job) if owner.job != "-" and self._job_ended is not None else None
        if isinstance(ended, str):
            return Silence(cause=Cause.CLUSTER, why=f"lost: its job {owner.job} on {owner.host} was {ended}")
        if self._process_is_gone(private, found):
            return Silence(cause=Cause.LOST, why=f"lost: its poller ({whose}) is gone")
        if ended:
            return Silence(cause=Cause.LOST, why=f"lost: its job {owner.job} on {owner.host} has ended")
        if freshness is Freshness.STALE:
            silent = f"{self._lease.expires_seconds:.0f} s"
            return Silence(cause=Cause.LOST, why=f"lost: {whose} was silent for more than {silent}")
        return freshness

    def _look(self, private: str) -> tuple[int | None, list[str]]:
        try:
            return self._fs.mtime_ns(private), self._fs.listdir(private)
        except FileNotFoundError:
            return None, []

    def _process_is_gone(self, private: str, found: list[str]) -> bool:
        if self._here is None or names.ATTEMPT not in found:
            return False
        try:
            process = read_process(self._fs.readlink(f"{private}/{names.ATTEMPT}"))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINVAL):  # gone since, or no link: not what we write
                return False
            raise
        return process is not None and is_gone(process, self._here)


def read_process(described: str) -> Process | None:
    """Return which process made an attempt.json; None if it does not say."""
    try:
        facts = cast("dict[str, Json]", json.loads(described))["process"]
        if not isinstance(facts, dict):
            return None
        return Process(
            boot_id=str(facts["boot_id"]),
            pid_namespace=str(facts["pid_namespace"]),
            pid=int(str(facts["pid"])),
            started_ticks=int(str(facts["started_ticks"])),
        )
    except (ValueError, KeyError, TypeError):
        return None
