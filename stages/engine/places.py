"""The places in which probes take place: directories that nobody takes for anything else, and that go again."""

from __future__ import annotations

import secrets

from stages.engine.fs import FileSystem

PREFIX = ".probe."  # no poller takes such a name for a dataset, no sweeper for an attempt
LEFT_SECONDS = 300.0  # a place in which nothing was done for so long is nobody's any more
MEETING = "meeting"  # in a place for two: where they wait for each other


def new_place(directory: str) -> str:
    """Return where a probe may take place: it is not made yet."""
    return f"{directory}/{PREFIX}{secrets.token_hex(4)}"


def remove_leftovers(fs: FileSystem, root: str) -> list[str]:
    """Remove what killed probes have left at the top of a root; returns the names. One clock is asked, the server's."""
    left = [name for name in fs.listdir(root) if name.startswith(PREFIX)]
    if not left:
        return []
    fs.mkdir(fresh := new_place(root))
    now_ns = fs.mtime_ns(fresh)
    fs.rmdir(fresh)
    old = [name for name in left if now_ns - _last_change_ns(fs, f"{root}/{name}", now_ns) > LEFT_SECONDS * 1e9]
    return [name for name in old if fs.remove_tree(f"{root}/{name}")]


def _last_change_ns(fs: FileSystem, place: str, now_ns: int) -> int:
    """Both sides ring at their meetings; a place that is just going away is as good as new."""
    times: list[int] = []
    for path in (place, f"{place}/{MEETING}"):
        try:
            times.append(fs.mtime_ns(path))
        except (FileNotFoundError, NotADirectoryError):
            continue
    return max(times, default=now_ns)
