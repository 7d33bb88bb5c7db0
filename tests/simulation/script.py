"""What a simulated author's code does in an attempt: parts that a scenario puts together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from stages.engine.fs import FileSystem
from stages.engine.work.order import Log, Order, Watch, unwatched
from stages.engine.work.outcome import PUBLISHED, Outcome, OutcomeKind, Stop, stopped
from tests.simulation.client import SimulatedFileSystem

Part = Callable[[FileSystem, Order, Watch], Outcome]

RESULT: Final = "result"
_LONG_STEPS: Final = 12
_STEPS: Final = 3


class ScriptedWork:
    """Plays one part per attempt, in their order, then `rest`."""

    def __init__(self, fs: FileSystem, parts: Iterable[Part] = (), rest: Part | None = None) -> None:
        self._fs, self._parts, self._rest = fs, iter(parts), rest or publishes

    def prepare(self, watch: Watch = unwatched) -> None:
        return

    def run(self, order: Order, watch: Watch, log: Log) -> Outcome:
        return next(self._parts, self._rest)(self._fs, order, watch)

    def close(self) -> None:
        return


def publishes(fs: FileSystem, order: Order, watch: Watch) -> Outcome:
    """Writes its token."""
    fs.write_new(f"{order.output}/{RESULT}", order.token.encode())
    return PUBLISHED


def fails(fs: FileSystem, order: Order, watch: Watch) -> Outcome:
    """Writes something, then fails: counted."""
    publishes(fs, order, watch)
    return Outcome(kind=OutcomeKind.FAIL, why="boom", signature="boom")


def puts_off(fs: FileSystem, order: Order, watch: Watch) -> Outcome:
    """Raises TryLater: not counted."""
    return Outcome(kind=OutcomeKind.LATER, why="not now")


def is_asked_to_stop(fs: FileSystem, order: Order, watch: Watch) -> Outcome:
    """Is given back unfinished: not counted."""
    publishes(fs, order, watch)
    return stopped(Stop.DRAIN)


def removes_its_output(fs: FileSystem, order: Order, watch: Watch) -> Outcome:
    """Clears away too much, the output's own directory included, and says that all is well."""
    fs.remove_tree(order.output)
    return PUBLISHED


def leaves_a_process_behind(fs: FileSystem, order: Order, watch: Watch) -> Outcome:
    """Says that all is well, and something that it started cannot be stopped (see `people.straggler`)."""
    publishes(fs, order, watch)
    return replace(PUBLISHED, contained=False)


def sees_its_input_grow(fs: FileSystem, order: Order, watch: Watch) -> Outcome:
    """Works while somebody's copy into its input goes on."""
    with suppress(FileExistsError):
        fs.write_new(f"{order.input}/y", b"more data")
    return publishes(fs, order, watch)


def takes_long(fs: FileSystem, order: Order, watch: Watch) -> Outcome:
    """Works for several leases; each step takes time (see `Rules.reading_seconds`)."""
    for _ in range(_LONG_STEPS):
        stop = watch()
        if stop is not None:
            return stopped(stop)
        fs.read(f"{order.input}/x")
    return publishes(fs, order, watch)


def works_a_while(fs: FileSystem, order: Order, watch: Watch) -> Outcome:
    """Works for longer than a lease, in a few steps."""
    for _ in range(_STEPS):
        stop = watch()
        if stop is not None:
            return stopped(stop)
        fs.read(f"{order.input}/x")
    return publishes(fs, order, watch)


def works_until_revoked(fs: FileSystem, order: Order, watch: Watch) -> Outcome:
    """Works on and on; a poller that does not stop it soon after its private place is gone is at fault."""
    private, in_vain = order.output.rpartition("/")[0], 0
    for _ in range(_LONG_STEPS):
        stop = watch()
        if stop is not None:
            return stopped(stop)
        fs.read(f"{order.input}/x")
        in_vain = in_vain + 1 if isinstance(fs, SimulatedFileSystem) and fs.is_gone(private) else 0
        if in_vain > _LONG_STEPS // 3:
            raise AssertionError("it was revoked long ago, and is still at work")
    return publishes(fs, order, watch)
