"""Being asked to stop: SIGTERM, SIGINT and SIGUSR1, the batch system's warning before the time limit."""

from __future__ import annotations

import os
import select
import signal
import time
import weakref
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
ECHO_SECONDS = 0.5  # SLURM tells every process of a job to end, and a container runtime among them passes that on


class Drain:
    """Remembers that this process was asked to stop, and wakes whoever waits.

    `fd` becomes readable when a signal arrives: for `select` in the code that waits for a child.
    Being asked twice means "quicker", but not within ECHO_SECONDS.
    """

    def __init__(self) -> None:
        self.times, self.is_warned = 0, False
        self._asked = -ECHO_SECONDS
        self.fd, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        weakref.finalize(
            self, _close, self.fd, self._writer
        ).atexit = False  # installed, it lives as long as the process

    def install(self) -> None:
        """Take the signals over; only in the main thread, once per process."""
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, self._ask)

    @property
    def is_requested(self) -> bool:
        """Whether the poller is to stop claiming."""
        return self.times > 0 or self.is_warned

    def request(self) -> None:
        """Ask this process to stop, as a signal would."""
        self.times += 1

    def warn(self) -> None:
        """Say that the time limit is near: nothing more is claimed, what is at hand goes on."""
        self.is_warned = True

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than until the next signal."""
        select.select([self.fd], [], [], max(0.0, seconds))
        self.quiet()

    def quiet(self) -> None:
        """Take the wake-ups that have arrived, so that the next `select` waits again."""
        try:
            while os.read(self.fd, 4096):
                pass
        except BlockingIOError:
            return

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGUSR1:
            self.warn()
        elif time.monotonic() - self._asked >= ECHO_SECONDS:
            self._asked = time.monotonic()
            self.request()


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


class DrainableClock:
    """The real clock, whose sleeps end early when the process is asked to stop."""

    def __init__(self, drain: Drain) -> None:
        self._drain = drain

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        self._drain.wait(seconds)
