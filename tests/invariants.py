"""What is promised of a root (PROTOCOL 4, I1 to I7): `observe` a root, simulated or real, then ask for `violations`.

    found = observe(Posix(), "/data/root", ["PHASE_4", "PHASE_5"])
    assert violations(found, Expectation(stages=(...,), arrived={"PHASE_4": ["ds1", "ds2"]})) == []

While things are still going on (`at_rest=False`) what is half-way is not held against anybody.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, cast

from stages.engine import names
from stages.engine.archive import parse_archived
from stages.engine.fs import FileSystem, Kind
from stages.engine.layout import Location, Root
from stages.engine.policy import LOST_MAX
from stages.engine.records import ADMIN, Ended, EndKind, parse_ended, parse_taken


class Place(StrEnum):
    """Where in its location a dataset stands."""

    WAITING = "waiting"
    DONE = "_done"
    FAILED = "_failed"


class File(NamedTuple):
    """A file or link of a payload; `sha256` in hex, of a link's target for a link."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset's directory. `publication` is the token behind `~` in `_done`."""

    location: str
    place: Place
    name: str
    path: str
    publication: str | None = None
    registers: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, File] = field(default_factory=dict[str, File])
    manifest: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Private:
    """The private place of an attempt, in `_work`."""

    location: str
    directory: str
    has_output: bool


class EventKind(StrEnum):
    """What only a witness can tell."""

    PUBLISHED = "published"
    ARCHIVED = "archived"


class Event(NamedTuple):
    """A dataset was moved by a stage. `durable`: what it rests on would survive a loss of power."""

    kind: EventKind
    location: str
    dataset: str
    token: str
    durable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A root as it stands; `events` in their order, if somebody watched."""

    datasets: tuple[Dataset, ...]
    privates: tuple[Private, ...]
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What is to be known of a stage."""

    name: str
    reads: str
    writes: str
    attempts_max: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What was done to a root.

    `arrived`: the names that people put into each location, one for each time. `may_fail`: the base
    names that may end in quarantine, None for any. `durable`: the stages promise to survive a loss of
    power. `pruned`: payloads of archived datasets may have been removed.
    """

    stages: tuple[Stage, ...]
    arrived: Mapping[str, Iterable[str]]
    may_fail: frozenset[str] | None = None
    at_rest: bool = True
    durable: bool = True
    pruned: bool = False


# ---- observing


def observe(fs: FileSystem, root: str, locations: Iterable[str], events: tuple[Event, ...] = ()) -> Observation:
    """Describe a root; nobody may be moving things in it meanwhile."""
    found, privates = list[Dataset](), list[Private]()
    for name in locations:
        at = Root(root).location(name)
        found += _datasets(fs, at, name)
        for directory in sorted(fs.listdir(at.work)):
            if not directory.startswith("."):
                has_output = names.OUTPUT in fs.listdir(f"{at.work}/{directory}")
                privates.append(Private(location=name, directory=directory, has_output=has_output))
    return Observation(datasets=tuple(found), privates=tuple(privates), events=events)


def _datasets(fs: FileSystem, at: Location, location: str) -> Iterator[Dataset]:
    for place, path in ((Place.WAITING, at.path), (Place.DONE, at.done), (Place.FAILED, at.failed)):
        for entry in fs.scan(path):
            if place is Place.WAITING and not names.is_candidate(entry.name):
                continue
            name, token, *_ = [*entry.name.split("~"), ""]  # `~pruned` may stand behind the token
            yield _dataset(fs, f"{path}/{entry.name}", location, place, name, token or None)


def _dataset(fs: FileSystem, path: str, location: str, place: Place, name: str, token: str | None) -> Dataset:
    registers, files = dict[str, str](), dict[str, File]()
    manifest: Mapping[str, object] | None = None
    for inner, kind in _walk(fs, path):
        if inner == names.MANIFEST:
            manifest = cast("dict[str, object]", json.loads(fs.read(f"{path}/{inner}")))
        elif "/" not in inner and names.is_reserved(inner):
            if kind is Kind.LINK:
                registers[inner] = fs.readlink(f"{path}/{inner}")
        elif kind is not Kind.DIRECTORY:
            full = f"{path}/{inner}"
            content = fs.readlink(full).encode() if kind is Kind.LINK else fs.read(full)
            files[inner] = File(len(content), hashlib.sha256(content).hexdigest())
    return Dataset(
        location=location,
        place=place,
        name=name,
        path=path,
        publication=token,
        registers=registers,
        files=files,
        manifest=manifest,
    )


def _walk(fs: FileSystem, top: str, prefix: str = "") -> Iterator[tuple[str, Kind]]:
    for entry in fs.scan(f"{top}/{prefix}" if prefix else top):
        yield prefix + entry.name, entry.kind
        if entry.kind is Kind.DIRECTORY:
            yield from _walk(fs, top, f"{prefix}{entry.name}/")


# ---- judging


class Publication(NamedTuple):
    """An `ended = publish` register: of which dataset's directory, under which name, by whom."""

    dataset: Dataset
    name: str
    number: int
    token: str


