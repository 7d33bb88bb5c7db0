"""What is done to calls: the k-th of those that an error can meet, once or from then on; and who remembers it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import Final

from tests.fakes import EventfulFs
from tests.faults import ALL, CHANGING, GROWING, RESENT, Fault, FaultyFileSystem, LateName

NEVER_RAISES: Final = "remove_tree"
#: By error, the calls that it meets: what a full disk, a read-only mount or a sick server refuses.
MEETS: Final = {
    errno.ENOSPC: GROWING,
    errno.EDQUOT: GROWING,
    errno.EROFS: CHANGING | {NEVER_RAISES},
    errno.EIO: ALL | {NEVER_RAISES},
    errno.ESTALE: ALL,
}
#: Where the seam's contract turns ESTALE into FileNotFoundError (PROTOCOL 3, ERRORS).
UNSTALE: Final = frozenset({"symlink", "readlink", "rename", "rename_at", "listdir", "touch", "sync"})


class Strike(Fault):
    """An error at the k-th call that it can meet, then `times - 1` more, or all; `hit` is the first one struck."""

    def __init__(self, number: int, *, after: int, times: int | None, done: bool = False) -> None:
        calls = (MEETS[number] & CHANGING if done else MEETS[number]) - ({"open_new"} if done else set())
        super().__init__(error=number, calls=calls, after=after, times=times, done=done)
        self._number = number
        self.hit = ("", "")

    def strikes(self, call: str, path: str) -> bool:
        if not super().strikes(call, path):
            return False
        if not self.hit[0]:
            self.hit = (call, path)
        if self._number == errno.ESTALE:
            self.error = errno.ENOENT if call in UNSTALE else errno.ESTALE
        return True

    @property
    def takes_the_place_away(self) -> bool:
        """Whether the seam says that an attempt's own place is gone: that is a failure (PROTOCOL 3, ERRORS)."""
        call, path = self.hit
        return self._number == errno.ESTALE and call in UNSTALE and "/_work/" in path


class Lost(Fault):
    """The reply to the k-th call that changes a name is lost; sent again, it gets the error of a second one."""

    def __init__(self, *, after: int) -> None:
        super().__init__(error=0, calls=set(RESENT), done=True, after=after, times=1)
        self.hit = ("", "")

    def strikes(self, call: str, path: str) -> bool:
        if not super().strikes(call, path):
            return False
        self.hit = (call, path)
        return True


class Late(LateName):
    """Just these paths, made by another client, are not seen for the first looks; what is made later is."""

    def __init__(self, paths: Iterable[str], *, looks: int) -> None:
        super().__init__(where="", looks=looks)
        self._paths = frozenset(paths)

    def hides(self, path: str) -> bool:
        return path in self._paths and super().hides(path)


class Volatile(EventfulFs):
    """The real file system, fsync left out: what survives a loss of power is not asked here."""

    def sync(self, place: str | int) -> None:
        os.close(os.dup(place) if isinstance(place, int) else os.open(place, os.O_RDONLY | os.O_CLOEXEC))


class Storage(FaultyFileSystem):
    """The faulty file system; removing a tree fails too, and says so as its promise is: by False."""

    def remove_tree(self, path: str) -> bool:
        if any(fault.strikes(NEVER_RAISES, path) for fault in self.faults):
            return False
        return super().remove_tree(path)
