"""Holdings: what this process has open, and whether that has changed; a warm child asks it about itself."""

from __future__ import annotations

import os
from collections.abc import Collection

_DESCRIPTORS = "/proc/self/fd"


class Holdings:
    """Cheap to ask, because the kernel counts the descriptors: from Linux 6.2 on; before, they always have changed.

    The descriptors `restored` are what they always were: whoever asks has just seen to that.
    """

    def __init__(self, *, restored: Collection[int] = ()) -> None:
        self._restored = restored
        self._counter, self._counted = -1, (-1, -1, 0)
        self._learn()

    def have_changed(self) -> bool:
        """Tell whether anything else is open than when it was last asked."""
        try:
            facts = os.fstat(self._counter)
            if (facts.st_dev, facts.st_ino, facts.st_size) == self._counted and self._are_as_known():
                return False
        except OSError:  # one of them was closed
            pass
        self._learn()
        return True

    def _are_as_known(self) -> bool:
        for descriptor, known in self._known:
            facts = os.fstat(descriptor)
            if (facts.st_dev, facts.st_ino) != known:
                return False
        return True

    def _learn(self) -> None:
        if _identity(self._counter) != self._counted[:2]:  # also if something else stands there by now
            # Kept open: to find it takes longer than to ask it.
            self._counter = os.open(_DESCRIPTORS, os.O_RDONLY | os.O_DIRECTORY)
        found = {descriptor: _identity(descriptor) for descriptor in map(int, os.listdir(_DESCRIPTORS))}
        there = {descriptor: what for descriptor, what in found.items() if what}  # the listing's own is closed by now
        self._counted = (*there.pop(self._counter), len(there) + 1)
        self._known = [(descriptor, what) for descriptor, what in there.items() if descriptor not in self._restored]


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        facts = os.fstat(descriptor)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
