"""From a dataset's arrival with no poller alive to its first claim: trigger, worker and poller of a real stack."""

from __future__ import annotations

import os
import random
import socket
import statistics
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.place import CHECKOUT, Place
from infra.stack import choices, display, environment, fall, pollers, pools, rise
from infra.stack import place as places
from infra.stack.stack import Stack
from stages.engine import catalog

ROUNDS = 8
TRIGGER_SECONDS = 10.0
BEYOND_SECONDS_MAX = 3.0
CLAIMED_SECONDS = 120.0
ENDED_SECONDS = 60.0
LOOK_SECONDS = 0.02
UNFINISHED = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")


def measure(place: Place) -> list[Figure]:
    """Bring the stack up with its trigger due every ten seconds, and let datasets arrive at any time between."""
    with stack_up(place) as (stack, root):
        rounds = arrivals(stack, root, place.rounds(ROUNDS))
    most = TRIGGER_SECONDS + BEYOND_SECONDS_MAX
    return [
        Figure(
            name="arrival to first claim, trigger every 10 s, the longest",
            value=max(rounds),
            unit="s",
            target=most,
            rounds=rounds,
        ),
        Figure(name="the same, the median", value=statistics.median(rounds), unit="s", rounds=rounds),
    ]


@contextmanager
def stack_up(place: Place) -> Generator[tuple[Stack, Path]]:
    """A stack with its trigger due every ten seconds, and its root."""
    root = Path(place.disk, "root")
    stack = Stack(places.Place(clone=CHECKOUT, directory=Path(place.disk, "stack")))
    wanted = choices.Wanted(root=str(root), stages=None, port=_free_port(), trigger_seconds=TRIGGER_SECONDS)
    with redirect_stdout(sys.stderr):
        try:
            rise.bring_up(stack, wanted, display.Display())
            yield stack, root
        finally:
            fall.bring_down(stack, display.Display(), with_pollers=True)


def arrivals(stack: Stack, root: Path, count: int) -> tuple[float, ...]:
    """Return the seconds from arrival to first claim, of so many datasets that come when no poller is alive."""
    return tuple(_arrival(stack, root, f"dataset{number}") for number in range(count))


def _arrival(stack: Stack, root: Path, name: str) -> float:
    """Return the seconds from a dataset's arrival to its claim, and end the pollers that have come for it."""
    first = catalog.load(None).stages[0]
    reads = root / first.reads
    time.sleep(random.uniform(0, TRIGGER_SECONDS))  # as people come
    incoming = reads / "_incoming" / name
    incoming.mkdir()
    (incoming / "text.txt").write_text("it came\n")
    arrived = time.time()
    incoming.rename(reads / name)
    claim = f"taken.{first.name}.1"
    until = time.monotonic() + CLAIMED_SECONDS
    while (claimed := _time_of(reads, name, claim)) is None:
        if time.monotonic() > until:
            raise TimeoutError(f"{name} was not claimed within {CLAIMED_SECONDS:g} s: read {stack.place.logs}")
        time.sleep(LOOK_SECONDS)
    _end_pollers(stack, root)
    return claimed - arrived


def _time_of(reads: Path, name: str, claim: str) -> float | None:
    """Return when a dataset was claimed, wherever it stands meanwhile."""
    for directory in (reads / name, reads / "_failed" / name, *(reads / "_done").glob(f"{name}~*")):
        try:
            return os.lstat(directory / claim).st_mtime
        except FileNotFoundError:
            continue
    return None


def _end_pollers(stack: Stack, root: Path) -> None:
    """Cancel what there is, as the UI does: the stack is as if nobody had come for minutes."""
    until = time.monotonic() + ENDED_SECONDS
    names = [pool.name for pool in pools.read(CHECKOUT) if pool.type == "slurm"]
    asked: set[str] = set()
    while (runs := stack.api.unfinished(names, UNFINISHED)) or pollers.living(root):
        if time.monotonic() > until:
            raise TimeoutError(f"pollers go on: {runs}")
        for run in runs:
            if run.id not in asked:
                asked.add(run.id)
                stack.api.set_state(run.id, "CANCELLED" if run.state == "SCHEDULED" else "CANCELLING", "the next round")
        time.sleep(LOOK_SECONDS * 10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((environment.HOST, 0))
        return int(probe.getsockname()[1])