def violations(found: Observation, expected: Expectation) -> list[str]:
    """Return every promise that is broken, each in a line that begins with its name; the only judge."""
    judge = _Judge(found, expected)
    lines = [*judge.missing(), *judge.registers(), *judge.publications(), *judge.places(), *judge.history()]
    if expected.at_rest:
        lines += judge.unfinished()
    return lines


class _Judge:
    def __init__(self, found: Observation, expected: Expectation) -> None:
        self._found, self._expected = found, expected
        self._by_location: dict[str, list[Dataset]] = {}
        for dataset in found.datasets:
            self._by_location.setdefault(dataset.location, []).append(dataset)
        self._publications = {stage.name: self._published_by(stage) for stage in expected.stages}
        self._trees: dict[str, dict[str, list[Dataset]]] = {}
        for stage in expected.stages:
            trees = self._trees.setdefault(stage.name, {})
            for dataset in self._by_location.get(stage.writes, []):
                if dataset.manifest is not None and dataset.manifest.get("stage") == stage.name:
                    trees.setdefault(str(dataset.manifest.get("token")), []).append(dataset)

    def _published_by(self, stage: Stage) -> list[Publication]:
        found: list[Publication] = []
        for dataset in self._by_location.get(stage.reads, []):
            for name, number, _, end in _attempts(stage, dataset):
                if end is not None and end.kind is EndKind.PUBLISH:
                    found.append(Publication(dataset, name, number, end.token))
        return found

    def missing(self) -> Iterator[str]:
        """I1: no dataset that arrived is missing, or there twice, or without what it held."""
        for location, arrived in self._expected.arrived.items():
            there = self._by_location.get(location, [])
            by_hand = [dataset for dataset in there if dataset.manifest is None]
            counted = Counter(names.generation(dataset.name).base for dataset in by_hand)
            for base, times in Counter(arrived).items():
                if counted[base] != times:
                    yield f"I1 {location}/{base}: arrived {times} times, there {counted[base]} times"
            for dataset in by_hand:
                if not dataset.files and not self._expected.pruned:
                    yield f"I1 {dataset.path}: nothing is left of what it held"

    def registers(self) -> Iterator[str]:
        """I2: attempts follow one another, each with one owner and one end; at most one of them publishes."""
        for stage in self._expected.stages:
            for dataset in self._by_location.get(stage.reads, []):
                attempts = list(_attempts(stage, dataset))
                for name in {name for name, *_ in attempts}:
                    mine = [a for a in attempts if a[0] == name]
                    published = [number for _, number, _, end in mine if end and end.kind is EndKind.PUBLISH]
                    if len(published) > 1 or (published and published[0] != len(mine)):
                        yield f"I2 {dataset.path}: attempts {published} of {len(mine)} published {name}"
                    for at, (_, number, owner, end) in enumerate(mine, 1):
                        if number != at or owner is None or (end is None and at < len(mine)):
                            yield f"I2 {dataset.path}: {name}: attempt {number} has no owner, or none before it an end"

    def publications(self) -> Iterator[str]:
        """I2, I3, I4: every tree is the one that a commit names, and is what its manifest says."""
        for stage in self._expected.stages:
            committed = {publication.token: publication for publication in self._publications[stage.name]}
            for token, trees in self._trees[stage.name].items():
                if len(trees) > 1:
                    yield f"I2 {' and '.join(tree.path for tree in trees)}: published twice by attempt {token}"
                for tree in trees:
                    publication = committed.get(token)
                    if publication is None:
                        yield f"I3 {tree.path}: published by {token}, which no register names"
                    elif _manifest_name(tree) != (publication.name, publication.number):
                        yield f"I3 {tree.path}: {_manifest_name(tree)} was published, not {publication[1:]}"
                    yield from _differences(tree, pruned=self._expected.pruned)
            for tree in self._by_location.get(stage.writes, []):
                arrived = self._expected.arrived.get(stage.writes, ())
                if tree.manifest is None and names.generation(tree.name).base not in arrived:
                    yield f"I3 {tree.path}: it did not arrive, and has no manifest"

    def places(self) -> Iterator[str]:
        """I7, I3: a dataset stands where its registers say; what is in `_done` has its output published."""
        for stage in self._expected.stages:
            trees = self._trees[stage.name]
            for dataset, name, _, token in self._publications[stage.name]:
                is_over = dataset.place is Place.DONE or name != dataset.name  # archived, or asked for anew since
                if is_over and token not in trees:
                    yield f"I7 {dataset.path}: the output that {token} committed is not there"
                if dataset.place is Place.FAILED and name == dataset.name:
                    yield f"I7 {dataset.path}: quarantined although {token} published it"
            ends = {(p.dataset.path, p.name): p.token for p in self._publications[stage.name]}
            for dataset in self._by_location.get(stage.reads, []):
                if dataset.place is Place.DONE and ends.get((dataset.path, dataset.name)) != dataset.publication:
                    yield f"I7 {dataset.path}: in _done although no attempt {dataset.publication} published it"

    def history(self) -> Iterator[str]:
        """I6 on budgets; I7 and durability as a witness saw them."""
        for stage in self._expected.stages:
            for dataset in self._by_location.get(stage.reads, []):
                yield from self._budget(stage, dataset)
        published: set[str] = set()
        for event in self._found.events:
            if event.kind is EventKind.PUBLISHED:
                published.add(event.token)
            elif event.token not in published:
                yield f"I7 {event.dataset}: archived as published by {event.token} before it was"
            if not event.durable and self._expected.durable:
                yield f"I3 {event.dataset}: {event.kind} before what that rests on was synced"

    def _budget(self, stage: Stage, dataset: Dataset) -> Iterator[str]:
        failures = lost = 0
        for name, number, owner, end in _attempts(stage, dataset):
            if number == 1 or owner == ADMIN:
                failures = lost = 0
            if end is None:
                continue
            steps = (end.failures - failures, end.lost - lost)
            if steps not in ((0, 0), (1, 0), (0, 1)) or (owner == ADMIN and steps != (0, 0)):
                yield f"I6 {dataset.path}: {name}: attempt {number} counts {end.value}, after {failures}, {lost}"
            failures, lost = end.failures, end.lost
            if failures > stage.attempts_max or lost > LOST_MAX:
                yield f"I6 {dataset.path}: {name}: more was counted than is allowed: {end.value}"
        if dataset.place is Place.FAILED and self._expected.may_fail is not None:
            if names.generation(dataset.name).base not in self._expected.may_fail:
                yield f"I6 {dataset.path}: quarantined, and it is not its fault: {dict(dataset.registers)}"

    def unfinished(self) -> Iterator[str]:
        """I5: at rest nothing is half-way, and what could be claimed has been."""
        for stage in self._expected.stages:
            here = self._by_location.get(stage.reads, [])
            there = {d.name for d in self._by_location.get(stage.writes, []) if d.place is Place.WAITING}
            for dataset in here:
                last = max(_attempts(stage, dataset, dataset.name), default=None, key=lambda attempt: attempt[1])
                end = None if last is None else last[3]
                is_blocked = end is not None and end.kind is EndKind.PUBLISH and dataset.name in there
                if dataset.place is Place.WAITING and not is_blocked:
                    yield f"I5 {dataset.path}: still waiting at rest: {dict(dataset.registers)}"
                if dataset.place is Place.FAILED and (end is None or end.kind is not EndKind.QUARANTINE):
                    yield f"I5 {dataset.path}: in _failed, and its registers do not say why"
            known = {
                f"{name}.{number}.{owner}": end
                for dataset in here
                for name, number, owner, end in _attempts(stage, dataset)
                if name == dataset.name and not (dataset.place is Place.WAITING and dataset.name in there)
            }
            for private in self._found.privates:
                if private.location == stage.reads and known.get(private.directory) is not None:
                    yield f"I5 {private.location}/_work/{private.directory}: left behind by an attempt that ended"


