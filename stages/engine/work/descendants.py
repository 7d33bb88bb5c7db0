"""Descendants: every process that came from this one, found and ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

CONTAIN_SECONDS = 10.0
_PAUSE_SECONDS_MAX = 0.02
_CHILDREN_BYTES_MAX = 1 << 16


class Descendants:
    """What the author's code leaves behind, wherever it hides.

    Holds for a subreaper (see `become_subreaper`): an orphan becomes our child, so killing children until there are
    none reaches all, those with a session of their own too. Children that exist when this is made are somebody else's:
    they are neither killed nor waited for. Not for a process with threads that start children meanwhile.
    """

    def __init__(self) -> None:
        self._ours = Children(os.getpid())
        self._spared = set(self._ours.ids())

    def spare(self, pid: int) -> None:
        """Never touch this child of ours."""
        self._spared.add(pid)

    def end(self, *, keep: Iterable[int] = ()) -> bool:
        """Kill and reap until only the spared and `keep` are left; False if CONTAIN_SECONDS were not enough.

        The exit status of what is killed is lost: ask a Popen for its own before.
        """
        kept = self._spared.union(keep)
        strays = self._strays(kept)
        if not strays:
            return True
        give_up, pause = time.monotonic() + CONTAIN_SECONDS, 0.0005
        while strays:
            for pid in strays:
                _kill(pid)
            for pid in strays:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            strays = self._strays(kept)
            if strays:
                if time.monotonic() > give_up:
                    return False
                time.sleep(pause)
                pause = min(2 * pause, _PAUSE_SECONDS_MAX)
        return True

    def _strays(self, kept: set[int]) -> list[int]:
        """Orphans come to the main thread, which is the one that starts children, too: one file tells."""
        return [pid for pid in self._ours.ids() if pid not in kept]

    def close(self) -> None:
        """Ask no more."""
        self._ours.close()


class Children:
    """The children of one process's main thread, for who asks often: what says so stays open between the questions."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._file: int | None = None

    def ids(self) -> list[int]:
        """Return what `children` does."""
        try:
            if self._file is None:
                self._file = os.open(f"/proc/{self._pid}/task/{self._pid}/children", os.O_RDONLY)
            return [*map(int, os.pread(self._file, _CHILDREN_BYTES_MAX, 0).split())]
        except (FileNotFoundError, ProcessLookupError):
            return children(self._pid)

    def close(self) -> None:
        """Let go of it, until it is asked again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def children(pid: int, *, is_threaded: bool = False) -> list[int]:
    """Return the ids of a process's children, the dead that nobody waited for included; none for a dead process.

    They belong to the thread that started them: unless `is_threaded`, only the main thread is asked.
    """
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task") if is_threaded else [str(pid)]:
            found += map(int, read(f"/proc/{pid}/task/{thread}/children").split())
    except FileNotFoundError:  # the process is gone, or its kernel was built without CONFIG_PROC_CHILDREN
        return children_by_scan(pid) if os.path.exists(f"/proc/{pid}") else []
    except ProcessLookupError:
        return []
    return found


def read(path: str) -> bytes:
    """Return a file of /proc that is smaller than 64 KiB, in one read."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)


def children_by_scan(pid: int) -> list[int]:
    """Return the same for a kernel that keeps no list of children."""
    found: list[int] = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError):
                # pid (command) state parent ...; the command may hold anything, parentheses too
                if int(read(f"/proc/{name}/stat").rpartition(b")")[2].split()[1]) == pid:
                    found.append(int(name))
    return found


def _kill(pid: int) -> None:
    """Kill a process and, at one stroke, the group that it leads."""
    with suppress(OSError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)
