"""What stands in for the world in tests: a clock moved by hand, work by a script, calls that fail on demand, a root."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

from stages.engine import assembly, roots
from stages.engine.catalog import passage
from stages.engine.drain import Drain
from stages.engine.errors import StageSetupError
from stages.engine.identity import Identity, Process
from stages.engine.layout import Passage, Root
from stages.engine.poller import Poller
from stages.engine.posix import Posix
from stages.engine.sightings import Sightings
from stages.engine.spec import StageSpec, parse_spec
from stages.engine.store import Claim, Loss, Store
from stages.engine.sweeper import Sweeper
from stages.engine.vigil import Limits
from stages.engine.work.order import Log, Order, Watch, unwatched
from stages.engine.work.outcome import PUBLISHED, Outcome, OutcomeKind

START = 1_800_000_000.0  # a whole second, so that a not-before can be compared


class FakeClock:
    """Time that passes only when somebody sleeps or moves it; wall and monotonic clock differ, as they do."""

    def __init__(self) -> None:
        self._passed = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return START + self._passed

    def monotonic(self) -> float:
        return 5000.0 + self._passed

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._passed += seconds

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += seconds


Deed = Callable[[Order, Watch, Log], Outcome]


def write_result(order: Order, watch: Watch, log: Log) -> Outcome:
    """Do what a good stage does."""
    Path(order.output, "result.txt").write_text(order.dataset)
    return PUBLISHED


def fail(why: str = "boom", signature: str = "ValueError stage.py:3") -> Deed:
    """Return the deed of a stage that fails in one way."""
    return lambda order, watch, log: Outcome(kind=OutcomeKind.FAIL, why=why, signature=signature)


def answer(kind: OutcomeKind, why: str = "so it is", *, after_seconds: float | None = None) -> Deed:
    """Return the deed of a stage that does nothing but answer."""
    return lambda order, watch, log: Outcome(kind=kind, why=why, after_seconds=after_seconds)


def in_turn(*deeds: Deed) -> Deed:
    """Return the deed that is another one at each attempt."""
    left = iter(deeds)

    def deed(order: Order, watch: Watch, log: Log) -> Outcome:
        return next(left)(order, watch, log)

    return deed


class FakeWork:
    """Carries out orders by a script: a deed for all, or one by a dataset's name."""

    def __init__(self, deed: Deed = write_result, **deeds: Deed) -> None:
        self._deed, self._deeds = deed, deeds
        self.orders: list[Order] = []
        self.broken: StageSetupError | None = None
        self.prepared, self.closed = 0, False

    def prepare(self, watch: Watch = unwatched) -> None:
        self.prepared += 1
        if self.broken is not None:
            raise self.broken

    def run(self, order: Order, watch: Watch, log: Log) -> Outcome:
        self.orders.append(order)
        return self._deeds.get(order.dataset, self._deed)(order, watch, log)

    def close(self) -> None:
        self.closed = True


@dataclass(slots=True)
class _Event:
    """What happens at the next calls of a method whose arguments hold `where`."""

    method: str
    where: str
    action: Callable[[], None]
    times: int
    afterwards: bool


class EventfulFs(Posix):
    """The real file system, with events at calls of one's choice: errors, lost replies, somebody else's step."""

    def __init__(self) -> None:
        self._events: list[_Event] = []

    def before(self, method: str, where: str, action: Callable[[], None], *, times: int = 1) -> None:
        """Do something just before the next `times` calls of `method` at a name that holds `where`."""
        self._events.append(_Event(method, where, action, times, afterwards=False))

    def after(self, method: str, where: str, action: Callable[[], None], *, times: int = 1) -> None:
        """Do something just after."""
        self._events.append(_Event(method, where, action, times, afterwards=True))

    def fail(self, method: str, where: str, number: int, *, times: int = 1_000_000) -> None:
        """Let calls fail: nothing is done."""
        self.before(method, where, raising(number, where), times=times)

    def lose_reply(self, method: str, where: str, number: int) -> None:
        """Let one call be done, and fail all the same."""
        self.after(method, where, raising(number, where))

    def calm(self) -> None:
        """Let everything succeed from now on."""
        self._events.clear()

    def __getattribute__(self, name: str) -> object:
        found: object = super().__getattribute__(name)
        if name.startswith("_") or name not in Posix.__dict__:
            return found
        return partial(self._call, name, cast("Callable[..., object]", found))

    def _call(self, name: str, method: Callable[..., object], *arguments: object, **options: object) -> object:
        words = " ".join(str(argument) for argument in arguments)
        self._happen(name, words, afterwards=False)
        result = method(*arguments, **options)
        self._happen(name, words, afterwards=True)
        return result

    def _happen(self, name: str, words: str, *, afterwards: bool) -> None:
        for event in [*self._events]:
            if (event.method, event.afterwards) == (name, afterwards) and event.where in words and event.times > 0:
                event.times -= 1
                event.action()


