"""Command: a stage whose work is a program, started for each dataset, against `subprocess.run` of the same program.

Bare is bare: no pipe for its output, no time limit, no marker, no manifest, and an environment only where the program
asks for it. The engine is in this process, durability none, hashing off, no log lines; in memory.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence

from benchmarks.engine import poller
from benchmarks.figures import Figure, each, interleaved, ratio
from benchmarks.place import CHECKOUT, Place, fill, new_root
from stages.engine.work.command_work import CommandWork
from stages.engine.work.prctl import become_subreaper

DATASETS = 25
ROUNDS = 25
FILES = {"x": b"x" * 1000}
BARE_MAX = 1.5
TRUE = ("true",)
SHELL = ("sh", "-c", 'tr a-z A-Z <"$STAGE_INPUT/x" >"$STAGE_OUTPUT/x"')
COMMANDS = {"true": TRUE, "sh": SHELL}
_TIMEOUT_SECONDS = 60.0


def measure(place: Place) -> list[Figure]:
    """A ratio for a program that does nothing, and one for a shell that starts another."""
    become_subreaper()  # as every poller does: it is how no descendant is lost
    count = place.scaled(DATASETS)
    found: list[Figure] = []
    for name, command in COMMANDS.items():
        engine, bare = interleaved(
            place.rounds(ROUNDS),
            lambda command=command: by_the_engine(f"{place.memory}/engine", command, count),
            lambda command=command: by_itself(f"{place.memory}/bare", command, count),
        )
        found += [
            ratio(f"command stage / subprocess.run, {name}", engine, bare, BARE_MAX),
            each(f"command stage, {name}, per dataset", engine, count),
            each(f"subprocess.run, {name}", bare, count),
        ]
    return found


def by_the_engine(root: str, command: Sequence[str], count: int) -> float:
    """Return how long a command stage takes for `count` datasets."""
    through = new_root(root)
    fill(through.reads, count, FILES)
    work = CommandWork(stage_directory=str(CHECKOUT), command=command, timeout_seconds=_TIMEOUT_SECONDS)
    work.prepare()  # what is done once, before the first claim
    subject = poller(root, work)
    begun = time.perf_counter()
    subject.poll()
    seconds = time.perf_counter() - begun
    assert len(os.listdir(through.reads.done)) == count
    return seconds


def by_itself(root: str, command: Sequence[str], count: int) -> float:
    """Return how long the same program takes `count` times."""
    through = new_root(root)
    fill(through.reads, count, FILES)
    output = f"{root}/output"
    os.mkdir(output)
    begun = time.perf_counter()
    for dataset in os.listdir(through.reads.path):
        if not dataset.startswith("_"):
            facts = {"STAGE_INPUT": through.reads.dataset(dataset), "STAGE_OUTPUT": output}
            subprocess.run(command, env=None if command == TRUE else {**os.environ, **facts}, check=True)
    return time.perf_counter() - begun
