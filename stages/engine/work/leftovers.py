"""Leftovers: what a warm child still holds of an attempt that it says is over, seen from outside."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from stages.engine.work.descendants import children, read

_STATM_SIZE, _STATM_DATA = 0, 5
_THREAD_END_SECONDS = 0.05  # join() returns a moment before the kernel has done away with the thread
_THREAD_LOOK_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class _Mapped:
    """Pages mapped, exactly counted by the kernel: all, and the private writable ones (heap and stack)."""

    size: int
    data: int


class Leftovers:
    """Inspects one child, made when its set-up is over: threads that it has by then are its own affair."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._threads_max = _threads(pid)
        self._clean = _mapped(pid)

    def found(self, paths: tuple[str, ...], output: str | None) -> str | None:
        """Return why the child cannot stay, or None.

        `paths`: directories below which nothing may be open any more, as the kernel names them; `output`: the attempt's
        pipe, as /proc names it, or None if the same descriptors are open as when this was last asked.
        """
        try:
            return self._processes() or (output and self._open(paths, output)) or self._maps(paths)
        except OSError as error:
            return f"it cannot be inspected ({error.strerror})"

    def _processes(self) -> str | None:
        threads = self._threads_left()
        if threads > self._threads_max:
            return f"{threads - self._threads_max} more threads than after setup(): start pools of threads there"
        if children(self._pid, is_threaded=threads > 1):
            return "processes of its own: wait for them before returning"
        return None

    def _threads_left(self) -> int:
        threads, deadline = _threads(self._pid), time.monotonic() + _THREAD_END_SECONDS
        while threads > self._threads_max and time.monotonic() < deadline:
            time.sleep(_THREAD_LOOK_SECONDS)
            threads = _threads(self._pid)
        return threads

    def _open(self, paths: tuple[str, ...], output: str) -> str | None:
        if _is_below(os.readlink(f"/proc/{self._pid}/cwd"), paths):
            return "its working directory is the attempt's"
        for name in os.listdir(f"/proc/{self._pid}/fd"):
            target = os.readlink(f"/proc/{self._pid}/fd/{name}")
            if target == output:
                return "a copy of its standard output is open"
            if _is_below(target, paths):
                return f"an open file: {target}"
        return None

    def _maps(self, paths: tuple[str, ...]) -> str | None:
        """Look for mapped files, unless as much is mapped as at the last look: the list takes longer than small work.

        A mapping that can reach its file raises `size` and not `data`. It goes unseen only if another one, shared or
        read-only and of the same size to the page, was given up in the same attempt.
        """
        mapped = _mapped(self._pid)
        if mapped == self._clean:
            return None
        escaped = tuple(path.replace("\n", "\\012") for path in paths)
        with open(f"/proc/{self._pid}/maps", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                target = line.rstrip("\n").split(maxsplit=5)[5:]
                if target and _is_below(target[0], escaped):
                    return f"a file mapped to memory: {target[0]}"
        self._clean = mapped
        return None


def _threads(pid: int) -> int:
    return os.stat(f"/proc/{pid}/task").st_nlink - 2  # one directory a thread: cheaper than any other way to ask


def _mapped(pid: int) -> _Mapped:
    fields = read(f"/proc/{pid}/statm").split()
    return _Mapped(int(fields[_STATM_SIZE]), int(fields[_STATM_DATA]))


def _is_below(target: str, paths: tuple[str, ...]) -> bool:
    return any(target == path or target.startswith((f"{path}/", f"{path} (deleted)")) for path in paths)
