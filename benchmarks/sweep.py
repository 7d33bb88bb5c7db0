"""Sweep: the flow over a hundred thousand datasets against `phaseline sweep`, and what it asks of the server then.

Both in one process that is warm, the flow with a real server beside it (SQLite, this machine); wall time, for a flow
waits for its server. *Mapped runs* and *requests* are those of many datasets less those of ten: logs are sent in
packets by time, so a sweep that takes longer may send a packet more. In memory.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TypedDict, cast

from benchmarks.coordination import FILES
from benchmarks.figures import Figure, figure, ratio
from benchmarks.place import CHECKOUT, READS, STAGE, WRITES, Place, fill
from stages.engine import roots
from stages.engine.layout import Root
from stages.engine.posix import Posix
from tests.flows.server import end, start

MANY = 100_000
FEW = 10
ROUNDS = 5
SWEEP_MAX = 3.0
PACKETS_MAX = 3.0
TOML = f"""
reads = "{READS}"
writes = "{WRITES}"
[work]
command = ["true"]
"""


class Measured(TypedDict):
    """What `benchmarks.sweeping` prints; a list has an item for each round."""

    command: list[float]
    flow: list[float]
    requests: list[float]
    mapped: list[float]


def measure(place: Place) -> list[Figure]:
    """A ratio of times, two differences, and what they are of."""
    os.environ |= {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    directory = Path(place.disk, "server")
    directory.mkdir()
    server = start(directory)
    try:
        return compare(place, server["url"])
    finally:
        end(server["pid"])


def compare(place: Place, url: str) -> list[Figure]:
    """The same, with a server that is there."""
    count = place.scaled(MANY)
    many, few = _swept(place, url, count), _swept(place, url, FEW)
    return [
        ratio(
            f"sweep as a flow / phaseline sweep, {count:,} waiting",
            many["flow"],
            many["command"],
            SWEEP_MAX if count == MANY else None,
        ),
        figure(f"phaseline sweep, {count:,} waiting", many["command"], "s"),
        figure(f"sweep as a flow, {count:,} waiting", many["flow"], "s"),
        figure(f"sweep as a flow, {FEW} waiting", few["flow"], "s"),
        figure(f"mapped runs of a sweep, {count:,} waiting - {FEW}", _more(many["mapped"], few["mapped"]), "", 0.0),
        figure("mapped runs of a sweep", many["mapped"], ""),
        figure(
            f"requests of a sweep, {count:,} waiting - {FEW}",
            _more(many["requests"], few["requests"]),
            "",
            PACKETS_MAX,
        ),
        figure("requests of a sweep", many["requests"], ""),
    ]


def _more(many: list[float], few: list[float]) -> list[float]:
    return [one - other for one, other in zip(many, few, strict=True)]


def _swept(place: Place, url: str, count: int) -> Measured:
    root, stages = f"{place.memory}/root", Path(place.memory, "stages")
    shutil.rmtree(root, ignore_errors=True)
    (stages / STAGE).mkdir(parents=True, exist_ok=True)
    (stages / STAGE / "stage.toml").write_text(TOML)
    os.mkdir(root)
    roots.make_directories(Posix(), Root(root), [READS, WRITES])
    roots.seal_root(Posix(), Root(root))
    fill(Root(root).location(READS), count, FILES)
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PHASELINE_", "PREFECT_"))}
    environment = {
        **ours,
        "PHASELINE_ROOT": root,
        "PHASELINE_STAGES": str(stages),
        "PREFECT_API_URL": url,
        "PREFECT_HOME": f"{place.disk}/client",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "DO_NOT_TRACK": "1",
    }
    words = [sys.executable, "-m", "benchmarks.sweeping", str(place.rounds(ROUNDS))]
    ended = subprocess.run(words, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(ended.stderr)
    shutil.rmtree(root)
    return cast("Measured", json.loads(ended.stdout.splitlines()[-1]))
