"""Who this process is: what stands in `taken` registers and in attempt.json."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stages.engine.records import Taken

HOST_LABEL_MAX = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process, so that one found dead is not mistaken for another that got its number."""

    boot_id: str
    pid_namespace: str
    pid: int
    started_ticks: int  # field 22 of /proc/<pid>/stat, in clock ticks since boot


class Identity:
    """This process as an owner of attempts."""

    def __init__(self, *, host: str, process: Process, job: str = "-", array_task: str = "") -> None:
        self.host, self.process, self.job, self.array_task = host, process, job, array_task
        label = re.sub(r"[^A-Za-z0-9-]", "-", host.split(".", 1)[0])[:HOST_LABEL_MAX]
        self._tail = Taken(token="", host=label or "-", pid=process.pid, job=job).value

    def token(self) -> str:
        """Return a new name for an attempt: 8 hex digits."""
        return os.urandom(4).hex()

    def claims(self, token: str) -> str:
        """Return the value of the `taken` register of an attempt of ours."""
        return token + self._tail


def current(environment: Mapping[str, str] = os.environ) -> Identity:
    """Return the identity of this process; SLURM's environment says in which job it runs."""
    job = environment.get("SLURM_JOB_ID", "")
    restart = environment.get("SLURM_RESTART_COUNT", "0")
    return Identity(
        host=socket.gethostname(),
        process=Process(
            boot_id=boot_id(),
            pid_namespace=_pid_namespace(),
            pid=os.getpid(),
            started_ticks=started_ticks(os.getpid()) or 0,
        ),
        job=f"{job}.{restart}" if job else "-",
        array_task=environment.get("SLURM_ARRAY_TASK_ID", ""),
    )


def boot_id() -> str:
    """Return the kernel's name for this boot of this host."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def started_ticks(pid: int) -> int | None:
    """Return when a process of this host began, in clock ticks since boot; None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(text.rpartition(")")[2].split()[19])


def is_gone(process: Process, here: Process) -> bool:
    """Tell whether `process` is known to have ended: only said of this boot and this namespace."""
    if (process.boot_id, process.pid_namespace) != (here.boot_id, here.pid_namespace):
        return False
    return started_ticks(process.pid) != process.started_ticks


def _pid_namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink())
