"""Races: two processes try to make the same names, as fast as they can."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from stages.engine.clock import Clock
from stages.engine.fs import FileSystem
from stages.engine.measurements import CHANGED, NOT_THERE, THERE, Contest, Race
from stages.engine.meeting import Meeting, Side

BATCH = 25  # names from one meeting to the next; whoever is behind loses, which is quicker, and catches up
JITTER_CALLS = (
    3  # before a name, at most: or whoever is ahead stays ahead, as the file system takes one after the other
)
_MORE, _ENOUGH = "more", "enough"

Attempt = Callable[[FileSystem, str, Side], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Races:
    """One side of them, below the directory `place`: `rounds_max` names of a kind, or as many as `seconds` allow."""

    fs: FileSystem
    clock: Clock
    meeting: Meeting
    place: str
    rounds_max: int
    seconds: float
    _mine: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]], init=False)

    def hold(self, contest: Contest) -> Race:
        """Race for names of one kind; both sides have the same rounds. Raises SilentError."""
        until, batch, won, read, told = self.clock.monotonic() + self.seconds, 0, "", "", set[str]()
        while True:
            names = self._lay_out(contest, batch, min(BATCH, self.rounds_max - len(won)))
            self.meeting.come()
            tried = [self._try(contest, name, told) for name in names]
            outcomes = [
                has_won or self._was_reply_lost(contest, name) for name, (has_won, _) in zip(names, tried, strict=True)
            ]
            won += "".join(str(int(outcome)) for outcome in outcomes)
            is_enough = len(won) >= self.rounds_max or self.clock.monotonic() > until
            word = self.meeting.come(_ENOUGH if is_enough else _MORE)
            read += "".join(self._read(contest, value, name) for name, (_, value) in zip(names, tried, strict=True))
            self._mine.extend(
                self._removal(contest, name) for name, outcome in zip(names, outcomes, strict=True) if outcome
            )
            if is_enough or word == _ENOUGH:
                return Race(contest=contest, won=won, read=read, told=tuple(sorted(told)))
            batch += 1

    def clear_up(self) -> None:
        """Remove what this side has made, once neither looks at it any more: two are quicker than one."""
        self.meeting.come()
        for remove in self._mine:
            try:
                remove()
            except OSError:
                continue  # the whole place goes in the end

    def _lay_out(self, contest: Contest, batch: int, count: int) -> Sequence[str]:
        """One side makes what both need; neither has asked for any of these names before."""
        top = f"{self.place}/{contest.name.lower()}.{batch}"
        names = [f"{top}/{number}" for number in range(count)]
        if self.meeting.side is Side.A:
            self.fs.mkdir(top)
            for name in names if contest is Contest.RENAME else ():
                self.fs.mkdir(name)
        return names

    def _was_reply_lost(self, contest: Contest, name: str) -> bool:
        """Tell whether a refused call had been carried out before, and was sent again (PROTOCOL 3, ERRORS)."""
        match contest:
            case Contest.SYMLINK:
                return self._owner(name) == self.meeting.side
            case Contest.MKDIR:
                return False  # nobody can tell
            case Contest.RENAME:
                return self._is_there(f"{name}.{self.meeting.side}")
            case _:
                assert_never(contest)

    def _try(self, contest: Contest, name: str, told: set[str]) -> tuple[bool, str]:
        """Try to win a name; whose register it is, a loser reads at once: it has to be whole from its first moment.

        Any error may be a loser's: those that are not the usual one go to `told`, by name.
        """
        for _ in range(random.randrange(JITTER_CALLS + 1)):
            self.fs.mtime_ns(self.place)
        try:
            if _ATTEMPTS[contest](self.fs, name, self.meeting.side):
                return True, self.meeting.side
        except OSError as error:
            told.add(errno.errorcode.get(error.errno or 0, str(error)))
        return False, self._owner(name) if contest is Contest.SYMLINK else ""

    def _read(self, contest: Contest, value: str, name: str) -> str:
        """Look once more, at what both have done with: a register that has changed was not written in one step."""
        match contest:
            case Contest.SYMLINK:
                later = self._owner(name)
                return later if later == value else CHANGED
            case Contest.MKDIR:
                return THERE if self._is_there(name) else NOT_THERE
            case Contest.RENAME:
                return ""
            case _:
                assert_never(contest)

    def _is_there(self, path: str) -> bool:
        try:
            self.fs.close(self.fs.opendir(path))
        except OSError:
            return False
        return True

    def _owner(self, name: str) -> str:
        try:
            return self.fs.readlink(name) or CHANGED
        except FileNotFoundError:
            return NOT_THERE
        except OSError:
            return CHANGED

    def _removal(self, contest: Contest, name: str) -> Callable[[], None]:
        match contest:
            case Contest.SYMLINK:
                return lambda: self.fs.unlink(name)
            case Contest.MKDIR:
                return lambda: self.fs.rmdir(name)
            case Contest.RENAME:
                return lambda: self.fs.rmdir(f"{name}.{self.meeting.side}")
            case _:
                assert_never(contest)


def _symlink(fs: FileSystem, name: str, side: Side) -> bool:
    try:
        fs.symlink(side, name)
    except FileExistsError:
        return False
    return True


def _mkdir(fs: FileSystem, name: str, side: Side) -> bool:
    del side
    try:
        fs.mkdir(name)
    except FileExistsError:
        return False
    return True


def _rename(fs: FileSystem, name: str, side: Side) -> bool:
    try:
        fs.rename(name, f"{name}.{side}")
    except FileNotFoundError:
        return False
    return True


_ATTEMPTS: dict[Contest, Attempt] = {Contest.SYMLINK: _symlink, Contest.MKDIR: _mkdir, Contest.RENAME: _rename}
