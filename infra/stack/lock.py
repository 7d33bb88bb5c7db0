"""One at a time: whoever starts or ends something of a stack holds its lock."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager

from infra.stack.place import Place


@contextmanager
def locked(place: Place, say: Callable[[str], None]) -> Generator[None]:
    """Hold the stack's lock, waiting for whoever has it. A process that ends lets go of it, however it ends."""
    place.make()
    held = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another `phaseline up` or `down` is at work here: waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
