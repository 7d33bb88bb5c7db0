"""Which process of which machine something belongs to, so that one found dead is not mistaken for another.

A process is `<host>:<boot id>:<pid namespace>:<pid>:<start ticks>`. Imports nothing: the launcher has to be quick.
"""

from __future__ import annotations

import os


def machine() -> str:
    """Return `<host>:<boot id>:<pid namespace>`: within it, and no further, a process id means something."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read().strip()
    return f"{os.uname().nodename}:{boot}:{os.readlink('/proc/self/ns/pid').strip('pid:[]')}"


def process(pid: int) -> str:
    """Return the name of a process of this machine that is there."""
    return f"{machine()}:{pid}:{start_ticks(pid)}"


def machine_of(process: str) -> str:
    return ":".join(process.split(":", 3)[:3])


def host_of(process: str) -> str:
    return process.split(":", 1)[0]


def pid_of(process: str) -> int:
    return int(process.split(":")[3])


def is_gone(process: str, here: str) -> bool:
    """Tell whether a process is known to have ended, seen from the machine `here`; other hosts' never are."""
    host, boot, namespace, pid, ticks = process.split(":")
    here_host, here_boot, here_namespace = here.split(":")
    if host != here_host:
        return False
    if boot != here_boot:
        return True
    return namespace == here_namespace and start_ticks(int(pid)) != int(ticks)


def start_ticks(pid: int) -> int | None:
    """Return when a process began, in clock ticks since boot; None if there is none, or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])
