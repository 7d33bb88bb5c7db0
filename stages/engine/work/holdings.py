"""Holdings: what this process has open, and whether that has changed; a warm child asks it about itself."""

from __future__ import annotations

import os

_DESCRIPTORS = "/proc/self/fd"


class Holdings:
    """Cheap to ask, because the kernel counts the descriptors: from Linux 6.2 on; before, they always have changed."""

    def __init__(self) -> None:
        self._known = _all()

    def have_changed(self) -> bool:
        """Tell whether anything else is open than when it was last asked."""
        count, known = os.stat(_DESCRIPTORS).st_size, self._known
        if count == len(known) and all(_identity(descriptor) == known[descriptor] for descriptor in known):
            return False
        self._known = _all()
        return True


def _all() -> dict[int, tuple[int, int] | None]:
    found = {descriptor: _identity(descriptor) for descriptor in map(int, os.listdir(_DESCRIPTORS))}
    return {descriptor: what for descriptor, what in found.items() if what}  # the listing's own is closed by now


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        facts = os.fstat(descriptor)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
