"""Processes of the stack: started so that they outlive the terminal, known by more than their number, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from infra.stack.record import Process

LOG_BYTES_MAX = 10_000_000  # a longer log is put aside, as .log.1, when its process is started the next time
LOOK_SECONDS = 0.05
GROUP_SECONDS = 5.0


def boot_id() -> str:
    """Return the kernel's name for this boot of this machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def started_ticks(pid: int) -> int | None:
    """Return when a process began, in clock ticks since boot; None if there is none, or only its corpse."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def is_alive(process: Process) -> bool:
    """Tell whether exactly this process lives."""
    return process.boot_id == boot_id() and started_ticks(process.pid) == process.started_ticks


def start(command: Sequence[str], *, environment: Mapping[str, str], directory: Path, log: Path) -> Process:
    """Start a process in a session of its own, its output appended to `log`.

    Its signals are as for a fresh login: who was started by `&` in a script has SIGINT ignored, and would hand that on;
    a Prefect worker ends by nothing else.
    """
    _put_aside(log)
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_reset_signals,  # noqa: PLW1509 - whoever starts the stack has one thread
        )
    ticks = started_ticks(child.pid)
    child.returncode = 0  # it is not ours to wait for: a Popen that is forgotten while it runs would warn
    return Process(pid=child.pid, started_ticks=ticks or 0, boot_id=boot_id())


def send(process: Process, number: signal.Signals) -> None:
    """Send a signal to a process if it still is the one."""
    if is_alive(process):
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def wait(ended: Sequence[Process], seconds: float) -> list[Process]:
    """Wait until these have ended, `seconds` at most; returns those that have not."""
    until = time.monotonic() + seconds
    while (left := [process for process in ended if not _has_ended(process)]) and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
    return left


def end_group(process: Process, seconds: float = GROUP_SECONDS) -> None:
    """End what a process that has ended left behind in its group: ask, and kill after `seconds`.

    While such a group lasts, the kernel gives its number to no other process.
    """
    if process.boot_id != boot_id() or started_ticks(process.pid) is not None:
        return
    until = time.monotonic() + seconds
    with suppress(ProcessLookupError, PermissionError):  # the group is no more, or nobody's of ours
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            os.killpg(process.pid, 0)
        os.killpg(process.pid, signal.SIGKILL)


def kill(process: Process) -> None:
    """Kill a process and what it left in its session's group, at once."""
    if is_alive(process):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _has_ended(process: Process) -> bool:
    with suppress(ChildProcessError):  # our own child, if this process started it: its corpse is taken away
        os.waitpid(process.pid, os.WNOHANG)
    return not is_alive(process)


def _reset_signals() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):  # those that the C library keeps for itself
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _put_aside(log: Path) -> None:
    with suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES_MAX:
            log.replace(log.with_suffix(".log.1"))
