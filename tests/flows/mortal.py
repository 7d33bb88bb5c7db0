"""A sweep that is killed at the n-th change that it makes to the disk: `python -m tests.flows.mortal N`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import cast

from flows import facts
from flows.sweep import sweep
from stages.engine.posix import Posix

CHANGES = {
    "mkdir",
    "open_new",
    "remove_tree",
    "rename",
    "rename_at",
    "replace",
    "rmdir",
    "symlink",
    "touch",
    "unlink",
    "write_new",
}


class MortalFs(Posix):
    """The real file system for so many changes; the next one is made by nobody."""

    def __init__(self, changes_max: int) -> None:
        self._left = changes_max

    def __getattribute__(self, name: str) -> object:
        found: object = super().__getattribute__(name)
        return partial(self._change, cast("Callable[..., object]", found)) if name in CHANGES else found

    def _change(self, method: Callable[..., object], *arguments: object, **options: object) -> object:
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
        return method(*arguments, **options)


def main(changes_max: int) -> None:
    """Sweep; whoever gets this far in spite of it has made fewer changes."""
    at = replace(facts.opened(), fs=MortalFs(changes_max))
    facts.opened = lambda: at
    sweep(return_state=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
