"""What only people are shown, and no decision needs: when a marker was made, and whether we might write."""

from __future__ import annotations

import os
from typing import Protocol


class Inspection(Protocol):
    """A further look at the file system, beside the engine's own calls."""

    def made(self, name: str, at: int) -> float:
        """Return when a marker in the directory behind `at` was made: seconds since the epoch, the server's."""
        ...

    def may_write(self, path: str) -> bool:
        """Tell whether permissions let this user claim the dataset at `path`."""
        ...


class PosixInspection:
    """The real one."""

    def made(self, name: str, at: int) -> float:
        return os.stat(name, dir_fd=at, follow_symlinks=False).st_mtime

    def may_write(self, path: str) -> bool:
        # Mounted read-only is a trouble of the storage: no chmod mends it.
        return os.access(path, os.W_OK | os.X_OK) or bool(os.statvfs(path).f_flag & os.ST_RDONLY)
