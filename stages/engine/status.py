"""How far everything is, stage by stage: each directory is listed once, and only so many datasets are opened."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from stages.engine import names, pauses, sightings
from stages.engine.catalog import Catalog, passage
from stages.engine.clock import Clock
from stages.engine.finding import Action
from stages.engine.fs import FileSystem
from stages.engine.glance import Glance, Looker
from stages.engine.inspection import Inspection
from stages.engine.layout import Passage, Root
from stages.engine.plan import Pause
from stages.engine.sightings import Sightings
from stages.engine.spec import StageSpec
from stages.engine.standing import Standing

OPENED_MAX = 1000  # of the waiting datasets of a stage: what opening them costs stays below what listing them does
NAMED_MAX = 20  # troubles of one kind that are named

_AS_SEEN: dict[str, Standing] = {
    Action.BLOCKED: Standing.BLOCKED,
    Action.NO_PERMISSION: Standing.NO_PERMISSION,
    Action.NOT_A_DATASET: Standing.NOT_A_DATASET,
    Action.DAMAGED: Standing.DAMAGED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A dataset that waits for a person; `todo` is what to type or do."""

    dataset: str
    standing: Standing
    path: str
    todo: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStatus:
    """One stage. `opened` of `listed` datasets were looked at; of the others the last full sweep speaks.

    `swept_seconds_ago` is that sweep's age, None if there is no trace of one. `troubles` names the first few.
    `pause` is set while the trigger gives the stage no pollers, because the latest all failed.
    """

    stage: str
    title: str
    reads: str
    writes: str
    counts: Mapping[Standing, int]
    done: int
    oldest_waiting_seconds: float | None
    listed: int
    opened: int
    swept_seconds_ago: float | None
    retries_asked: int
    troubles: tuple[Trouble, ...]
    pause: Pause | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """All stages, and how many results there are to be taken."""

    stages: tuple[StageStatus, ...]
    results_at: str
    results: int


class Observer:
    """Looks at one root; changes nothing."""

    def __init__(self, *, fs: FileSystem, clock: Clock, inspection: Inspection, root: Root, catalog: Catalog) -> None:
        self._fs, self._inspection, self._root, self._catalog = fs, inspection, root, catalog
        self._clock = clock

    def status(self, *, full: bool = False) -> Status:
        """Look at all stages; `full` opens every dataset, however many there are. Raises OSError."""
        opened_max = math.inf if full else OPENED_MAX
        last = self._root.location(self._catalog.locations[-1])
        return Status(
            stages=tuple(self._stage(spec, opened_max) for spec in self._catalog.stages),
            results_at=last.path,
            results=sum(map(names.is_candidate, self._fs.listdir(last.path))),
        )

    def _stage(self, spec: StageSpec, opened_max: float) -> StageStatus:
        fs, through = self._fs, passage(self._root, spec)
        attempts = map(names.parse_attempt, fs.listdir(through.reads.work))
        working = {attempt.dataset for attempt in attempts if attempt is not None}
        waiting = [name for name in fs.listdir(through.reads.path) if names.is_candidate(name)]
        failed = [name for name in fs.listdir(through.reads.failed) if names.is_candidate(name)]
        seen, swept = sightings.latest(fs, self._root.sweep, spec.name)
        looker = Looker(
            fs=fs,
            inspection=self._inspection,
            passage=through,
            expires_seconds=spec.lease.expires_seconds,
            ready_marker=spec.arrival.ready_marker,
            now=self._clock.now(),
        )
        tally = _Tally(looker)
        tally.waiting(waiting, working, seen, opened_max)
        tally.failed(failed)
        return StageStatus(
            stage=spec.name,
            title=spec.title,
            reads=spec.reads,
            writes=spec.writes,
            counts=tally.counts,
            done=sum("~" in name for name in fs.listdir(through.reads.done)),
            oldest_waiting_seconds=tally.oldest_seconds,
            listed=len(waiting),
            opened=tally.opened,
            swept_seconds_ago=None if swept is None else max(0.0, self._clock.now() - swept),
            retries_asked=tally.retries_asked,
            troubles=tuple(tally.troubles),
            pause=pauses.told(fs, self._root, spec.name, now=self._clock.now()),
        )


