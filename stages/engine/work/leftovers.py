"""Leftovers: what a warm child still holds of an attempt that it says is over, seen from outside."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from typing import NamedTuple

from stages.engine.work.descendants import Children, children
from stages.engine.work.order import Order

_STATM_SIZE, _STATM_DATA = 0, 5
_STATM_BYTES_MAX = 256
_THREAD_END_SECONDS = 0.05  # join() returns a moment before the kernel has done away with the thread
_THREAD_LOOK_SECONDS = 0.001


class _Mapped(NamedTuple):
    """Pages mapped, in decimal, exactly counted by the kernel: all, and the private writable ones (heap and stack)."""

    size: bytes
    data: bytes


class Leftovers:
    """Inspects one child, made when its set-up is over: threads that it has by then are its own affair.

    `output` is the pipe for what it says in attempts, as /proc names it, which stays open as its `output_writer`.
    """

    def __init__(self, pid: int, *, output: str, output_writer: int) -> None:
        self._pid, self._output, self._output_writer = pid, output, str(output_writer)
        # Kept open: to find a file of /proc takes longer than to read it.
        self._tasks = os.open(f"/proc/{pid}/task", os.O_RDONLY | os.O_DIRECTORY)
        self._statm = os.open(f"/proc/{pid}/statm", os.O_RDONLY)
        self._children = Children(pid)
        self._threads_max = self._threads()
        self._clean = self._mapped()

    def close(self) -> None:
        os.close(self._tasks)
        os.close(self._statm)
        self._children.close()

    def found(self, order: Order, *, has_opened: bool) -> str | None:
        """Return why the child cannot stay after `order`, or None.

        Nothing below the attempt's directory and the input may be open any more. Unless it `has_opened` anything, the
        same descriptors are open as when this was last asked.
        """
        try:
            return self._processes() or (self._open(_paths(order)) if has_opened else None) or self._maps(order)
        except OSError as error:
            return f"it cannot be inspected ({error.strerror})"

    def _processes(self) -> str | None:
        threads = self._threads_left()
        if threads > self._threads_max:
            return f"{threads - self._threads_max} more threads than after setup(): start pools of threads there"
        if self._children.ids() if threads == 1 else children(self._pid, is_threaded=True):
            return "processes of its own: wait for them before returning"
        return None

    def _threads_left(self) -> int:
        threads = self._threads()
        if threads > self._threads_max:
            deadline = time.monotonic() + _THREAD_END_SECONDS
            while threads > self._threads_max and time.monotonic() < deadline:
                time.sleep(_THREAD_LOOK_SECONDS)
                threads = self._threads()
        return threads

    def _threads(self) -> int:
        return os.fstat(self._tasks).st_nlink - 2  # one directory a thread: cheaper than any other way to ask

    def _open(self, paths: tuple[str, ...]) -> str | None:
        if _is_below(os.readlink(f"/proc/{self._pid}/cwd"), paths):
            return "its working directory is the attempt's"
        is_heard = False
        for name in os.listdir(f"/proc/{self._pid}/fd"):
            target = os.readlink(f"/proc/{self._pid}/fd/{name}")
            if target == self._output and name != self._output_writer:
                return "a copy of its standard output is open"
            if _is_below(target, paths):
                return f"an open file: {target}"
            is_heard = is_heard or target == self._output
        return None if is_heard else "no way to its log: it closed a descriptor that is not its own"

    def _maps(self, order: Order) -> str | None:
        """Look for mapped files, unless as much is mapped as at the last look: the list takes longer than small work.

        A mapping that can reach its file raises `size` and not `data`. It goes unseen only if another one, shared or
        read-only and of the same size to the page, was given up in the same attempt.
        """
        mapped = self._mapped()
        if mapped == self._clean:
            return None
        escaped = tuple(path.replace("\n", "\\012") for path in _paths(order))
        with open(f"/proc/{self._pid}/maps", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                target = line.rstrip("\n").split(maxsplit=5)[5:]
                if target and _is_below(target[0], escaped):
                    return f"a file mapped to memory: {target[0]}"
        self._clean = mapped
        return None

    def _mapped(self) -> _Mapped:
        fields = os.pread(self._statm, _STATM_BYTES_MAX, 0).split()
        return _Mapped(fields[_STATM_SIZE], fields[_STATM_DATA])


def _paths(order: Order) -> tuple[str, ...]:
    """Return the directories below which nothing may stay open, as the kernel names them."""
    return _real(os.path.dirname(order.output)), _real(order.input)


def _real(path: str) -> str:
    """Return the path as the kernel names it, asking for the location above it once."""
    above, _, name = path.rpartition("/")
    return f"{_real_location(above)}/{name}"


@lru_cache(maxsize=16)
def _real_location(path: str) -> str:
    return os.path.realpath(path)


def _is_below(target: str, paths: tuple[str, ...]) -> bool:
    return any(target == path or target.startswith((f"{path}/", f"{path} (deleted)")) for path in paths)
