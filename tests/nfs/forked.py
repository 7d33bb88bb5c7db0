"""A process of the fleet, forked from the storm: the engine is imported once, not at each of a hundred starts.

In the guest an interpreter's start lasts a second and more. What is forked is a process like any other: on its client,
with an environment, output and death of its own; the warm children of its stages start as everywhere.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path

from stages.engine import cli
from stages.engine.commands import init, poll, rerun, sweep
from stages.engine.work.prctl import die_with_parent
from tests.end_to_end.fleet import END_SECONDS
from tests.end_to_end.fleet import environment as environment_of
from tests.nfs.machine import CHECKOUT, Where
from tests.waiting import wait_until

IMPORTED = (init, poll, rerun, sweep)  # what the commands would import first of all
NAMESPACES = ("net", "uts", "mnt")


class Forked:
    """`phaseline` somewhere, as a subprocess.Popen has it."""

    def __init__(self, where: Where, words: tuple[str, ...], environment: Mapping[str, str], output: int) -> None:
        self._code: int | None = None
        sys.stdout.flush()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _become(where, words, environment, output, parent)

    def poll(self) -> int | None:
        if self._code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if ended else None
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        wait_until(lambda: self.poll() is not None, float("inf") if timeout is None else timeout, f"end of {self.pid}")
        assert self._code is not None
        return self._code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def type_in(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Type one command at the server and wait for its end; all that it says is in both streams."""
    with tempfile.TemporaryFile() as output:
        code = Forked("server", words, environment_of(root), output.fileno()).wait(END_SECONDS)
        output.seek(0)
        said = output.read().decode(errors="replace")
    return subprocess.CompletedProcess(words, code, said, said)


def _become(where: Where, words: tuple[str, ...], environment: Mapping[str, str], output: int, parent: int) -> None:
    """Be `phaseline` there from now on; never returns."""
    code = 70
    try:
        die_with_parent(parent)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        if where != "server":
            _enter(where)
        os.environ.clear()
        os.environ.update(environment)
        code = cli.main(words)
    except BaseException:  # noqa: BLE001 - nothing of the storm may go on here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _enter(client: str) -> None:
    """Be on a client: with its network, host name and mounts."""
    process = Path(f"/run/{client}.pid").read_text().strip()
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns came with Python 3.12
    for descriptor in [os.open(f"/proc/{process}/ns/{name}", os.O_RDONLY) for name in NAMESPACES]:
        if libc.setns(descriptor, 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(descriptor)
    os.chdir(CHECKOUT)
