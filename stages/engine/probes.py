"""What the protocol needs of a file system, tried out one thing at a time."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from stages.engine.clock import Clock
from stages.engine.fs import FileSystem

TICKS = 100  # looks at an mtime that should move
TICK_SECONDS = 0.03  # longer than a tick of most servers' clocks; in all, longer than a second
SKEW_SECONDS = 5.0
SYMLINK_BYTES = 1000  # registers have 200 at most, an attempt.json less than this


class Verdict(StrEnum):
    """What a probe found."""

    OK = "ok"
    NOTE = "note"  # it works, and somebody should know
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One probe's answer. `todo` says what to do about a refusal."""

    probe: str
    verdict: Verdict = Verdict.OK
    detail: str = ""
    todo: str = ""

    @property
    def line(self) -> str:
        """For people: what was found, and what to do about it."""
        more = "; ".join(part for part in (self.detail, self.todo) if part)
        return f"{self.verdict:<8} {self.probe}" + (f": {more}" if more else "")


class RefusedError(Exception):
    """The file system does not do what the protocol needs."""


Probe = Callable[[FileSystem, Clock, str], str]


def exclusive_symlink(fs: FileSystem, clock: Clock, place: str) -> str:
    """A register can be put once, whole, and its value is read back as it was."""
    del clock
    name, value = f"{place}/register", "v" * SYMLINK_BYTES
    fs.symlink(value, name)
    try:
        fs.symlink("other", name)
    except FileExistsError:
        pass
    else:
        raise RefusedError("a second symlink of one name was not refused")
    if fs.readlink(name) != value:
        raise RefusedError("a symlink's target is not what was written")
    return ""


def refused_replacement(fs: FileSystem, clock: Clock, place: str) -> str:
    """A rename onto a directory that is not empty is refused, and changes nothing."""
    del clock
    for name in ("mover", "full"):
        fs.mkdir(f"{place}/{name}")
        fs.symlink("value", f"{place}/{name}/entry")
    try:
        fs.rename(f"{place}/mover", f"{place}/full")
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return ""
        raise
    raise RefusedError("a rename onto a directory that is not empty was carried out")


def handle_follows_rename(fs: FileSystem, clock: Clock, place: str) -> str:
    """What is written through an open directory lands in that directory, wherever it was moved."""
    del clock
    fs.mkdir(f"{place}/before")
    handle = fs.opendir(f"{place}/before")
    try:
        fs.rename(f"{place}/before", f"{place}/after")
        fs.mkdir(f"{place}/before")
        fs.symlink("value", "register", handle)
        if "register" not in fs.listdir(f"{place}/after"):
            raise RefusedError("an open directory does not stay with the directory that was moved")
    finally:
        fs.close(handle)
    return ""


def heartbeat(fs: FileSystem, clock: Clock, place: str) -> str:
    """`utime` moves a directory's mtime; says how far the file server's clock is from ours."""
    if not _moves(fs, clock, place, lambda _: fs.touch(place)):
        raise RefusedError("`utime` does not move a directory's mtime: heartbeats would not be seen")
    skew_seconds = fs.mtime_ns(place) / 1e9 - clock.now()
    if abs(skew_seconds) > SKEW_SECONDS:
        return f"the file server's clock is {skew_seconds:+.0f} s from this host's: ages are shown off by that"
    return ""


def moving_mtime(fs: FileSystem, clock: Clock, place: str) -> str:
    """A directory's mtime moves when a name is added: how pollers notice new datasets."""
    if not _moves(fs, clock, place, lambda turn: fs.symlink("value", f"{place}/entry{turn}")):
        raise RefusedError("a directory's mtime does not move when names are added: new datasets would not be seen")
    return ""


def _moves(fs: FileSystem, clock: Clock, place: str, change: Callable[[int], None]) -> bool:
    before = fs.mtime_ns(place)
    for turn in range(TICKS):
        change(turn)
        if fs.mtime_ns(place) != before:
            return True
        clock.sleep(TICK_SECONDS)
    return False


ALL: dict[str, Probe] = {
    "exclusive symlink": exclusive_symlink,
    "rename onto a non-empty directory refused": refused_replacement,
    "handles follow a rename": handle_follows_rename,
    "utime": heartbeat,
    "an mtime that moves": moving_mtime,
}
