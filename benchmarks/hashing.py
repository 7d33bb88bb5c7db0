"""Hashing and durability: what they add to a dataset of 64 MB in four files whose work is a copy.

Hashing is measured in memory, where nothing hides it: input and output are hashed, SHA-256, 128 MB in all.
Durability full is measured on the disk that holds temporary files, with hashing off: what it costs is that disk's.
"""

from __future__ import annotations

import shutil
import time

from benchmarks.engine import poller
from benchmarks.figures import Figure, figure, interleaved, ratio
from benchmarks.place import Place, fill, new_root
from stages.engine.attempt import Attempt
from stages.engine.durability import Durability
from stages.engine.work.in_process import InProcessWork

FILES = 4
FILE_BYTES = 16 << 20
DATASETS = 2
ROUNDS = 7
ROUNDS_ON_DISK = 5


def measure(place: Place) -> list[Figure]:
    """What is with over what is without, and what a GB takes."""
    size = place.scaled(FILE_BYTES)
    megabytes = size * FILES / 1e6
    hashed, plain = interleaved(
        place.rounds(ROUNDS),
        lambda: carry(f"{place.memory}/hashed", size, hashing=True),
        lambda: carry(f"{place.memory}/hashed", size, hashing=False),
    )
    safe, bare = interleaved(
        place.rounds(ROUNDS_ON_DISK),
        lambda: carry(f"{place.disk}/safe", size, durability=Durability.FULL),
        lambda: carry(f"{place.disk}/safe", size),
    )
    more = [one - other for one, other in zip(hashed, plain, strict=True)]
    return [
        ratio(f"hashing on / off, {megabytes:.0f} MB copied, in memory", hashed, plain),
        figure("hashing, per GB hashed", [one / (2 * DATASETS * megabytes / 1000) for one in more], "s"),
        ratio(f"durability full / none, {megabytes:.0f} MB copied, on disk", safe, bare),
        figure(f"a dataset of {megabytes:.0f} MB, hashing off, in memory", [one / DATASETS for one in plain], "s"),
        figure(f"a dataset of {megabytes:.0f} MB, durability full, on disk", [one / DATASETS for one in safe], "s"),
    ]


def carry(root: str, size: int, *, hashing: bool = False, durability: Durability = Durability.NONE) -> float:
    """Return how long the datasets take, files of `size` bytes."""
    through = new_root(root)
    fill(through.reads, DATASETS, {f"part{number}": b"\0" * size for number in range(FILES)})
    subject = poller(root, InProcessWork(copy), hashing=hashing, durability=durability)
    begun = time.perf_counter()
    subject.poll()
    seconds = time.perf_counter() - begun
    shutil.rmtree(root)
    return seconds


def copy(attempt: Attempt) -> None:
    """The work."""
    for file in attempt.files:
        shutil.copyfile(file, attempt.output / file.name)
