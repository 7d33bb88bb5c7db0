"""The namespaces: file systems in user space, an export of each and the hosts `a` and `b` that mount it.

    with entered(MOUNTS[SSHFS]) as machine:
        done = machine.run("a", ["ls", "-l", DATA])

What is known of the machine of `tests/nfs` holds here: the same agent, names and places. No kernel is booted: this
host's own is asked for a user namespace and FUSE.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fuse import volumes
from tests.nfs.machine import CHECKOUT, Machine
from tests.nfs.packages import NoRigError, provide

PACKAGES = (
    "sshfs",
    "openssh-sftp-server",
    "glusterfs-server",
    "glusterfs-client",
    "glusterfs-common",
    # What those are linked with, as far as a small system may lack it.
    "libacl1",
    "libaio1",
    "libfuse3-3",
    "libgfrpc0",
    "libgfxdr0",
    "libglib2.0-0",
    "libglusterfs0",
    "libgssapi-krb5-2",
    "libk5crypto3",
    "libkeyutils1",
    "libkrb5-3",
    "libkrb5support0",
    "libpcre2-8-0",
    "libtirpc-common",
    "libtirpc3",
    "liburcu8",
)
SHELF = CHECKOUT / ".tmp" / "fuse-packages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """What the hosts mount, and how: the options of sshfs, the layout of a volume of glusterfs.

    `export` is where a phaseline root `data` in it may be looked at as the server keeps it, if that is one place.
    """

    kind: str
    options: str = ""
    layout: str = ""
    export: str = ""


SSHFS, UNCACHED = "sshfs", "sshfs without caches"
GLUSTERFS, DISTRIBUTED, REPLICATED = "glusterfs", "glusterfs distributed", "glusterfs replicated"
UNCACHED_OPTIONS = "dir_cache=no,attr_timeout=0,entry_timeout=0,negative_timeout=0,no_contain_symlinks"
MOUNTS = {
    SSHFS: Mount(kind="sshfs", export="/mnt/export"),
    UNCACHED: Mount(kind="sshfs", options=UNCACHED_OPTIONS, export="/mnt/export"),
    GLUSTERFS: Mount(kind="glusterfs", layout="single", export="/mnt/export/1"),
    DISTRIBUTED: Mount(kind="glusterfs", layout="distributed"),  # half of it on each brick
    REPLICATED: Mount(kind="glusterfs", layout="replicated"),
}


@contextmanager
def entered(mount: Mount) -> Generator[Machine]:
    """Have an export and two hosts that mount it so; raises NoRigError, saying why there is none."""
    if mount.kind == "glusterfs" and os.geteuid() != 0:
        raise NoRigError("the server of glusterfs keeps trusted.* attributes, which only root may set")
    packages = provide(SHELF, PACKAGES)
    with Machine.begun(lambda top: _start(mount, packages, top)) as machine:
        yield machine


def _start(mount: Mount, packages: Path, top: Path) -> subprocess.Popen[bytes]:
    export = top / "export"
    export.mkdir()
    for name, text in _volumes(mount.layout).items():
        (top / "exchange" / f"{name}.vol").write_text(text)
    told = {
        "PACKAGES": packages,
        "EXCHANGE": top / "exchange",
        "PYTHON": sys.executable,
        "CHECKOUT": CHECKOUT,
        "KIND": mount.kind,
        "OPTIONS": mount.options,
        "EXPORT": export,
    }
    own = ["--user", "--map-root-user"] if os.geteuid() != 0 else []
    # All that is started goes with the first process, and that with this one.
    spaces = ["--mount", "--uts", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
    with (top / "console").open("wb") as console:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", *own, *spaces, "bash", str(CHECKOUT / "tests/fuse/init.sh")],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env={**os.environ, **{name: str(value) for name, value in told.items()}},
            start_new_session=True,
        )


def _volumes(layout: str) -> dict[str, str]:
    """Return the volume files by their names."""
    if not layout:
        return {}
    clients = {"client": volumes.client(layout, plain=False), "operator": volumes.client(layout, plain=True)}
    return clients | {f"brick.{number}": volumes.brick(number) for number in range(1, volumes.LAYOUTS[layout] + 1)}
