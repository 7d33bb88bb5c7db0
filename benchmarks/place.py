"""Where benchmarks happen: a directory in memory, one on a disk, and data roots in them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stages.engine.layout import Location, Passage, Root

CHECKOUT = Path(__file__).resolve().parents[1]
STAGE = "bench"
READS, WRITES = "PHASE_1", "PHASE_2"
_MEMORY = "/dev/shm"  # noqa: S108 - tmpfs on every Linux


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Two empty directories, in memory where that is possible, and which share of the full sizes is to be measured."""

    memory: str
    disk: str
    share: float = 1.0

    def scaled(self, count: int, least: int = 3) -> int:
        """Return how many of `count` this measure is to have."""
        return max(least, round(count * self.share))

    def rounds(self, count: int) -> int:
        """Return how many of `count` rounds to make: fewer in a quick measure, but never so few."""
        return count if self.share >= 1 else max(1, count // 5)


@contextmanager
def taken(share: float) -> Generator[Place]:
    """Hand out a place, and leave nothing of it behind."""
    memory = tempfile.mkdtemp(prefix="phaseline-bench-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None)
    disk = tempfile.mkdtemp(prefix="phaseline-bench-")
    try:
        yield Place(memory=memory, disk=disk, share=share)
    finally:
        shutil.rmtree(memory, ignore_errors=True)
        shutil.rmtree(disk, ignore_errors=True)


def passage(path: str) -> Passage:
    """Return where the one stage of `new_root` reads and writes."""
    root = Root(path)
    return Passage(STAGE, root.location(READS), root.location(WRITES))


def new_root(path: str) -> Passage:
    """Make a data root of one stage, empty, in place of what was there."""
    shutil.rmtree(path, ignore_errors=True)
    through = passage(path)
    for location in (through.reads, through.writes):
        for directory in location.directories:
            os.makedirs(directory)
    return through


def fill(at: Location, count: int, files: Mapping[str, bytes], first: int = 0) -> None:
    """Put `count` datasets of the same files where datasets wait."""
    for number in range(first, first + count):
        dataset = at.dataset(f"ds{number:06d}")
        os.mkdir(dataset)
        for name, content in files.items():
            Path(dataset, name).write_bytes(content)
