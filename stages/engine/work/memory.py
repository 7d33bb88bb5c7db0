"""Memory: how often the kernel's OOM killer struck in this cgroup."""

from __future__ import annotations

from functools import cache

from stages.engine.work.descendants import read

_PROC = "/proc/self/cgroup"
_CGROUPS = "/sys/fs/cgroup"


def oom_kills() -> int | None:
    """Return the count so far, or None where it cannot be read."""
    path = _counter()
    try:
        return None if path is None else parse_oom_kills(read(path).decode())
    except OSError:
        return None


def counter_paths(memberships: str) -> list[str]:
    """Return where the counter may stand, best first, from what /proc/self/cgroup says (cgroups(7))."""
    v1: list[str] = []
    v2: list[str] = []
    for line in memberships.splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            v1.append(f"{_CGROUPS}/memory{path.rstrip('/')}/memory.oom_control")
        elif not controllers:
            v2.append(f"{_CGROUPS}{path.rstrip('/')}/memory.events")
    in_a_container = [f"{_CGROUPS}/memory/memory.oom_control", f"{_CGROUPS}/memory.events"]
    return v1 + v2 + in_a_container


def parse_oom_kills(counters: str) -> int | None:
    """Return `oom_kill` from memory.events (v2) or memory.oom_control (v1)."""
    for line in counters.splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill" and value.isdecimal():
            return int(value)
    return None


@cache
def _counter() -> str | None:
    try:
        candidates = counter_paths(read(_PROC).decode())
    except (OSError, ValueError):
        return None
    for path in candidates:
        try:
            if parse_oom_kills(read(path).decode()) is not None:
                return path
        except OSError:
            continue
    return None
