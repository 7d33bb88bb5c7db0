"""Attendance: waiting beside the author's process until there is something to decide."""

from __future__ import annotations

import math
import os
import select
import socket
import time
from dataclasses import dataclass

from stages.engine.work.order import Watch
from stages.engine.work.outcome import Stop
from stages.engine.work.output import Output
from stages.engine.work.process import Process
from stages.engine.work.verdict import was_asked_to_end

MESSAGE_BYTES_MAX = 1 << 16
_LOOK_SECONDS = 0.05  # without a pidfd
_POLL_SECONDS_MAX = 3600.0  # poll(2) counts milliseconds in an int
_SIGNAL_SECONDS = 1.0  # a signal for all reaches one process before the other


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """The child sent a message."""

    message: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Died:
    """The process is over; `code` as subprocess has it."""

    code: int


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The time limit has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The poller asks to stop."""

    stop: Stop


Event = Reported | Died | TimedOut | Stopped


class Attendance:
    """Waits beside one process, passing on its output and keeping the poller informed.

    `watch` is called every `watch_seconds` and as soon as `wakeup_fd` is readable (signal.set_wakeup_fd writes to it
    when a signal with a handler arrives), however much output there is.
    """

    def __init__(
        self,
        process: Process,
        *,
        watch: Watch,
        watch_seconds: float,
        output: Output | None = None,
        channel: socket.socket | None = None,
        wakeup_fd: int | None = None,
    ) -> None:
        self._process, self._output, self._channel, self._wakeup_fd = process, output, channel, wakeup_fd
        self._watch, self._watch_seconds = watch, watch_seconds
        self._next_watch = time.monotonic() + watch_seconds
        self._was_signalled = False
        self._poll = select.poll()
        for one in (output and output.reader, channel and channel.fileno(), process.pidfd, wakeup_fd):
            if one is not None:
                self._poll.register(one, select.POLLIN)

    def begin(self, *, watch: Watch, watch_seconds: float) -> None:
        """Attend to another attempt of the same process."""
        self._watch, self._watch_seconds = watch, watch_seconds
        self._next_watch = time.monotonic() + watch_seconds
        self._was_signalled = False

    def wait(self, seconds: float) -> Event:
        """Return what comes first; TimedOut after `seconds`. What `watch` and the log raise comes through."""
        now = time.monotonic()
        deadline = now + seconds
        while True:
            ready = self._ready(min(deadline, self._next_watch) - now)
            event = self._happened(ready)
            if event is not None:
                return event
            now = time.monotonic()
            if self._wakeup_fd in ready or now >= self._next_watch:
                stop = self._watch()
                if stop is not None:
                    return Stopped(stop=stop)
                now = time.monotonic()
                self._next_watch = now + self._watch_seconds
            if now >= deadline:
                return TimedOut()

    def asked(self) -> Stop | None:
        """Return why the poller has to stop, patient as it may still be: a failure now proves nothing."""
        return self._watch() or (Stop.DRAIN if self._was_signalled else None)

    def _ready(self, seconds: float) -> set[int]:
        longest = _LOOK_SECONDS if self._process.pidfd is None else _POLL_SECONDS_MAX
        ready = {one for one, _ in self._poll.poll(max(0, math.ceil(min(seconds, longest) * 1000)))}
        if self._wakeup_fd is not None and self._wakeup_fd in ready:
            os.read(self._wakeup_fd, 4096)
            self._was_signalled = True
        return ready

    def _happened(self, ready: set[int]) -> Reported | Died | Stopped | None:
        """Carry what arrived; a message goes before the death that may follow it."""
        if self._output is not None and self._output.reader in ready and not self._output.forward():
            self._poll.unregister(self._output.reader)
        if self._channel is not None and self._channel.fileno() in ready:
            message = _receive(self._channel)
            if message:
                return Reported(message=message)
            self._poll.unregister(self._channel)  # closed: its death follows, or the time limit does
            self._channel = None
        if self._process.pidfd is None or self._process.pidfd in ready:
            code = self._process.code()
            return None if code is None else self._death(code)
        return None

    def _death(self, code: int) -> Died | Stopped:
        """Tell a failure from the cluster's signal to end, which goes to every process of a job, one by one."""
        if was_asked_to_end(code) and not self._was_signalled and self._wakeup_fd is not None:
            self._was_signalled = bool(select.select([self._wakeup_fd], [], [], _SIGNAL_SECONDS)[0])
        if was_asked_to_end(code) and self._was_signalled:
            return Stopped(stop=self._watch() or Stop.DRAIN)
        return Died(code=code)


def _receive(channel: socket.socket) -> bytes:
    try:
        return channel.recv(MESSAGE_BYTES_MAX)
    except ConnectionError:
        return b""
