"""Flows: what a process pays for importing all of them, beyond importing Prefect. One begins with that every minute.

Most of that is Prefect's own too: `import prefect` loads little of it, `from prefect import flow` the rest. So both are
shown. Seconds are of the processor, and counted inside the process that has imported Prefect just before: `import
prefect` takes ten times as long, and its own swings would hide what is asked for.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.figures import Figure, figure, interleaved
from benchmarks.place import CHECKOUT, Place

ROUNDS = 15
SECONDS_MAX = 0.2
PREFECT = "import prefect"
ONE_FLOW = "from prefect import flow; exec('@flow\\ndef one(x: int) -> None: pass')"
FLOWS = "import flows.poll, flows.rerun, flows.sweep, flows.trigger"
CLOCK = "from time import process_time"
NOTHING = "pass"


def measure(place: Place) -> list[Figure]:
    """What comes after `import prefect`, and that itself."""
    ours, one, prefect = interleaved(
        place.rounds(ROUNDS),
        lambda: seconds(FLOWS, after=PREFECT),
        lambda: seconds(ONE_FLOW, after=PREFECT),
        lambda: seconds(PREFECT, after=NOTHING),
    )
    return [
        figure("importing all flows, beyond `import prefect`", ours, "s", SECONDS_MAX),
        figure("a flow of one line, beyond `import prefect`", one, "s"),
        figure("import prefect", prefect, "s"),
    ]


def seconds(code: str, *, after: str) -> float:
    """Return how long a new interpreter is busy with `code`, once `after` is done."""
    measured = f"{CLOCK}; {after}; before = process_time()\n{code}\nprint(process_time() - before)"
    said = subprocess.run([sys.executable, "-c", measured], cwd=CHECKOUT, check=True, capture_output=True, text=True)
    return float(said.stdout)
