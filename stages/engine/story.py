"""A dataset's story: every attempt in every stage, where it stands now, what happens next and what to type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from stages.engine import names
from stages.engine.catalog import Catalog, passage
from stages.engine.clock import Clock
from stages.engine.fs import FileSystem
from stages.engine.glance import Glance, Looker
from stages.engine.history import Tried, attempts
from stages.engine.inspection import Inspection
from stages.engine.layout import Passage, Root
from stages.engine.lineage import Lineage, trace
from stages.engine.quantities import duration, moment
from stages.engine.spec import StageSpec
from stages.engine.standing import Standing
from stages.engine.whereabouts import Found, Place, find


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One directory of the dataset in the location that a stage reads; None: results, which no stage reads.

    `standing` is None where it is done; `then` are the lines that say what happens next.
    """

    found: Found
    stage: StageSpec | None
    attempts: Sequence[Tried]
    standing: Standing | None
    then: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All chapters in the order of the stages, and the history of what came furthest, generation by generation."""

    dataset: str
    chapters: tuple[Chapter, ...]
    lineages: tuple[Lineage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrator:
    """Tells stories of one root."""

    fs: FileSystem
    clock: Clock
    inspection: Inspection
    root: Root
    catalog: Catalog

    def story(self, dataset: str) -> Story:
        """Tell a dataset's story; `ds7` means all its generations.

        Raises UsageError when there is none, DamagedRegisterError.
        """
        number = names.generation(dataset).number
        readers = {spec.reads: spec for spec in self.catalog.stages}
        # All generations in any case: one is made from another one's input.
        every = find(self.fs, self.root, self.catalog.locations, dataset)
        chapters = [self._chapter(each, readers.get(each.location)) for each in every]
        known = {chapter.found: chapter.attempts for chapter in chapters}
        told = [chapter for chapter in chapters if number in (1, chapter.found.generation)]
        furthest = {chapter.found.dataset: chapter.found for chapter in told}  # they come in the order of the stages
        return Story(
            dataset=dataset,
            chapters=tuple(told),
            lineages=tuple(trace(self.fs, self.catalog, known, each) for each in furthest.values()),
        )

    def _chapter(self, found: Found, spec: StageSpec | None) -> Chapter:
        if spec is None:
            then = (f"the result is at {found.path}",)
            return Chapter(found=found, stage=None, attempts=(), standing=None, then=then)
        if found.place is Place.DONE:
            tried = attempts(self.fs, self.inspection, found.path, spec.name)
            return Chapter(found=found, stage=spec, attempts=tried, standing=None, then=())
        through, now = passage(self.root, spec), self.clock.now()
        looker = Looker(
            fs=self.fs,
            inspection=self.inspection,
            passage=through,
            expires_seconds=spec.lease.expires_seconds,
            ready_marker=spec.arrival.ready_marker,
            now=now,
        )
        seen = looker.glance(found.path, found.dataset)
        if seen is None:
            return Chapter(found=found, stage=spec, attempts=(), standing=None, then=("it moved on just now",))
        is_readable = seen.look is not None or seen.standing is Standing.DAMAGED  # which is said in one line
        tried = attempts(self.fs, self.inspection, found.path, spec.name) if is_readable else []
        then = tuple(_then(seen, found, through, now))
        return Chapter(found=found, stage=spec, attempts=tried, standing=seen.standing, then=then)


def _then(seen: Glance, found: Found, through: Passage, now: float) -> list[str]:
    """Say what happens next, and what a person can do."""
    stage = through.stage
    asked = seen.look is not None and seen.look.markers.request is not None
    lines = [f"a retry was asked for: the next sweep carries it out; at once: phaseline sweep {stage}"] if asked else []
    return [*lines, _next(seen, found, through, now)]


def _next(seen: Glance, found: Found, through: Passage, now: float) -> str:
    stage, dataset = through.stage, found.dataset
    retry = f"phaseline retry {stage} {dataset} && phaseline sweep {stage}"
    match seen.standing:
        case Standing.WAITING:
            said = f"the next poller of {stage} takes it; one by hand: phaseline poll {stage} --until-idle"
        case Standing.ARRIVING:
            said = f"it counts once it is complete: touch {found.path}/{names.ready(stage)}"
        case Standing.IN_FLIGHT:
            said = _in_flight(seen, retry)
        case Standing.STALE:
            silent = duration((seen.look and seen.look.silent_seconds) or 0.0)
            said = f"its owner has been silent for {silent}: the next sweep requeues it: phaseline sweep {stage}"
        case Standing.BACKING_OFF:
            not_before = seen.look.end.not_before if seen.look is not None and seen.look.end is not None else 0
            said = f"tried again after {moment(not_before)} (in {duration(not_before - now)}); sooner: {retry}"
        case Standing.QUARANTINED:
            said = f"nothing happens until a person asks for it: look why, mend it, then: {retry}"
        case Standing.NO_PERMISSION:
            said = f"no poller of another user can claim it: chmod g+rwxs {found.path}"
        case Standing.BLOCKED:
            in_the_way = through.writes.dataset(dataset)
            said = f"published, but {in_the_way} is in the way: move that away, then: phaseline sweep {stage}"
        case Standing.NOT_A_DATASET:
            said = f"a dataset is a real directory, and this is none: move it away: {found.path}"
        case Standing.DAMAGED:
            said = seen.why
        case _:
            assert_never(seen.standing)
    return said


def _in_flight(seen: Glance, retry: str) -> str:
    """Under way, or committed and not moved yet."""
    if seen.look is not None and seen.look.end is not None:
        return "published, and about to be moved: any poller or sweep does that"
    silent = seen.look.silent_seconds if seen.look is not None else None
    beat = "no heartbeat yet" if silent is None else f"last heartbeat {duration(silent)} ago"
    return f"under way, {beat}; to give this attempt up: {retry}"