def raising(number: int, where: str = "") -> Callable[[], None]:
    """Return an action that raises the OSError of that number."""

    def fall() -> None:
        raise OSError(number, os.strerror(number), where)

    return fall


def identity(host: str = "node1", pid: int = 4711, job: str = "-") -> Identity:
    """Return an owner of another boot than this one: its process cannot be looked at."""
    process = Process(boot_id=f"boot-of-{host}", pid_namespace="pid:[1]", pid=pid, started_ticks=1)
    return Identity(host=host, process=process, job=job)


@dataclass(kw_only=True)
class Yard:
    """A root with one stage, `first`, that reads A and writes B; `table` is what its stage.toml says besides."""

    top: Path
    table: Mapping[str, object] = field(default_factory=dict[str, object])
    fs: EventfulFs = field(default_factory=EventfulFs)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.root = Root(str(self.top / "root"))
        Path(self.root.path).mkdir(exist_ok=True)
        roots.make_directories(self.fs, self.root, ["A", "B"])
        roots.seal_root(self.fs, self.root)

    @property
    def spec(self) -> StageSpec:
        """The stage as it stands in `table`; nothing is synced unless that says so."""
        table = {
            "reads": "A",
            "writes": "B",
            "work": {"callable": "stage:process"},
            "output": {"durability": "none"},
            **self.table,
        }
        return parse_spec(table, name="first", directory="/nowhere", where="stage.toml")

    @property
    def passage(self) -> Passage:
        """Where the stage reads and writes."""
        return passage(self.root, self.spec)

    @property
    def a(self) -> Path:
        """Where datasets wait."""
        return Path(self.passage.reads.path)

    @property
    def b(self) -> Path:
        """Where they are published."""
        return Path(self.passage.writes.path)

    def names(self, place: str) -> list[str]:
        """What stands in a directory of the root, by its path below it; the engine's own places left out."""
        return sorted(path.name for path in (self.top / "root" / place).iterdir() if path.name[0] not in "_.")

    def site(self, who: Identity | None = None) -> assembly.Site:
        """Return the site of a process."""
        return assembly.Site(fs=self.fs, clock=self.clock, identity=who or identity(), root=self.root)

    def store(self, who: Identity | None = None) -> Store:
        """Return a store for a process."""
        return assembly.store(self.site(who), self.spec, EDITION)

    def poller(
        self, work: FakeWork, *, who: Identity | None = None, limits: Limits | None = None, drain: Drain | None = None
    ) -> Poller:
        """Return a poller; it ends when nothing is left, unless `limits` say otherwise."""
        return assembly.poller(
            self.site(who),
            self.spec,
            EDITION,
            work=work,
            limits=limits or Limits(until_idle=True),
            drain=drain or Drain(),
        )

    def sweeper(
        self,
        sightings: Sightings | None = None,
        *,
        who: Identity | None = None,
        job_ended: Callable[[str], bool | str | None] | None = None,
    ) -> Sweeper:
        """Return a sweeper on another host."""
        seen = Sightings() if sightings is None else sightings
        return assembly.sweeper(self.site(who or identity("node2")), self.spec, EDITION, seen, job_ended)

    def add(self, name: str, files: Mapping[str, str] | None = None) -> Path:
        """Put a dataset where it is claimed."""
        path = self.a / name
        path.mkdir()
        for inner, text in ({"a.txt": "hello"} if files is None else files).items():
            (path / inner).parent.mkdir(parents=True, exist_ok=True)
            (path / inner).write_text(text)
        return path

    def claim(self, dataset: str, who: Identity | None = None) -> Claim:
        """Claim a dataset that can be claimed."""
        claim = self.store(who).claim(dataset)
        assert isinstance(claim, Claim), claim
        return claim

    def loss(self, dataset: str) -> Loss:
        """Try to claim a dataset that cannot be claimed."""
        loss = self.store().claim(dataset)
        assert isinstance(loss, Loss), loss
        return loss


EDITION = assembly.Edition(code_version="sha256:0123456789ab", image="phaseline-first:1")


def registers(dataset: Path) -> dict[str, str]:
    """Read every marker that is a symlink, in order."""
    return {path.name: os.readlink(path) for path in sorted(dataset.iterdir()) if path.is_symlink()}
