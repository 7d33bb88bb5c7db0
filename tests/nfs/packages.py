"""The programs of the rig: Debian's packages, taken out of their archives; nothing is installed, nothing is started.

    python -m tests.nfs.packages

fetches them, so that nothing has to be when time counts.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PACKAGES = (
    "user-mode-linux",
    "nfs-kernel-server",
    "nfs-common",
    "rpcbind",
    "kmod",
    # What those of the above that are used are linked with, as far as a small system may lack it.
    "e2fsprogs",
    "libcap2",
    "libcom-err2",
    "libevent-core-2.1-7",
    "libext2fs2",
    "libgssapi-krb5-2",
    "libk5crypto3",
    "libkeyutils1",
    "libkmod2",
    "libkrb5-3",
    "libkrb5support0",
    "libnfsidmap1",
    "libnsl2",
    "libss2",
    "libtirpc-common",
    "libtirpc3",
    "libwrap0",
    "iproute2",
    "libbpf1",
    "libelf1",
    "libmnl0",
    "libxtables12",
    "mount",
)
COMPLETE = "complete"  # what the shelf holds
SHELF = Path(__file__).resolve().parents[2] / ".tmp" / "nfs-packages"


class NoRigError(Exception):
    """The rig cannot be had here; the text says why, and what to type."""


def provide(shelf: Path = SHELF, packages: Sequence[str] = PACKAGES) -> Path:
    """Return a directory with the packages' files, fetched the first time; raises NoRigError."""
    if _is_complete(shelf, packages):
        return shelf
    if platform.machine() != "x86_64":
        raise NoRigError(f"user-mode-linux is for x86_64, this is {platform.machine()}")
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise NoRigError(f"there is no {program} here: the rig is made of Debian's packages")
    draft = shelf.with_name(f"{shelf.name}.{os.getpid()}")
    archives = draft / "archives"
    archives.mkdir(parents=True)
    try:
        _call(["apt-get", "download", *packages], archives)
        for archive in sorted(archives.iterdir()):
            _call(["dpkg-deb", "--extract", str(archive), str(draft)], draft)
        shutil.rmtree(archives)
        (draft / COMPLETE).write_text("\n".join(packages))
        shutil.rmtree(shelf, ignore_errors=True)  # of another list, if there is one
        try:
            draft.rename(shelf)
        except OSError:  # another process was faster
            if not _is_complete(shelf, packages):
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return shelf


def _is_complete(shelf: Path, packages: Sequence[str]) -> bool:
    complete = shelf / COMPLETE
    return complete.is_file() and complete.read_text() == "\n".join(packages)


def _call(words: list[str], place: Path) -> None:
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:]
        raise NoRigError(f"`{' '.join(words[:2])}` failed: {' '.join(said)}: type `apt-get update` as root, then again")


if __name__ == "__main__":
    try:
        provide()
    except NoRigError as error:
        sys.exit(f"no NFS here: {error}")
