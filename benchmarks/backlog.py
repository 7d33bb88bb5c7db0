"""Backlog: what a hundred thousand datasets cost a poller, those that wait and those that are done.

*First claim* is all from a new poller's first look to its first dataset, carried through and archived, against one
`os.listdir` of the same directory. *Archived* compares datasets of the same small backlog, with and without
a hundred thousand in `_done`. Seconds are of the processor, as in `coordination`. *Memory* is the peak of a real
poller at its twentieth dataset.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from benchmarks import pollers
from benchmarks.coordination import FILES, nothing
from benchmarks.engine import poller
from benchmarks.figures import Figure, each, figure, interleaved, ratio
from benchmarks.place import Place, fill, new_root, passage
from stages.engine import names
from stages.engine.work.in_process import InProcessWork

MANY = 100_000
FEW = 1_000
DATASETS = 200
CARRIED = 20
ROUNDS = 9
ROUNDS_OF_ARCHIVED = 25
ROUNDS_OF_MEMORY = 3
LISTDIR_MAX = 2.0
ARCHIVED_MAX = 1.10
MEMORY_MAX = 10.0


def measure(place: Place) -> list[Figure]:
    """Two ratios and a difference."""
    return [*_first_claim(place), *_archived(place), *_memory(place)]


def _first_claim(place: Place) -> list[Figure]:
    root, many = f"{place.memory}/waiting", place.scaled(MANY)
    through = new_root(root)
    fill(through.reads, many, FILES)

    def claim() -> float:
        subject = poller(root, InProcessWork(nothing), datasets_max=1)
        begun = time.process_time()
        subject.poll()
        return time.process_time() - begun

    def listing() -> float:
        begun = time.process_time()
        os.listdir(through.reads.path)
        return time.process_time() - begun

    rounds = place.rounds(ROUNDS)
    ours, bare = interleaved(rounds, claim, listing)
    assert len(os.listdir(through.reads.done)) == rounds + 1
    shutil.rmtree(root)
    return [
        ratio(f"first claim, {many:,} waiting / os.listdir", ours, bare, LISTDIR_MAX),
        figure(f"first claim, {many:,} waiting", [one * 1000 for one in ours], "ms"),
    ]


def _archived(place: Place) -> list[Figure]:
    count, many = place.scaled(DATASETS), place.scaled(MANY)
    old, new = f"{place.memory}/old", f"{place.memory}/new"
    new_root(new)
    done = new_root(old).reads.done
    for number in range(many):
        os.mkdir(f"{done}/old{number:06d}~0123abcd")
    rounds = place.rounds(ROUNDS_OF_ARCHIVED)
    ours, without = interleaved(rounds, lambda: _carry(old, count), lambda: _carry(new, count))
    for root in (old, new):
        shutil.rmtree(root)
    return [
        ratio(f"a dataset, {many:,} archived / none", ours, without, ARCHIVED_MAX),
        each(f"a dataset, {many:,} archived", ours, count),
    ]


def _carry(root: str, count: int) -> float:
    """Return how long `count` datasets take; their archive is cleared away again."""
    through = passage(root)
    fill(through.reads, count, FILES)
    subject = poller(root, InProcessWork(nothing))
    begun = time.process_time()
    subject.poll()
    seconds = time.process_time() - begun
    carried = [name for name in os.listdir(through.reads.done) if name.startswith("ds")]
    assert len(carried) == count
    for name in carried:
        shutil.rmtree(f"{through.reads.done}/{name}")
        shutil.rmtree(through.writes.dataset(name.partition("~")[0]))
    return seconds


def _memory(place: Place) -> list[Figure]:
    few, many = place.scaled(FEW), place.scaled(MANY)
    rounds = range(ROUNDS_OF_MEMORY if place.share >= 1 else 1)
    small = [peak_mb(place.memory, few) for _ in rounds]
    large = [peak_mb(place.memory, many) for _ in rounds]
    more = [one - other for one, other in zip(large, small, strict=True)]
    return [
        figure(f"a poller's memory, {many:,} waiting - {few:,}", more, "MB", MEMORY_MAX),
        figure(f"a poller's memory, {many:,} waiting", large, "MB"),
    ]


def peak_mb(base: str, waiting: int) -> float:
    """Return the most memory that a real poller has had, in MB, after carrying some of `waiting` datasets."""
    path, carried = f"{base}/memory", min(waiting, CARRIED)
    output = 'durability = "none"\nhashing = false'
    chain = pollers.new_chain(path, 1, "memory_of_the_poller", output=output)
    through = chain.passages[0]
    fill(through.reads, waiting, FILES)
    pollers.end(chain, [pollers.start(chain, through.stage, "--datasets", str(carried))])
    published = [name for name in os.listdir(through.writes.path) if names.is_candidate(name)]
    assert len(published) == carried
    peak_kb = max(int(Path(through.writes.dataset(name), "peak_kb").read_text()) for name in published)
    shutil.rmtree(path)
    return peak_kb / 1000
