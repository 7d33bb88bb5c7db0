"""Warm child: the author's callable behind a channel, seen from the poller."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from stages.engine.work.leftovers import Leftovers
from stages.engine.work.order import Order
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

    What it says outside of attempts goes to the poller's standard error.
    """

    def __init__(self, stage_directory: str, function_name: str) -> None:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        facts = [_IMPORT_ROOT, str(theirs.fileno()), str(os.getpid()), stage_directory, function_name]
        try:
            # -P: neither the current directory nor the script's stands before the author's own folder
            self.process = Process(
                [sys.executable, "-P", "-c", _START, *facts],
                cwd=stage_directory,
                output=_STDERR,
                pass_fds=(theirs.fileno(),),
            )
        except OSError:
            self.channel.close()
            raise
        finally:
            theirs.close()
        self._leftovers: Leftovers | None = None

    def is_alive(self) -> bool:
        return self.process.code() is None

    def set_up(self) -> None:
        """Take what it holds by now for its own."""
        self._leftovers = Leftovers(self.process.pid)

    def give(self, order: Order, output: Output) -> None:
        """Hand it an order, and the pipe to write to; if it has just died, its exit code tells."""
        with suppress(ConnectionError):
            socket.send_fds(self.channel, [encode_order(order)], [output.writer])
        output.release()

    def leftovers(self, order: Order, output: Output, *, has_opened: bool) -> str | None:
        """Return why it cannot stay after an order that it says is over, or None.

        `has_opened` is what it says of its own descriptors.
        """
        if self._leftovers is None:
            return "it was never set up"
        paths = (_real(os.path.dirname(order.output)), _real(order.input))
        return self._leftovers.found(paths, output.name if has_opened else None)

    def show_stack(self) -> None:
        """Have it print where each of its threads is."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGQUIT)

    def close(self) -> None:
        self.channel.close()
        self.process.close()


def _real(path: str) -> str:
    """Return the path as the kernel names it, asking for the location above it once."""
    above, _, name = path.rpartition("/")
    return f"{_real_location(above)}/{name}"


@lru_cache(maxsize=16)
def _real_location(path: str) -> str:
    return os.path.realpath(path)