@dataclass(slots=True)
class _Tally:
    """What has been found of one stage so far."""

    looker: Looker
    counts: Counter[Standing] = field(default_factory=Counter[Standing])
    oldest_seconds: float | None = None
    opened: int = 0
    retries_asked: int = 0
    troubles: list[Trouble] = field(default_factory=list[Trouble])

    def waiting(self, found: list[str], working: set[str], seen: Sightings, opened_max: float) -> None:
        """Open all that are at work and as many others as may be; the rest is as the last sweep saw it."""
        if len(found) <= opened_max:
            self._open_all(found)
            return
        there = set(found)
        known = [name for name in (*seen.troubles, *seen.backing_off) if name in there and name not in working]
        chosen = working & there
        others = (name for group in (known, found) for name in group if name not in working)
        chosen.update(islice(others, int(opened_max)))
        self._open_all(chosen)
        rest = there - chosen
        for name in known:
            if name in rest:
                rest.remove(name)
                self._recall(name, seen)
        self.counts[Standing.WAITING] += len(rest)

    def failed(self, found: list[str]) -> None:
        """What stands in `_failed` is quarantined; so many are opened to see whether a retry was asked for."""
        self.counts[Standing.QUARANTINED] += len(found)
        for dataset in sorted(found)[:OPENED_MAX]:
            path = f"{self.looker.passage.reads.failed}/{dataset}"
            self._count_request(self.looker.glance(path, dataset))
            self._name(dataset, Standing.QUARANTINED, path)

    def _open_all(self, chosen: Iterable[str]) -> None:
        for dataset in chosen:
            path = self.looker.passage.reads.dataset(dataset)
            seen = self.looker.glance(path, dataset)
            self.opened += 1
            if seen is None:
                continue
            self.counts[seen.standing] += 1
            self._count_request(seen)
            if seen.standing is Standing.WAITING:
                age_seconds = self.looker.age(path)
                if age_seconds is not None:
                    self.oldest_seconds = max(self.oldest_seconds or 0.0, age_seconds)
            elif seen.standing.needs_a_person:
                self._name(dataset, seen.standing, path, seen.why)

    def _count_request(self, seen: Glance | None) -> None:
        if seen is not None and seen.look is not None and seen.look.markers.request is not None:
            self.retries_asked += 1

    def _recall(self, dataset: str, seen: Sightings) -> None:
        """Count a dataset that is not opened now as the last sweep saw it."""
        standing = _AS_SEEN.get(seen.troubles.get(dataset, ""))
        if standing is not None:
            self.counts[standing] += 1
            self._name(dataset, standing, self.looker.passage.reads.dataset(dataset))
            return
        backing_off = seen.backing_off.get(dataset)
        later = backing_off is not None and backing_off.not_before > self.looker.now
        self.counts[Standing.BACKING_OFF if later else Standing.WAITING] += 1

    def _name(self, dataset: str, standing: Standing, path: str, why: str = "") -> None:
        """Put a trouble down by name, the first few of a kind."""
        if sum(trouble.standing is standing for trouble in self.troubles) < NAMED_MAX:
            todo = advice(standing, dataset, path, self.looker.passage, why)
            self.troubles.append(Trouble(dataset=dataset, standing=standing, path=path, todo=todo))


def advice(standing: Standing, dataset: str, path: str, through: Passage, why: str = "") -> str:
    """Say what a person does about a dataset that waits for one."""
    match standing:
        case Standing.QUARANTINED:
            return f"phaseline explain {dataset}"
        case Standing.NO_PERMISSION:
            return f"chmod g+rwxs {path}"
        case Standing.BLOCKED:
            return f"move away what is in the way: {through.writes.dataset(dataset)}"
        case Standing.DAMAGED:
            return why or f"phaseline explain {dataset}"
        case Standing.NOT_A_DATASET:
            return f"move it away, a dataset is a real directory: {path}"
        case _:
            return f"phaseline explain {dataset}"
