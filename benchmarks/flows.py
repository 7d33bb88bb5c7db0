"""Flows: what a process pays for importing all of them, beyond importing Prefect. One begins with that every minute.

Seconds are of the processor, as in `coordination`, each time in a process of its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys

from benchmarks.figures import Figure, figure, interleaved
from benchmarks.place import CHECKOUT, Place

ROUNDS = 15
SECONDS_MAX = 0.2
PREFECT = "import prefect"
FLOWS = "import flows.poll, flows.rerun, flows.sweep, flows.trigger"


def measure(place: Place) -> list[Figure]:
    """A difference."""
    ours, theirs = interleaved(place.rounds(ROUNDS), lambda: seconds(FLOWS), lambda: seconds(PREFECT))
    beyond = [one - other for one, other in zip(ours, theirs, strict=True)]
    return [
        figure("importing all flows, beyond Prefect", beyond, "s", SECONDS_MAX),
        figure("importing Prefect", theirs, "s"),
    ]


def seconds(code: str) -> float:
    """Return how long a new interpreter is busy with `code`."""
    before = _spent()
    subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=True)
    return _spent() - before


def _spent() -> float:
    """Return the processor seconds of all children that have ended."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime
