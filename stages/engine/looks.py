"""Looks: how soon does one process see what another has written, of which it has an older word in its caches?"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import assert_never

from stages.engine.clock import Clock
from stages.engine.fs import FileSystem
from stages.engine.measurements import MOVED, NAMESAKE, Early, Look, ServerClock
from stages.engine.meeting import Meeting
from stages.engine.probes import TICK_SECONDS, TICKS

APART_SECONDS = 0.05  # between a look and the change after it: more than a tick of most servers' clocks
LATE_SECONDS = 5.0  # what is seen later than this is worth a word
EARLY = 20
CLOCK_READINGS = 6
CLOCK_PAUSE_SECONDS = 0.002
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.001, 0.1
_REGISTER = "register"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """One side of them, below the directory `place`. What is not seen in `seconds` is not waited for."""

    fs: FileSystem
    clock: Clock
    meeting: Meeting
    place: str
    seconds: float

    def watch(self, name: str, looks: Collection[Look]) -> dict[Look, float | None]:
        """Both change what the other has just looked at, and look until they see it; seconds from the own change on.

        So the times hold what the sides are apart as well, which is milliseconds. Raises SilentError.
        """
        own, theirs = self._lay_out(name, [look.name for look in looks])
        self.meeting.come()
        eyes = {look: self._eye(look, f"{theirs}/{look.name}") for look in looks}
        self.meeting.come()
        self.clock.sleep(APART_SECONDS)
        began = self.clock.monotonic()
        for look in looks:
            self._change(look, f"{own}/{look.name}")
        return self._until_seen(eyes, began)

    def race_too_early(self) -> Early:
        """Look for names before the other side makes them; then try to make them: the server has to refuse."""
        own, theirs = self._lay_out("early", ())
        names = [str(number) for number in range(EARLY)]
        self.meeting.come()
        for name in names:
            self._read(f"{theirs}/{name}")
        self.meeting.come()
        for name in names:
            self.fs.symlink(self.meeting.side, f"{own}/{name}")
        self.meeting.come()
        refused = sum(self._is_refused(f"{theirs}/{name}") for name in names)
        read = sum(self._read(f"{theirs}/{name}") == self.meeting.side.other for name in names)
        return Early(tried=len(names), refused=refused, read=read)

    def move_an_open_directory(self) -> str:
        """Move a directory that the other side has open, and make another of its name; what does that side write into?

        Returns the name of the one that was written into: MOVED is right, NAMESAKE and "" are not.
        """
        own, theirs = self._lay_out("moves", [NAMESAKE])
        self.meeting.come()
        handle = self.fs.opendir(f"{theirs}/{NAMESAKE}")
        try:
            self.meeting.come()
            self.fs.rename(f"{own}/{NAMESAKE}", f"{own}/{MOVED}")
            self.fs.mkdir(f"{own}/{NAMESAKE}")
            self.meeting.come()
            try:
                self.fs.symlink(self.meeting.side, _REGISTER, handle)
            except OSError:
                pass  # the owner sees that nothing came
            self.meeting.come()
        finally:
            self.fs.close(handle)
        return next((name for name in (MOVED, NAMESAKE) if self.fs.listdir(f"{own}/{name}")), "")

    def read_clock(self) -> ServerClock:
        """Compare the file server's clock with this host's, by the times that it sets."""
        own, _ = self._lay_out("clock", ())
        until = self.clock.monotonic() + TICKS * TICK_SECONDS
        readings: list[tuple[float, float, float]] = []  # how long it took, when that was, what the server said
        while len({mtime for _, _, mtime in readings}) < CLOCK_READINGS and self.clock.monotonic() < until:
            before, started = self.clock.now(), self.clock.monotonic()
            self.fs.touch(own)
            took = self.clock.monotonic() - started
            readings.append((took, before + took / 2, self.fs.mtime_ns(own) / 1e9))
            self.clock.sleep(CLOCK_PAUSE_SECONDS)
        mtimes = sorted({mtime for _, _, mtime in readings})
        tick = min((later - one for one, later in pairwise(mtimes)), default=None)
        took, here, there = min(readings)
        return ServerClock(
            ahead_seconds=there - here,
            within_seconds=took / 2 + (tick or 0.0),
            tick_seconds=tick,
            touch_seconds=max(took for took, _, _ in readings),
        )

    def _lay_out(self, name: str, directories: Collection[str]) -> tuple[str, str]:
        """Make this side's own directories; returns where they are, and where the other side's will be."""
        own, theirs = (f"{self.place}/{name}.{side}" for side in (self.meeting.side, self.meeting.side.other))
        self.fs.mkdir(own)
        for directory in directories:
            self.fs.mkdir(f"{own}/{directory}")
        return own, theirs

    def _eye(self, look: Look, path: str) -> Callable[[], bool]:
        """Look for the first time; returns what tells whether there is something new."""
        match look:
            case Look.LISTING:
                before = len(self.fs.listdir(path))
                return lambda: len(self.fs.listdir(path)) > before
            case Look.HEARTBEAT:
                mtime_ns = self.fs.mtime_ns(path)
                return lambda: self.fs.mtime_ns(path) != mtime_ns
            case Look.REGISTER:
                self._read_through_handle(path)
                return lambda: self._read_through_handle(path)
            case Look.STALE:
                self._read(f"{path}/{_REGISTER}")
                return lambda: self._read(f"{path}/{_REGISTER}") is not None
            case _:
                assert_never(look)

    def _change(self, look: Look, path: str) -> None:
        match look:
            case Look.HEARTBEAT:
                self._beat(path)
            case Look.LISTING | Look.REGISTER | Look.STALE:
                self.fs.symlink(self.meeting.side, f"{path}/{_REGISTER}")
            case _:
                assert_never(look)

    def _beat(self, path: str) -> None:
        """Set the times until they are others: a server may count in seconds, or not at all."""
        before = self.fs.mtime_ns(path)
        for _ in range(TICKS):
            self.fs.touch(path)
            if self.fs.mtime_ns(path) != before:
                return
            self.clock.sleep(TICK_SECONDS)

    def _until_seen(self, eyes: dict[Look, Callable[[], bool]], began: float) -> dict[Look, float | None]:
        found: dict[Look, float | None] = dict.fromkeys(eyes)
        pause_seconds = PAUSE_SECONDS
        while None in found.values() and self.clock.monotonic() - began < self.seconds:
            for look, sees in eyes.items():
                if found[look] is None and sees():
                    found[look] = self.clock.monotonic() - began
            self.meeting.check()
            if None in found.values():
                self.clock.sleep(pause_seconds)
                pause_seconds = min(pause_seconds * 2, PAUSE_SECONDS_MAX)
        return found

    def _is_refused(self, name: str) -> bool:
        try:
            self.fs.symlink(self.meeting.side, name)
        except FileExistsError:
            return True
        return False

    def _read(self, name: str, at: int | None = None) -> str | None:
        try:
            return self.fs.readlink(name, at)
        except FileNotFoundError:
            return None

    def _read_through_handle(self, path: str) -> bool:
        handle = self.fs.opendir(path)
        try:
            return self._read(_REGISTER, handle) is not None
        finally:
            self.fs.close(handle)
