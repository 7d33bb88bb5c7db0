"""What is promised of a root (PROTOCOL 4, I1 to I7): `observe` a root, simulated or real, then ask for `violations`.

    found = observe(Posix(), "/data/root", ["PHASE_4", "PHASE_5"])
    assert violations(found, Expectation(stages=(...,), arrived={"PHASE_4": ["ds1", "ds2"]})) == []

While things are still going on (`at_rest=False`) what is half-way is not held against anybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

from stages.engine import names
from stages.engine.policy import LOST_MAX
from stages.engine.records import ADMIN, Ended, EndKind, parse_ended, parse_taken
from tests.observation import Dataset, Event, EventKind, File, Observation, Place, Private, observe

__all__ = [
    "Dataset",
    "Event",
    "EventKind",
    "Expectation",
    "File",
    "Observation",
    "Place",
    "Private",
    "Stage",
    "observe",
    "violations",
]


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

    `arrived`: the names that people put into each location, one for each time. `may_fail`, `must_fail`:
    the base names that may or must end in quarantine, None for any. `may_block`: a published dataset may
    wait for something in the way of its output. `durable`: the stages promise to survive a loss of power. `pruned`:
    payloads of archived datasets may have been removed.
    """

    stages: tuple[Stage, ...]
    arrived: Mapping[str, Iterable[str]]
    may_fail: frozenset[str] | None = None
    must_fail: frozenset[str] = frozenset()
    may_block: bool = True
    at_rest: bool = True
    durable: bool = True
    pruned: bool = False


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
                        if end is not None and end.kind is EndKind.PUBLISH and end.token != owner:
                            yield f"I2 {dataset.path}: {name}: attempt {number} is {owner}'s, {end.token} published it"

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
                    elif not _is_made_of(tree, publication.dataset) and not self._expected.pruned:
                        yield f"I3 {tree.path}: it was not made of what {publication.dataset.path} holds"
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
        base, may_fail = names.generation(dataset.name).base, self._expected.may_fail
        if dataset.place is Place.FAILED and may_fail is not None and base not in may_fail:
            yield f"I6 {dataset.path}: quarantined, and it is not its fault: {dict(dataset.registers)}"
        if dataset.place is not Place.FAILED and base in self._expected.must_fail and self._expected.at_rest:
            yield f"I6 {dataset.path}: tried more often than is allowed: {dict(dataset.registers)}"

    def unfinished(self) -> Iterator[str]:
        """I5: at rest nothing is half-way, and what could be claimed has been."""
        for stage in self._expected.stages:
            here = self._by_location.get(stage.reads, [])
            there = {d.name for d in self._by_location.get(stage.writes, []) if d.place is Place.WAITING}
            for dataset in here:
                last = max(_attempts(stage, dataset, dataset.name), default=None, key=lambda attempt: attempt[1])
                end = None if last is None else last[3]
                is_blocked = end is not None and end.kind is EndKind.PUBLISH and dataset.name in there
                is_blocked = is_blocked and self._expected.may_block
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


def _is_made_of(tree: Dataset, source: Dataset) -> bool:
    """Compare what a manifest says of the input with the input."""
    inputs = cast("dict[str, object]", (tree.manifest or {}).get("inputs", {}))
    if "manifest_sha256" in inputs:
        return inputs["manifest_sha256"] == source.manifest_sha256
    files = cast("list[dict[str, object]]", inputs.get("files", []))
    said = {str(file["path"]): (file.get("size"), file.get("sha256")) for file in files}
    if said.keys() != source.files.keys():
        return False
    return all(
        size in (None, source.files[path].size) and sha256 in (None, source.files[path].sha256)
        for path, (size, sha256) in said.items()
    )


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
