"""Which worker follows a job: create-only symlinks `followed.<k>` in the job's directory; the highest k follows.

Another worker takes a job over only from one that is known gone, or that is silent: its heartbeat file in
`<jobs directory>/_workers` has not moved for SILENT_SECONDS of the observer's own clock.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from infra.slurm.machine import start_ticks

SILENT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One worker process: `<host>:<boot id>:<pid>:<start ticks>:<worker name>`."""

    host: str
    boot: str
    pid: int
    ticks: int
    name: str

    def __str__(self) -> str:
        return f"{self.host}:{self.boot}:{self.pid}:{self.ticks}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return None for what no worker has written."""
        try:
            host, boot, pid, ticks, name = text.split(":", 4)
            return cls(host=host, boot=boot, pid=int(pid), ticks=int(ticks), name=name)
        except ValueError:
            return None

    @classmethod
    def mine(cls, name: str) -> Self:
        """Return this process's. Process ids mean something within one boot and one namespace of them only."""
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        space = os.readlink("/proc/self/ns/pid").strip("pid:[]")
        ticks = start_ticks(os.getpid())
        return cls(
            host=socket.gethostname(),
            boot=f"{boot}.{space}",
            pid=os.getpid(),
            ticks=-1 if ticks is None else ticks,
            name=name,
        )

    @property
    def heartbeat_name(self) -> str:
        return f"{self.host}.{self.boot[:8]}.{self.pid}.{self.ticks}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who follows a job by its register: the k of the highest name, and its value."""

    number: int
    text: str


@dataclass(slots=True, kw_only=True)
class Silence:
    """What an observer has seen of other workers' heartbeat files, and when it first saw it so (monotonic seconds)."""

    seen: dict[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]])

    def is_silent(self, path: str, now: float) -> bool:
        try:
            stamp = os.stat(path).st_mtime_ns
        except OSError:
            stamp = 0
        known = self.seen.get(path)
        if known is None or known[0] != stamp:
            self.seen[path] = (stamp, now)
            return False
        return now - known[1] >= SILENT_SECONDS


def may_take(
    holder: Identity | None,
    me: Identity,
    *,
    same_name_is_me: bool,
    ticks_of: Callable[[int], int | None],
    is_silent: Callable[[], bool],
) -> bool:
    """Decide whether `me` takes a job over from `holder`. One's own may be taken up again.

    A worker that was started again on another host, by the same name, need not wait; but two that share a name by
    mistake must not take from each other for ever: `same_name_is_me` is False for a job that was lost once.
    """
    if holder is None or holder == me:
        return True
    if holder.boot == me.boot:
        return ticks_of(holder.pid) != holder.ticks
    return (same_name_is_me and holder.name == me.name) or is_silent()


def holder_of(directory: str) -> Holder | None:
    """Return who follows the job in `directory`, None for nobody."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return None
    numbers = [int(name[9:]) for name in names if name.startswith("followed.") and name[9:].isdecimal()]
    if not numbers:
        return None
    try:
        return Holder(number=max(numbers), text=os.readlink(os.path.join(directory, f"followed.{max(numbers)}")))
    except OSError:
        return Holder(number=max(numbers), text="")


def take(directory: str, me: Identity, number: int) -> bool:
    """Enter `me` as the one who follows; False if somebody else was first. A lost answer is asked for."""
    path = os.path.join(directory, f"followed.{number}")
    try:
        os.symlink(str(me), path)
    except FileExistsError:
        return _value(path) == str(me)
    return True


def still_mine(directory: str, number: int) -> bool:
    """True while nobody has entered a higher number."""
    return not os.path.lexists(os.path.join(directory, f"followed.{number + 1}"))


def heartbeat_path(jobs_directory: str, who: Identity) -> str:
    return os.path.join(jobs_directory, "_workers", who.heartbeat_name)


def beat(jobs_directory: str, me: Identity) -> None:
    """Let the others see that this worker lives."""
    path = heartbeat_path(jobs_directory, me)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a", encoding="utf-8"):
        os.utime(path)


def end_heartbeat(jobs_directory: str, me: Identity) -> None:
    """Leave nothing behind; the register says who has followed."""
    try:
        os.unlink(heartbeat_path(jobs_directory, me))
    except OSError:
        pass


def _value(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
