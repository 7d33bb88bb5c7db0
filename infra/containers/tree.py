"""A root tree: filled from another one or an archive, given what runtimes look for, and named by what is in it."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from infra.containers.errors import BuildError
from infra.containers.programs import carry_out

PYTHONS = ("usr/local/bin/python3", "usr/bin/python3")
_MOUNT_POINTS = ("dev", "etc", "home", "mnt", "proc", "root", "run", "sys", "tmp")
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/resolv.conf": "",
}
_OF_THE_KERNEL = ("dev", "proc", "sys")  # what is in them belongs to the machine that it was taken from


def fill(tree: Path, base: Path) -> None:
    """Fill an empty directory from a root tree, or from a tar archive of one. Raises BuildError."""
    without = [f"--exclude=./{name}/*" for name in _OF_THE_KERNEL]
    unpack = ["tar", "--no-same-owner", "-xf", "-", "-C", str(tree)]
    if base.is_dir():
        with subprocess.Popen(["tar", "-cf", "-", *without, "-C", str(base), "."], stdout=subprocess.PIPE) as reading:
            carry_out(unpack, f"{base} cannot be copied", stdin=reading.stdout)
        if reading.returncode:
            raise BuildError(f"{base} cannot be read whole: tar ended with {reading.returncode}")
    elif base.is_file():
        carry_out([*unpack[:2], "-xf", str(base), *without, *unpack[-2:]], f"{base} cannot be unpacked")
    else:
        raise BuildError(f"there is no root tree and no archive {base}; one is made by: mmdebstrap --help")
    if (tree / "manifest.json").is_file() or (tree / "oci-layout").is_file():
        raise BuildError(f"{base} holds layers of an image; write one tree with: podman export CONTAINER >ARCHIVE")


def python_of(tree: Path) -> str:
    """Return the path of the tree's Python, as seen from inside. Raises BuildError."""
    for path in PYTHONS:
        if (tree / path).is_symlink() or (tree / path).is_file():
            return f"/{path}"
    raise BuildError(f"there is no Python in the base: it needs /usr/bin/python3 or /usr/local/bin/python3 ({tree})")


def complete(tree: Path, environment: Mapping[str, str], mount_points: Iterable[str]) -> None:
    """Make what runtimes look for: places to mount at, files that they lay theirs over, and /ch/environment."""
    for name in (*_MOUNT_POINTS, "ch", *(point.lstrip("/") for point in mount_points)):
        (tree / name).mkdir(parents=True, exist_ok=True)
    for name, content in _FILES.items():
        path = tree / name
        if path.is_symlink() or not path.exists():
            path.unlink(missing_ok=True)  # a link would lead to the file of whoever follows it outside
            path.write_text(content, encoding="utf-8")
    lines = "".join(f"{name}={value}\n" for name, value in environment.items())
    (tree / "ch" / "environment").write_text(lines, encoding="utf-8")


def digest(tree: Path) -> str:
    """Return `sha256:` and 64 hex digits over names, types, modes, links and contents; not over times and owners."""
    found = hashlib.sha256()
    for path in _walk(str(tree)):
        state = os.lstat(path)
        name = os.fsencode(os.path.relpath(path, tree))
        found.update(b"%d %o %d " % (len(name), state.st_mode, state.st_size) + name)
        if stat.S_ISLNK(state.st_mode):
            found.update(os.fsencode(os.readlink(path)))
        elif stat.S_ISREG(state.st_mode):
            found.update(file_sha256(path))
    return f"sha256:{found.hexdigest()}"


def file_sha256(path: str) -> bytes:
    """Return the digest of a file's content, 32 bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _walk(top: str) -> Iterator[str]:
    """Yield every path below, always in the same order. A directory's size is the file system's own business."""
    for entry in sorted(os.scandir(top), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
        else:
            yield entry.path
