"""What the fault tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture
def top() -> Iterator[Path]:
    """A directory in memory: thousands of turns are taken here, and none is to wait for a disk."""
    with TemporaryDirectory(dir="/dev/shm") as path:
        yield Path(path)
