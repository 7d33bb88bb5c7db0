"""Launcher: carries one local job from its claim to its result, and outlives the worker that started it.

It is the job's slurmd: waits for a slot, runs the script in a process group of its own, keeps its time limit, ends it
when it is cancelled, sweeps up what it leaves, and writes `result`. Started by `infra.slurm.local` only, one per job,
so it imports little: a start costs 30 ms.

In the job's directory it makes two create-only symlinks: `launcher`, which process it is (one directory, one launcher,
for ever), and `began`, once it holds a slot. `cancelled` is other people's, and may come from another host. Removing
the directory cancels the job as well.

What is promised when the launcher itself is killed: its guard, the first process of the job's group, kills the whole
group at once, with no grace, and gives the slot back only then. A process that has left the group is beyond the guard;
with the launcher alive it is not, as the launcher inherits all orphans of the job (PR_SET_CHILD_SUBREAPER).
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable

from infra.slurm.machine import process
from infra.slurm.slots import take_slot

_SLOT_SECONDS = 0.1  # between two tries to get a slot
_WATCH_SECONDS = 2.0  # between two looks for a cancellation that no signal came with, from another host
_SWEEP_SECONDS = 10.0  # for what cannot be killed, waiting for a disk
_STORAGE_SECONDS = 3600.0  # how long a result is kept for a storage that is away
_SIGNALLED = 128  # a shell's exit code for signal n is 128 + n
_SIGNAL_MAX = 64
_PR_SET_CHILD_SUBREAPER = 36
_BLOCKED = {
    signal.SIGTERM,
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
}
_RESET = {*_BLOCKED, signal.SIGPIPE, signal.SIGXFSZ}


def main() -> None:
    """Claim the directory, then close stdout, which whoever started this waits for, and go on alone.

    Has to be started in a session of its own, with stderr going to the job's output.
    """
    directory, limit, warning, grace, slots, slots_name = sys.argv[1:]
    if os.fork():
        os._exit(0)  # the launcher is nobody's child: no worker has to reap it
    signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if not _register(directory, "launcher", process(os.getpid())):
        return
    os.dup2(2, 1)
    launcher = Launcher(directory, limit_seconds=int(limit), warning_seconds=int(warning), grace_seconds=int(grace))
    launcher.carry(int(slots), slots_name)


class Launcher:
    """One job. `limit_seconds` 0: none."""

    def __init__(self, directory: str, *, limit_seconds: int, warning_seconds: int, grace_seconds: int) -> None:
        self._directory = directory
        self._limit_seconds, self._warning_seconds, self._grace_seconds = limit_seconds, warning_seconds, grace_seconds
        self._is_cancelled = False
        self._next_watch = 0.0

    def carry(self, slots: int, slots_name: str) -> None:
        slot = self._wait_for_slot(slots, slots_name)
        if slot is None:
            self._end(state="CANCELLED", reason="cancelled while it waited", code=None, started=None)
            return
        started = time.time()
        self._insist(lambda: _register(self._directory, "began", str(started)), slot)
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        group = _start_guard()
        try:
            code, stopped = self._attend(_start_script(f"{self._directory}/script", group), group)
        finally:
            _sweep(group)
        reason = {"": "", "CANCELLED": "cancelled", "TIMEOUT": f"time limit of {self._limit_seconds} s"}[stopped]
        self._end(state=stopped, reason=reason, code=code, started=started, slot=slot)

    def _wait_for_slot(self, slots: int, name: str) -> socket.socket | None:
        """Return the slot, None if the job was cancelled."""
        while not self._was_cancelled():
            slot = take_slot(name, slots)
            if slot is not None:
                return slot
            self._wait(_SLOT_SECONDS)
        return None

    def _attend(self, script: int, group: int) -> tuple[int, str]:
        """Return the script's exit code, minus n for signal n, and why it was ended, "" if it was not."""
        begun, stopped, kill_at = time.monotonic(), "", math.inf
        limit_at = begun + (self._limit_seconds or math.inf)
        warn_at = limit_at - self._warning_seconds
        while (code := _reaped(script)) is None:
            now = time.monotonic()
            if not stopped and (now >= limit_at or self._was_cancelled()):
                stopped = "CANCELLED" if self._was_cancelled() else "TIMEOUT"
                _say(f"{stopped}: sent SIGTERM; in {self._grace_seconds} s SIGKILL")
                os.kill(script, signal.SIGTERM)  # passes it on: each process that is told to end is told once
                os.killpg(group, signal.SIGCONT)
                warn_at, limit_at, kill_at = math.inf, math.inf, now + self._grace_seconds
            if now >= warn_at:
                _say(f"sent SIGUSR1: {self._warning_seconds} s to the time limit")
                os.kill(script, signal.SIGUSR1)
                warn_at = math.inf
            if now >= kill_at:
                os.killpg(group, signal.SIGKILL)
                kill_at = math.inf
            self._wait(min(warn_at, limit_at, kill_at) - now)
        return code, stopped

    def _was_cancelled(self) -> bool:
        if not self._is_cancelled and time.monotonic() >= self._next_watch:
            self._is_cancelled = os.path.lexists(f"{self._directory}/cancelled") or self._is_removed()
            self._next_watch = time.monotonic() + _WATCH_SECONDS
        return self._is_cancelled

    def _is_removed(self) -> bool:
        """Tell whether somebody has removed the job's directory: it is missing from one that is there."""
        parent, name = os.path.split(self._directory)
        try:
            handle = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return False
        try:
            os.readlink(f"{name}/launcher", dir_fd=handle)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        finally:
            os.close(handle)
        return False

    def _wait(self, seconds: float) -> None:
        """Sleep until then, or until a child ends, a cancellation comes or may have come."""
        came = signal.sigtimedwait({signal.SIGTERM, signal.SIGCHLD}, max(0.0, min(seconds, _WATCH_SECONDS)))
        if came is not None and came.si_signo == signal.SIGTERM:
            self._is_cancelled = True

    def _end(
        self, *, state: str, reason: str, code: int | None, started: float | None, slot: socket.socket | None = None
    ) -> None:
        number = _signal(code)
        result = {
            "state": state or ("FAILED" if code else "COMPLETED"),
            "reason": reason,
            "exit_code": code if number is None else None,
            "signal": number,
            "restarts": 0,
            "started": started,
            "ended": time.time(),
            "node": os.uname().nodename,
        }
        self._insist(lambda: _write(f"{self._directory}/result", json.dumps(result) + "\n"), slot)

    def _insist(self, action: Callable[[], object], slot: socket.socket | None) -> None:
        """Do it as soon as the storage lets us, holding no slot meanwhile."""
        give_up_at = time.monotonic() + _STORAGE_SECONDS
        while True:
            try:
                action()
            except OSError:
                if time.monotonic() > give_up_at or self._is_removed():
                    raise
                if slot is not None:
                    slot.close()
                self._wait(1.0)
            else:
                return


