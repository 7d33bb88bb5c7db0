"""Warm child: the author's callable behind a channel, seen from the poller."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from stages.engine.work.attendance import Attendance
from stages.engine.work.leftovers import Leftovers
from stages.engine.work.order import Log, Order, Watch
from stages.engine.work.output import Output
from stages.engine.work.process import Process
from stages.engine.work.wire import encode_order

_IMPORT_ROOT = str(Path(__file__).parents[3])
_START = (
    "import sys; sys.argv[1] in sys.path or sys.path.insert(0, sys.argv[1]); "
    "from stages.engine.work.child import main; main()"
)
_STDERR = 2


class WarmChild:
    """Started on construction, not forked, so that it shares nothing with the poller; OSError if that fails.

    What it says outside of attempts goes to the poller's standard error, what it says in one to `output`. `attendance`
    is called with `watch` while it is set up.
    """

    def __init__(
        self, stage_directory: str, function_name: str, *, watch: Watch, watch_seconds: float, wakeup_fd: int | None
    ) -> None:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.output = Output(_unheard)
        self._output_name = self.output.name
        descriptors = (theirs.fileno(), self.output.writer)
        facts = [_IMPORT_ROOT, *map(str, descriptors), str(os.getpid()), stage_directory, function_name]
        try:
            # -P: neither the current directory nor the script's stands before the author's own folder
            self.process = Process(
                [sys.executable, "-P", "-c", _START, *facts],
                cwd=stage_directory,
                output=_STDERR,
                pass_fds=descriptors,
            )
        except OSError:
            self.channel.close()
            self.output.close()
            raise
        finally:
            theirs.close()
        self._writer = self.output.writer  # the child's number for it, too
        self.output.release()
        self.attendance = Attendance(
            self.process,
            channel=self.channel,
            output=self.output,
            watch=watch,
            watch_seconds=watch_seconds,
            wakeup_fd=wakeup_fd,
        )
        self._leftovers: Leftovers | None = None

    def is_alive(self) -> bool:
        return self.process.code() is None

    def set_up(self) -> None:
        """Take what it holds by now for its own."""
        self._leftovers = Leftovers(self.process.pid, output=self._output_name, output_writer=self._writer)

    def give(self, order: Order, watch: Watch, log: Log) -> None:
        """Hand it an order; if it has just died, its exit code tells."""
        self.attendance.begin(watch=watch, watch_seconds=order.watch_seconds)
        self.output.begin(log)
        with suppress(ConnectionError):
            self.channel.send(encode_order(order))

    def leftovers(self, order: Order, *, has_opened: bool) -> str | None:
        """Return why it cannot stay after an order that it says is over, or None.

        `has_opened` is what it says of its own descriptors.
        """
        if self._leftovers is None:
            return "it was never set up"
        return self._leftovers.found(order, has_opened=has_opened)

    def show_stack(self) -> None:
        """Have it print where each of its threads is."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGQUIT)

    def close(self) -> None:
        """Let go of it, once it is over."""
        self.channel.close()
        self.output.close()
        self.process.close()
        if self._leftovers is not None:
            self._leftovers.close()


def _unheard(content: bytes) -> None:
    """Nobody makes an attempt yet."""
    del content
