"""The machine: user-mode-linux with an NFS server and the clients `a` and `b`; commands go in, exit codes come out.

    with Machine.booted(Mount(name="v3", version="3")) as machine:
        done = machine.run("a", ["ls", "-l", DATA])

Every place sees the export as `DATA`: the server as it is, a client through its mount. Neither root nor an installation
is needed; what the guest may write of this machine is one temporary directory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

from tests.nfs.packages import NoRigError, provide
from tests.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
DATA = "/mnt/data"
BOOT_SECONDS = 60.0
END_SECONDS = 20.0
MEMORY = "900M"

Where = Literal["server", "a", "b"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """How the clients mount, and what the server exports (`tmpfs` or `ext4`).

    Only a real disk's file system shows the hole within a tick: a tmpfs directory changes its size with each name.
    """

    name: str
    version: str
    options: str = ""
    export: str = "ext4"


V3, POSITIVE, V4 = "v3", "v3 lookupcache=positive", "v4.2"
MOUNTS = {
    V3: Mount(name=V3, version="3"),
    POSITIVE: Mount(name=POSITIVE, version="3", options="lookupcache=positive"),
    V4: Mount(name=V4, version="4.2"),
}


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended: its exit code, what it printed."""

    code: int
    output: str


class Command:
    """A command under way in the guest."""

    def __init__(self, machine: Machine, files: Path) -> None:
        self._machine, self._files = machine, files

    def wait(self, seconds: float) -> Done:
        """Wait for its end; raises TimeoutError, and NoRigError when the machine is gone."""
        ended = self._files.with_suffix(".ended")

        def is_over() -> bool:
            self._machine.check()
            return ended.exists()

        wait_until(is_over, seconds, lambda: f"no end; so far: {self._printed()[-2000:]}")
        return Done(int(ended.read_text()), self._printed())

    def _printed(self) -> str:
        output = self._files.with_suffix(".output")
        return output.read_text(errors="replace") if output.exists() else ""


class Machine:
    """A booted machine."""

    def __init__(self, exchange: Path, process: subprocess.Popen[bytes]) -> None:
        self._exchange, self._process, self._numbers = exchange, process, count()

    @classmethod
    @contextmanager
    def booted(cls, mount: Mount) -> Generator[Machine]:
        """Boot one; raises NoRigError, saying why there is none."""
        packages = provide()
        with cls.begun(lambda top: _start(mount, packages, top)) as machine:
            yield machine

    @classmethod
    @contextmanager
    def begun(cls, start: Callable[[Path], subprocess.Popen[bytes]]) -> Generator[Machine]:
        """Have one whose first process `start` starts; an agent in it serves `exchange` of the directory given."""
        with tempfile.TemporaryDirectory(prefix="phaseline-nfs-", dir="/tmp") as top:
            exchange = Path(top) / "exchange"
            exchange.mkdir()
            machine = cls(exchange, start(Path(top)))
            try:
                wait_until(machine._is_up, BOOT_SECONDS, lambda: f"the guest did not come up: {machine.said()}")
                yield machine
            finally:
                machine._end()

    def run(
        self, where: Where, words: Sequence[str], *, seconds: float = 60.0, more: Mapping[str, str] | None = None
    ) -> Done:
        """Run a command and wait for it."""
        return self.start(where, words, more=more).wait(seconds)

    def start(self, where: Where, words: Sequence[str], *, more: Mapping[str, str] | None = None) -> Command:
        """Start a command, with `more` added to its environment."""
        files = self._exchange / str(next(self._numbers))
        draft = files.with_suffix(".draft")
        draft.write_text(json.dumps({"where": where, "words": [*words], "more": {**(more or {})}}))
        draft.rename(files.with_suffix(".request"))
        return Command(self, files)

    def check(self) -> None:
        """Raise NoRigError when the machine is gone."""
        if self._process.poll() is not None or (self._exchange / "ended").exists():
            raise NoRigError(f"the guest ended: {self.said()}")

    def said(self) -> str:
        """Return the end of what its set-up and its kernel printed."""
        boot, console = self._exchange / "boot.log", self._exchange.with_name("console")
        texts = [path.read_text(errors="replace")[-1500:] for path in (boot, console) if path.exists()]
        return "\n".join(texts)

    def _is_up(self) -> bool:
        self.check()
        return (self._exchange / "ready").exists()

    def _end(self) -> None:
        (self._exchange / "end").touch()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(END_SECONDS)


def _start(mount: Mount, packages: Path, top: Path) -> subprocess.Popen[bytes]:
    kernel = packages / "usr" / "bin" / "linux.uml"
    init = top / "init"  # a path without a space, as the kernel wants it
    told = {
        "PACKAGES": packages,
        "EXCHANGE": top / "exchange",
        "PYTHON": sys.executable,
        "CHECKOUT": CHECKOUT,
        "EXPORT": mount.export,
        "VERSION": mount.version,
        "OPTIONS": mount.options,
    }
    script = CHECKOUT / "tests" / "nfs" / "init.sh"
    lines = [*(f"export {name}={_quoted(str(value))}" for name, value in told.items()), f". {_quoted(str(script))}"]
    init.write_text("#!/bin/bash\n" + "\n".join(lines) + "\n")
    init.chmod(0o755)
    # The kernel has helpers that outlive it: in a process namespace all go when this process goes, however it does.
    own = ["--user", "--map-root-user"] if os.geteuid() != 0 else []
    mortal = ["setpriv", "--pdeathsig", "KILL", "unshare", *own, "--pid", "--fork", "--kill-child=KILL"]
    words = [
        *mortal,
        kernel,
        f"mem={MEMORY}",
        "rootfstype=hostfs",
        "rootflags=/",
        "ro",
        f"init={init}",
        f"uml_dir={top}/uml",
    ]
    with (top / "console").open("wb") as console:
        # A session of its own: no terminal is its processes'.
        return subprocess.Popen(
            [*words, "con=null", "con0=null,fd:1", "quiet"],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env={**os.environ, "TMPDIR": "/dev/shm", "HOME": str(top)},  # the guest's memory is a file there
            start_new_session=True,
        )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
