"""A gate where processes wait until all of them are there, so that their start is not measured with their work."""

from __future__ import annotations

import os
import select
from contextlib import suppress

PATIENCE_SECONDS = 120.0


class Gate:
    """Two named pipes: one says who has arrived, the other lets through. Held by who measures."""

    def __init__(self, path: str) -> None:
        self.path = path
        os.mkdir(path)
        for name in ("arrived", "open"):
            os.mkfifo(f"{path}/{name}")
        # Both ends at once: opening never waits, and a reader never sees the end.
        self._arrived = os.open(f"{path}/arrived", os.O_RDWR | os.O_CLOEXEC)
        self._open = os.open(f"{path}/open", os.O_RDWR | os.O_CLOEXEC)

    def wait(self, count: int) -> None:
        """Wait until so many have arrived; raises TimeoutError when one of them does not come."""
        while count:
            if not select.select([self._arrived], [], [], PATIENCE_SECONDS)[0]:
                raise TimeoutError(f"{count} processes did not come to the gate")
            count -= len(os.read(self._arrived, count))

    def open(self, count: int) -> None:
        """Let so many through."""
        os.write(self._open, b"." * count)

    def close(self) -> None:
        for descriptor in (self._arrived, self._open):
            os.close(descriptor)
        for name in ("arrived", "open"):
            with suppress(FileNotFoundError):
                os.unlink(f"{self.path}/{name}")
        os.rmdir(self.path)


def arrive(path: str) -> None:
    """Say that this process is here."""
    with open(f"{path}/arrived", "wb", buffering=0) as pipe:
        pipe.write(b".")


def pass_through(path: str) -> None:
    """Say that this process is here, and wait until it is let through."""
    arrive(path)
    with open(f"{path}/open", "rb", buffering=0) as pipe:
        pipe.read(1)
