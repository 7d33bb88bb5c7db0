"""Status: collecting how far everything is, with a hundred thousand datasets waiting, against one `os.listdir`.

Seconds are of the processor, as in `coordination`.
"""

from __future__ import annotations

import os
import shutil
import time

from benchmarks.coordination import FILES
from benchmarks.engine import spec
from benchmarks.figures import Figure, figure, interleaved, ratio
from benchmarks.place import Place, fill, new_root
from stages.engine.catalog import Catalog
from stages.engine.clock import SystemClock
from stages.engine.durability import Durability
from stages.engine.inspection import PosixInspection
from stages.engine.layout import Root
from stages.engine.posix import Posix
from stages.engine.standing import Standing
from stages.engine.status import Observer

MANY = 100_000
ROUNDS = 9
LISTDIR_MAX = 5.0


def measure(place: Place) -> list[Figure]:
    """A ratio."""
    root, many = f"{place.memory}/status", place.scaled(MANY)
    through = new_root(root)
    os.makedirs(Root(root).sweep)
    fill(through.reads, many, FILES)
    catalog = Catalog(directory="", stages=(spec(hashing=False, durability=Durability.NONE),))

    def status() -> float:
        begun = time.process_time()
        observer = Observer(
            fs=Posix(), clock=SystemClock(), inspection=PosixInspection(), root=Root(root), catalog=catalog
        )
        found = observer.status()
        seconds = time.process_time() - begun
        assert found.stages[0].counts[Standing.WAITING] == many
        return seconds

    def listing() -> float:
        begun = time.process_time()
        os.listdir(through.reads.path)
        return time.process_time() - begun

    ours, bare = interleaved(place.rounds(ROUNDS), status, listing)
    shutil.rmtree(root)
    return [
        ratio(f"status, {many:,} waiting / os.listdir", ours, bare, LISTDIR_MAX if many == MANY else None),
        figure(f"status, {many:,} waiting", [one * 1000 for one in ours], "ms"),
    ]
