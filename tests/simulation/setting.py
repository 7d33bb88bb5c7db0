"""What a simulated stage is like: the engine's parts, what waits for it, and what is to come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stages.engine import reruns
from stages.engine.durability import Durability
from stages.engine.fs import FileSystem
from stages.engine.owner import Owners
from stages.engine.policy import RetryRule
from stages.engine.poller import Poller
from stages.engine.registers import Registers
from stages.engine.settlement import Settlement
from stages.engine.sightings import Lease
from stages.engine.store import Store
from stages.engine.sweeper import Sweeper
from tests.simulation.script import Part

THRICE: Final = RetryRule(attempts_max=3, backoff_seconds=())


def _same(fs: FileSystem) -> FileSystem:
    return fs


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The parts of the engine that are put together; a mutant has others. `door` stands before the file system."""

    poller: type[Poller] = Poller
    sweeper: type[Sweeper] = Sweeper
    store: type[Store] = Store
    settlement: type[Settlement] = Settlement
    registers: type[Registers] = Registers
    owners: type[Owners] = Owners
    rerun: Callable[..., str] = reruns.rerun
    door: Callable[[FileSystem], FileSystem] = _same


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A stage, what waits for it, and what is to come of it.

    `consumed`: the next stage takes every output at once. `lease` None: owners are taken for dead at any
    time; with `dead_owner`, only the one that died before. `rest` is what authors do when all that was
    scripted is over. `may_fail`, `must_fail`: the datasets that may or must end in quarantine.
    `failures`: as often as that authors fail, and so at most that is counted, None for any number.
    `undisturbed`: nobody's attempt is ended by somebody else while its owner lives. `one_client`: all
    are processes of one client. `occupied`: something stands at the destination. `second_given_out`:
    the next stage has rerun what was published before under that name, and has it still. `onward`: a next
    stage takes what is published.
    """

    datasets: tuple[str, ...] = ("ds",)
    retry: RetryRule = THRICE
    durability: Durability = Durability.FULL
    ready_marker: bool = False
    rest: Part | None = None
    consumed: bool = True
    lease: Lease | None = None
    dead_owner: bool = False
    one_client: bool = False
    occupied: bool = False
    second_given_out: bool = False
    onward: bool = False
    may_fail: frozenset[str] = frozenset()
    must_fail: frozenset[str] = frozenset()
    failures: int | None = None
    undisturbed: bool = False


ENGINE: Final = Engine()
ONE_DATASET: Final = Setting()