Attempt = tuple[str, int, str | None, Ended | None]  # name in its generation, number, owner's token, end


def _attempts(stage: Stage, dataset: Dataset, only: str | None = None) -> Iterator[Attempt]:
    """Yield the attempts of a stage at a dataset's directory, all generations, in their order."""
    base, latest = names.generation(dataset.name)
    for number in range(1, latest + 1):
        name = names.in_generation(base, number)
        if only is not None and name != only:
            continue
        tag = names.tag(stage.name, name)
        numbers = {
            int(register.rpartition(".")[2])
            for register in dataset.registers
            if register.rpartition(".")[0] in (f"taken.{tag}", f"ended.{tag}")
        }
        for attempt in sorted(numbers):
            owner = dataset.registers.get(names.taken(tag, attempt))
            end = dataset.registers.get(names.ended(tag, attempt))
            yield (
                name,
                attempt,
                None if owner is None else parse_taken(owner, dataset.path).token,
                None if end is None else parse_ended(end, dataset.path),
            )


def _manifest_name(tree: Dataset) -> tuple[str, int]:
    manifest = tree.manifest or {}
    name = names.in_generation(str(manifest.get("dataset")), int(str(manifest.get("generation"))))
    return name, int(str(manifest.get("attempt")))


def _differences(tree: Dataset, *, pruned: bool) -> Iterator[str]:
    """Compare a tree with its manifest."""
    manifest = tree.manifest or {}
    outputs = cast("list[dict[str, object]]", manifest.get("outputs", []))
    said = {str(output["path"]): output for output in outputs}
    if not tree.files and pruned:
        return
    if said.keys() != tree.files.keys():
        yield f"I3 {tree.path}: its manifest names {sorted(said)}, there are {sorted(tree.files)}"
    for path, file in tree.files.items():
        output = said.get(path)
        if output is None or "link" in output:
            continue
        if output["size"] != file.size or output["sha256"] not in (None, file.sha256):
            yield f"I4 {tree.path}/{path}: it is not what its manifest says"
