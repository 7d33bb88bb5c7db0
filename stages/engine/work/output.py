"""Output: what the author's code says during one attempt, on its way to the log."""

from __future__ import annotations

import os
import select
import time

from stages.engine.work.order import Log

_CHUNK_BYTES = 1 << 16
_TAIL_BYTES = 4096
_DRAIN_SECONDS = 1.0


class Output:
    """The pipe of one process: its end tells that everything has arrived. Nothing but a tail is kept in memory.

    Hand `writer` to the author's process, then `release` it. A process that makes several attempts, one after the
    other, has one pipe: `begin` says whose log is next.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self.reader, self.writer = os.pipe()
        self._tail = b""
        self._is_over = False
        self._poll = select.poll()
        self._poll.register(self.reader, select.POLLIN)

    def begin(self, log: Log) -> None:
        """Pass on to `log` from now on."""
        self._log, self._tail = log, b""

    def release(self) -> None:
        """Close our copy of the writing end, without which the pipe never ends."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def forward(self) -> bool:
        """Pass on what is there, at most one chunk, waiting for it if there is nothing; False at the end."""
        chunk = os.read(self.reader, _CHUNK_BYTES)
        if not chunk:
            self._is_over = True
            return False
        self._tail = (self._tail + chunk)[-_TAIL_BYTES:]
        self._log(chunk)
        return True

    def drain(self, seconds: float = _DRAIN_SECONDS) -> bool:
        """Pass on what comes until the end of the pipe, for so long at most; False if that has not come.

        Once all who wrote are gone it comes at once; if not, somebody out of reach holds the pipe.
        """
        give_up = time.monotonic() + seconds
        while not self._is_over:
            left = give_up - time.monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                return False
            self.forward()
        return True

    def catch_up(self) -> None:
        """Pass on what has been written by now."""
        while not self._is_over and self._poll.poll(0):
            self.forward()

    @property
    def name(self) -> str:
        """What /proc shows for a descriptor of this pipe."""
        return f"pipe:[{os.fstat(self.reader).st_ino}]"

    @property
    def last_line(self) -> str:
        """The last line with anything in it."""
        lines = self._tail.decode(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def close(self) -> None:
        self.release()
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1
