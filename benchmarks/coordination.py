"""Coordination: what the engine takes for a dataset and stage whose work is nothing.

Claim, work directory, commit, publish, archive and discovery; work in process, durability none, hashing off, no log
lines. Beside it a loop of the same system calls (same_calls) and python-dirq's Queue (dirq_queue). Seconds are of the
processor, the kernel's included: in memory nothing waits, so on an idle machine the clock on the wall says the same,
and on a busy one what others do is not counted.
"""

from __future__ import annotations

import json
import os
import time

from benchmarks import dirq_queue
from benchmarks.engine import poller
from benchmarks.figures import Figure, each, interleaved, ratio
from benchmarks.place import Place, fill, new_root
from benchmarks.same_calls import Content, carry_all
from stages.engine import names
from stages.engine.attempt import Attempt
from stages.engine.identity import current
from stages.engine.posix import Posix
from stages.engine.work.in_process import InProcessWork

DATASETS = 250
ROUNDS = 41
FILES = {"x": b"x"}
LOOP_MAX = 1.6
DIRQ_MAX = 1.0


def measure(place: Place) -> list[Figure]:
    """Ratios to both, and what each takes for one dataset."""
    count = place.scaled(DATASETS)
    content = written(f"{place.memory}/sample")
    manifest = content.manifest.decode()
    facts = {name: str(fact) for name, fact in json.loads(manifest).items()}
    queues = f"{place.memory}/queues"
    engine, loop, table, string, both = interleaved(
        place.rounds(ROUNDS),
        lambda: by_the_engine(f"{place.memory}/engine", count),
        lambda: by_the_loop(f"{place.memory}/loop", count, content),
        lambda: dirq_queue.seconds_to_move(queues, {"header": facts}, count),
        lambda: dirq_queue.seconds_to_move(queues, {"body": manifest}, count),
        lambda: dirq_queue.seconds_to_move(queues, {"body": "", "header": facts}, count),
    )
    return [
        ratio("engine / loop of the same system calls", engine, loop, LOOP_MAX),
        ratio("engine / python-dirq, an element is a table of the same facts", engine, table, DIRQ_MAX),
        ratio("engine / python-dirq, an element is one string", engine, string),
        ratio("engine / python-dirq, an element is body and table", engine, both),
        each("engine, per dataset and stage", engine, count),
        each("loop of the same system calls", loop, count),
        each("python-dirq, an element is a table of the same facts", table, count),
        each("python-dirq, an element is one string", string, count),
    ]


def by_the_engine(root: str, count: int) -> float:
    """Return how long the engine takes for `count` datasets."""
    through = new_root(root)
    fill(through.reads, count, FILES)
    subject = poller(root, InProcessWork(nothing))
    begun = time.process_time()
    subject.poll()
    seconds = time.process_time() - begun
    assert count == len(os.listdir(through.reads.done))
    return seconds


def by_the_loop(root: str, count: int, content: Content) -> float:
    """Return how long the same calls take without an engine."""
    through = new_root(root)
    fill(through.reads, count, FILES)
    begun = time.process_time()
    carried = carry_all(through, content)
    seconds = time.process_time() - begun
    assert carried == count == len(os.listdir(through.reads.done))
    return seconds


def nothing(attempt: Attempt) -> None:
    """The work."""
    del attempt


class _Overheard(Posix):
    """The real file system, which remembers what was written last under each name."""

    def __init__(self) -> None:
        self.written: dict[str, bytes] = {}

    def write_new(self, path: str, content: bytes, *, synced: bool = False) -> None:
        self.written[path.rpartition("/")[2]] = content
        super().write_new(path, content, synced=synced)

    def symlink(self, value: str, name: str, at: int | None = None) -> None:
        self.written[name.rpartition("/")[2]] = value.encode()
        super().symlink(value, name, at)


def written(root: str) -> Content:
    """Return what the engine writes for one dataset, so that the loop can write as much."""
    fs = _Overheard()
    fill(new_root(root).reads, 1, FILES)
    poller(root, InProcessWork(nothing), fs=fs).poll()
    owner = current({}).claims("")
    return Content(attempt=fs.written[names.ATTEMPT].decode(), manifest=fs.written[names.MANIFEST], owner=owner)