def _register(directory: str, name: str, value: str) -> bool:
    """Make the create-only symlink; False if it has another value already. A lost answer is asked for."""
    path = f"{directory}/{name}"
    try:
        os.symlink(value, path)
    except FileExistsError:
        return os.readlink(path) == value
    return True


def _write(path: str, text: str) -> None:
    """Write a file whole, or not at all."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)


def _start_guard() -> int:
    """Fork the process that is the first of the job's group, and kills the group when the launcher is gone.

    While it is there, the group's number is nobody else's. Like the launcher it is deaf to TERM.
    """
    reader, writer = os.pipe()  # the writer stays open as long as the launcher lives, and only in it
    guard = os.fork()
    if guard == 0:
        try:
            os.setpgid(0, 0)
            os.close(writer)
            os.read(reader, 1)
        finally:
            os.killpg(0, signal.SIGKILL)
    os.setpgid(guard, guard)
    os.close(reader)
    return guard


def _start_script(path: str, group: int) -> int:
    return os.posix_spawn(
        "/bin/bash",
        ["/bin/bash", path],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)],
        setpgroup=group,
        setsigmask=(),
        setsigdef=_RESET,
    )


def _reaped(script: int) -> int | None:
    """Reap whatever has ended; return the script's exit code if it was among it."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == script:
            code = os.waitstatus_to_exitcode(status)


def _signal(code: int | None) -> int | None:
    """Return the number of the signal that an exit code tells of."""
    if code is None or 0 <= code <= _SIGNALLED or code > _SIGNALLED + _SIGNAL_MAX:
        return None
    return -code if code < 0 else code - _SIGNALLED


def _sweep(group: int) -> None:
    """Kill the group with its guard, then every orphan that the job has left to us, and theirs."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it was killed at the end of its grace
    ends = time.monotonic() + _SWEEP_SECONDS
    while children := _children():
        for child in children:
            os.kill(child, signal.SIGKILL)
        signal.sigtimedwait({signal.SIGCHLD}, 0.1)
        _reaped(0)
        if time.monotonic() > ends:
            _say(f"these processes of it cannot be killed: {' '.join(map(str, children))}")
            return


def _children() -> list[int]:
    """Return our children, orphans of the job among them; none on a kernel that does not list them."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]
    except FileNotFoundError:
        return []


def _say(what: str) -> None:
    """Tell it where the job's own output is."""
    try:
        os.write(2, f"phaseline: {what}\n".encode())
    except OSError:
        return  # the disk is full, or away: no reason to let the job go
