"""The root's storage as a node sees it, beside what is seen here: pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from infra.site.finding import Finding, fault, ok, warning

_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs", "ramfs"})
_SHOWN = frozenset({"vers", "hard", "soft", "softerr", "nocto", "noac", "actimeo", "acregmax", "acdirmax"})
_SHOWN_TOO = frozenset({"lookupcache", "sync", "ro", "local_lock"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """The file system that holds a path. `options` are those of the mount and of its super block."""

    point: str
    kind: str
    source: str
    options: frozenset[str]

    def __str__(self) -> str:
        shown = sorted(option for option in self.options if option.partition("=")[0] in _SHOWN | _SHOWN_TOO)
        return f"{self.kind} {self.source} at {self.point}" + (f" ({','.join(shown)})" if shown else "")


def find_mount(mountinfo: str, path: str) -> Mount | None:
    """Return the deepest mount above an absolute path: proc(5), /proc/pid/mountinfo."""
    found: Mount | None = None
    for line in mountinfo.splitlines():
        left, dash, right = line.partition(" - ")
        before, after = left.split(" "), right.split(" ")
        if not dash or len(before) < 6 or len(after) < 3:  # noqa: PLR2004 - the fields that proc(5) promises
            continue
        options = frozenset([*before[5].split(","), *after[2].split(",")])
        mount = Mount(point=_unescape(before[4]), kind=after[0], source=_unescape(after[1]), options=options)
        is_above = posixpath.commonpath([path, mount.point]) == mount.point
        if is_above and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def compare(check: str, here: Mount | None, there: Mount | None, *, same_host: bool) -> Iterator[Finding]:
    """Say what the node's mount is, and what about it delays."""
    if here is None or there is None:
        yield warning(check, "it cannot be said what the root lies on")
        return
    if there.kind in _LOCAL and not same_host:
        yield warning(
            check,
            f"{there} looks like a disk of the node's own",
            "the root belongs on storage that all nodes and this host share",
        )
    elif _family(here) != _family(there) and not same_host:
        yield warning(check, f"{there}; here {here}", "the same mount everywhere makes fewer surprises")
    else:
        yield ok(check, f"the root lies on {there}")
    if "ro" in there.options:
        yield fault(check, f"{there.point} is mounted read-only", "mount it read-write on compute nodes")
    yield from _nfs(check, there)


def _nfs(check: str, mount: Mount) -> Iterator[Finding]:
    """What delays: docs/clusters.md says how. What must not be, such as `soft`, the root's own examination refuses."""
    if not mount.kind.startswith("nfs"):
        return
    version = next((option.partition("=")[2] for option in mount.options if option.startswith("vers=")), "")
    if version == "3" and not mount.options & {"lookupcache=positive", "lookupcache=pos", "lookupcache=none"}:
        yield warning(
            check,
            "NFS version 3 hides new names for up to a minute",
            "mount it with lookupcache=positive, or as version 4.1 or later",
        )
    if version == "4.0":
        yield warning(check, "NFS version 4.0 has no sessions", "mount it as version 4.1 or later")


def _family(mount: Mount) -> str:
    return "nfs" if mount.kind.startswith("nfs") else mount.kind


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
