"""Guard: a tiny shell that outlives a poller that was killed, and ends what it was at work on."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

# Reads one process group a line, 0 for none. The end of the pipe means that the poller is gone.
_SCRIPT = """
trap '' TERM INT HUP USR1 USR2
while read -r line; do group=$line; done
[ "${group:-0}" -gt 1 ] && kill -s KILL -- "-$group"
"""


class Guard:
    """Kills a process group when this process ends without having said otherwise, by SIGKILL too.

    What left its group goes on until the batch system ends it; fencing keeps it from doing harm. Without a /bin/sh
    there is no guard.
    """

    def __init__(self) -> None:
        self._popen: subprocess.Popen[bytes] | None = None
        self._held = 0

    def start(self) -> int | None:
        """Start the shell, unless it is there; return its process id."""
        if self._popen is None:
            with suppress(OSError):
                self._popen = subprocess.Popen(
                    ["/bin/sh", "-c", _SCRIPT, "phaseline-guard"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,
                )
        return None if self._popen is None else self._popen.pid

    def hold(self, group: int) -> None:
        """Guard this process group instead of the one before; 0 for none."""
        if self._popen is not None and self._popen.stdin is not None and group != self._held:
            self._held = group
            with suppress(BrokenPipeError):
                os.write(self._popen.stdin.fileno(), b"%d\n" % group)

    def close(self) -> None:
        """Dismiss the guard."""
        if self._popen is not None:
            self.hold(0)
            with suppress(BrokenPipeError):
                self._popen.communicate()
            self._popen = None
