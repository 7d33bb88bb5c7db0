"""Process: a child in a session of its own."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress


class Process:
    """Started on construction, with /dev/null as its standard input; `executable` stands for a search of PATH.

    `pidfd` is readable once it is over; None where the kernel has no such thing (before Linux 5.3), then ask `code` now
    and then. Raises OSError when it cannot be started.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: str,
        output: int,
        executable: str | None = None,
        environment: Mapping[bytes, bytes] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._popen = subprocess.Popen(
            arguments,
            executable=executable,
            cwd=cwd,
            env=environment,
            pass_fds=pass_fds,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        self.pid = self._popen.pid
        self.pidfd: int | None = None
        with suppress(OSError):
            self.pidfd = os.pidfd_open(self.pid)

    def code(self) -> int | None:
        """Return how it ended, as subprocess has it, or None while it goes on."""
        return self._popen.poll()

    def wait(self, seconds: float) -> None:
        """Wait until it is over, at most so long; not at all without a pidfd."""
        if self.pidfd is not None:
            poll = select.poll()
            poll.register(self.pidfd, select.POLLIN)
            poll.poll(seconds * 1000)

    def close(self) -> None:
        """Let go of it, once it is over."""
        self.code()
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None
