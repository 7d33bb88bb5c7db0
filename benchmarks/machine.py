"""Machine: what was measured on, as far as a reader has to know, without naming it."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from benchmarks.place import CHECKOUT, Place
from stages.engine.mounts import mount_of
from stages.engine.posix import Posix


def facts(place: Place) -> dict[str, str | int | float]:
    """Return the machine's facts; `load` is of the minute before."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "memory_file_system": _file_system(place.memory),
        "disk_file_system": _file_system(place.disk),
        "load": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """Return the commit that is measured, with `+` where the checkout differs from it; empty outside of a clone."""
    git = ["git", "-C", str(CHECKOUT)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", "stages", "benchmarks"], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.strip() + ("+" if changed.stdout else "")


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(path: str) -> str:
    mount = mount_of(Posix(), path)
    return "unknown" if mount is None else mount.kind
