"""A meeting: two processes wait for each other that know nothing of each other but a directory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from stages.engine.clock import Clock
from stages.engine.fs import FileSystem

EAGER_LOOKS = 100  # without a pause between them: two processes of one host part as good as together
PAUSE_SECONDS = 0.001
PAUSE_SECONDS_MAX = 0.02


class Side(StrEnum):
    """Which of the two."""

    A = "a"
    B = "b"

    @property
    def other(self) -> Side:
        return Side.B if self is Side.A else Side.A


class SilentError(Exception):
    """The other side has not come in time, or what it wrote is not seen."""


@dataclass(slots=True, kw_only=True)
class Meeting:
    """One side's half of it, in the directory `place`, which is both sides' and nobody else's.

    `check` is called while it waits, and may raise: what ended the other side, if that can be known.
    """

    fs: FileSystem
    clock: Clock
    place: str
    side: Side
    patience_seconds: float
    check: Callable[[], None] = lambda: None
    _number: int = field(default=0, init=False)

    def come(self, word: str = "", patience_seconds: float | None = None) -> str:
        """Say `word`, and wait until the other side has come here as often; returns its word. Raises SilentError.

        The word is part of a name. Each further look rings the bell first: a client may keep a listing, and may have
        missed the second of two changes within a tick of the server's clock (PROTOCOL 3, BELL).
        """
        number, self._number = self._number, self._number + 1
        mine, theirs = f"{self.place}/{number}.{self.side}.", f"{number}.{self.side.other}."
        try:
            self.fs.symlink("here", mine + word)
        except FileExistsError:
            pass  # nobody else makes that name: a reply was lost
        seconds = self.patience_seconds if patience_seconds is None else patience_seconds
        until, pause_seconds, looks = self.clock.monotonic() + seconds, PAUSE_SECONDS, 0
        while True:
            names = self.fs.listdir(self.place)
            said = next((name.removeprefix(theirs) for name in names if name.startswith(theirs)), None)
            if said is not None:
                self._forget(number - 1, names)
                return said
            self.check()
            if self.clock.monotonic() > until:
                raise SilentError(f"the other side was not heard of for {seconds:.0f} s")
            looks += 1
            if looks > EAGER_LOOKS:
                self.clock.sleep(pause_seconds)
                pause_seconds = min(pause_seconds * 2, PAUSE_SECONDS_MAX)
            self.fs.touch(self.place)

    def _forget(self, number: int, names: list[str]) -> None:
        """Take back what was said at the meeting before: the other side has come here, so it has seen that."""
        for name in names:
            if name.startswith(f"{number}.{self.side}."):
                self.fs.unlink(f"{self.place}/{name}")
