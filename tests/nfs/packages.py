"""The programs of the rig: Debian's packages, taken out of their archives; nothing is installed, nothing is started."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

PACKAGES = (
    "user-mode-linux",
    "nfs-kernel-server",
    "nfs-common",
    "rpcbind",
    "kmod",
    # What those of the above that are used are linked with, as far as a small system may lack it.
    "libcap2",
    "libevent-core-2.1-7",
    "libgssapi-krb5-2",
    "libk5crypto3",
    "libkeyutils1",
    "libkmod2",
    "libkrb5-3",
    "libkrb5support0",
    "libnfsidmap1",
    "libnsl2",
    "libtirpc-common",
    "libtirpc3",
    "libwrap0",
    "iproute2",
    "libbpf1",
    "libelf1",
    "libmnl0",
    "libxtables12",
)
COMPLETE = "complete"
SHELF = Path(__file__).resolve().parents[2] / ".tmp" / "nfs-packages"


class NoRigError(Exception):
    """The rig cannot be had here; the text says why, and what to type."""


def provide(shelf: Path = SHELF, packages: Sequence[str] = PACKAGES) -> Path:
    """Return a directory with the packages' files, fetched the first time; raises NoRigError."""
    if (shelf / COMPLETE).is_file():
        return shelf
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
        (draft / COMPLETE).touch()
        try:
            draft.rename(shelf)
        except OSError:  # another process was faster
            if not (shelf / COMPLETE).is_file():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return shelf


def _call(words: list[str], place: Path) -> None:
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:]
        raise NoRigError(f"`{' '.join(words[:2])}` failed: {' '.join(said)}: type `apt-get update` as root, then again")
