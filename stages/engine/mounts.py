"""What kind of file system a path lies on, as far as this host knows. Pure but for `mount_of`."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from stages.engine.fs import FileSystem

MOUNTS = "/proc/self/mountinfo"
LEASE_SECONDS_MIN = 120.0  # on a network file system (PROTOCOL 3, STALE)
_NETWORK = re.compile(
    r"nfs[34]?|lustre|gpfs|beegfs(_nodev)?|ceph|cifs|smb[23]?|9p|panfs|wekafs|afs|orangefs|pvfs2|gfs2|ocfs2|virtiofs"
    r"|fuse\.(?!ext|ntfs|overlay).*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One mounted file system; `options` are those of the mount and of its super block."""

    point: str
    kind: str
    options: frozenset[str]

    @property
    def is_network(self) -> bool:
        """Whether other hosts may see it through caches of their own."""
        return _NETWORK.fullmatch(self.kind) is not None


def mount_of(fs: FileSystem, path: str) -> Mount | None:
    """Return the mount that holds an absolute path; None if this host does not say."""
    try:
        text = fs.read(MOUNTS).decode(errors="surrogateescape")
    except OSError:
        return None
    return find_mount(text, path)


def find_mount(mountinfo: str, path: str) -> Mount | None:
    """Return the deepest mount above `path`; of two at one point, the later one hides the other."""
    found: Mount | None = None
    for line in mountinfo.splitlines():
        mount = _parse(line)
        if (
            mount is not None
            and _is_below(path, mount.point)
            and (found is None or len(mount.point) >= len(found.point))
        ):
            found = mount
    return found


def advice(mount: Mount) -> list[str]:
    """Say what about a mount is known to hurt, lightly: the code is right with defaults."""
    if not mount.kind.startswith("nfs"):
        return []
    told = [f"option {bad!r} is known to hurt: mount without it" for bad in ("soft", "nocto") if bad in mount.options]
    if "vers=3" in mount.options and not mount.options & {
        "lookupcache=positive",
        "lookupcache=pos",
        "lookupcache=none",
    }:
        told.append("NFS version 3 without lookupcache=positive delays what others wrote: use 4.1 or later")
    return told


def _parse(line: str) -> Mount | None:
    """Read one line: proc(5), /proc/pid/mountinfo."""
    before, dash, after = line.partition(" - ")
    left, right = before.split(" "), after.split(" ")
    if not dash or len(left) < 6 or len(right) < 3:  # noqa: PLR2004 - the fields that proc(5) promises
        return None
    options = frozenset([*left[5].split(","), *right[2].split(",")])
    return Mount(point=_unescape(left[4]), kind=right[0], options=options)


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _is_below(path: str, point: str) -> bool:
    return posixpath.commonpath([path, point]) == point
