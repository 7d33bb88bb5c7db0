"""What kind of file system a path lies on, and what is to be said of it. Pure but for `mount_of`."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from stages.engine.fs import FileSystem
from stages.engine.probes import Finding, Verdict

MOUNTS = "/proc/self/mountinfo"
LEASE_SECONDS_MIN = 120.0  # on a network file system (PROTOCOL 3, STALE)
ACDIRMAX_SECONDS = 60.0  # what NFS clients do if they are told nothing
PROBE = "mount"
_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "ramfs", "overlay"})
_NO_WORD_OF_ABSENCE = frozenset({"lookupcache=positive", "lookupcache=pos", "lookupcache=none"})
_GIVES_UP = "a call that gives up may have been done: pollers end, and outputs wait for a sweep"
_HARM = (
    ("soft", _GIVES_UP),
    ("softerr", _GIVES_UP),
    ("nocto", "opening a directory no longer asks the server: heartbeats stand still, and listings stay old"),
)
_TRY = "try it from two nodes: phaseline doctor --storage --from-nodes"
# What was tried and does not do, whatever is mounted how.
_BROKEN = {"fuse.sshfs": "on sshfs an open directory is but a path: a register lands in another dataset of that name"}
# What could not be tried, or not well enough, and what is to be looked at there.
_BEEGFS = "BeeGFS was not tried, and makes a symlink in several steps: do not, before two nodes have seen it good"
_KNOWN = {
    "lustre": "Lustre was not tried: all locations of a root on one MDT (lfs getdirstripe), for speed",
    "fuse.glusterfs": "on glusterfs two who make one name at once may both be refused, and it may be gone then",
    "gpfs": "GPFS was not tried: exact mtime (mmlsfs -E says yes), and a root in one fileset",
    "beegfs": _BEEGFS,
    "beegfs_nodev": _BEEGFS,
}
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

    @property
    def is_nfs(self) -> bool:
        """Whether nfs(5) says what its options mean."""
        return self.kind in ("nfs", "nfs3", "nfs4")


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


def judge(mount: Mount) -> list[Finding]:
    """Say what a mount is, then what is known of its options and its kind: docs/storage.md has the reasons."""
    where = "network" if mount.is_network else "local"
    shown = f", {','.join(sorted(mount.options))}" if mount.is_network else ""
    told = [Finding(probe=PROBE, detail=f"{mount.kind} ({where}) at {mount.point}{shown}")]
    if "ro" in mount.options:
        told.append(_refused(f"{mount.point} is mounted read-only", "mount it read-write"))
    if mount.is_nfs:
        told += [
            _refused(f"option {name!r}: {why}", "mount without it") for name, why in _HARM if name in mount.options
        ]
        told += [_note(line) for line in _nfs_notes(mount)]
    elif mount.kind == "gpfs" and "nomtime" in mount.options:
        told.append(_refused("option 'nomtime': heartbeats are seen minutes late", "mount without it"))
    elif mount.kind in _BROKEN:
        told.append(_refused(_BROKEN[mount.kind], "use another file system for the root"))
    elif mount.kind not in _LOCAL:
        told.append(_note(_KNOWN.get(mount.kind, f"nobody has tried {mount.kind}") + "; " + _TRY))
    return told


def cache_seconds(mount: Mount) -> float:
    """Return how long a client of this mount may go by what it once saw of a directory: nfs(5), acdirmax."""
    if not mount.is_nfs:
        return 0.0
    said = dict(option.split("=", 1) for option in mount.options if "=" in option)
    if "noac" in mount.options:
        return 0.0
    return float(said.get("acdirmax", said.get("actimeo", ACDIRMAX_SECONDS)))


def _nfs_notes(mount: Mount) -> list[str]:
    """What is right, and slower than it could be."""
    told: list[str] = []
    if "vers=3" in mount.options and not mount.options & _NO_WORD_OF_ABSENCE:
        told.append("NFS version 3 without lookupcache=positive delays what others wrote: use 4.1 or later")
    if "vers=4.0" in mount.options:
        told.append("NFS version 4.0 has no sessions: use 4.1 or later")
    told += [
        f"option {option!r} costs a call for every look, and nothing needs it"
        for option in ("noac", "actimeo=0", "lookupcache=none")
        if option in mount.options
    ]
    return told


def _refused(detail: str, todo: str) -> Finding:
    return Finding(probe=PROBE, verdict=Verdict.REFUSED, detail=detail, todo=todo)


def _note(detail: str) -> Finding:
    return Finding(probe=PROBE, verdict=Verdict.NOTE, detail=detail)


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
