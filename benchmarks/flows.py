"""Flows: what a process pays for importing all of them, beyond importing Prefect. One begins with that every minute.

Most of that is Prefect's own too: `import prefect` loads little of it, defining one flow with a parameter the rest. So
both are subtracted. Seconds are of the processor, as in `coordination`, each time in a process of its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.figures import Figure, figure, interleaved
from benchmarks.place import CHECKOUT, Place

ROUNDS = 15
SECONDS_MAX = 0.2
PREFECT = "import prefect"
ONE_FLOW = "from prefect import flow; exec('@flow\\ndef one(x: int) -> None: pass')"
FLOWS = "import flows.poll, flows.rerun, flows.sweep, flows.trigger"


def measure(place: Place) -> list[Figure]:
    """Two differences."""
    ours, bare, one = interleaved(
        place.rounds(ROUNDS), lambda: seconds(FLOWS), lambda: seconds(PREFECT), lambda: seconds(ONE_FLOW)
    )
    return [
        figure("importing all flows, beyond `import prefect`", _beyond(ours, bare), "s", SECONDS_MAX),
        figure("importing all flows, beyond a flow of one line", _beyond(ours, one), "s"),
        figure("import prefect", bare, "s"),
    ]


def _beyond(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [one - other for one, other in zip(ours, theirs, strict=True)]


def seconds(code: str) -> float:
    """Return how long a new interpreter is busy with `code`."""
    before = _spent()
    subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=True)
    return _spent() - before


def _spent() -> float:
    """Return the processor seconds of all children that have ended."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime
