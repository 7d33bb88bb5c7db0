"""Every attempt in every stage: who, where, when, how long, how it ended and where its log is; then what comes next.

Manifests are walked back from what came furthest, each checked against the one that was made from it. DATASET may name
one generation (ds7+g2); without, all are told.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence

from stages.engine.commands import context
from stages.engine.history import Tried
from stages.engine.inspection import PosixInspection
from stages.engine.lineage import Lineage
from stages.engine.manifest import Json
from stages.engine.quantities import duration, moment, size
from stages.engine.records import Ended, EndKind
from stages.engine.standing import Standing
from stages.engine.story import Chapter, Narrator, Story
from stages.engine.whereabouts import Place

HELP = "tell a dataset's story, and what to type next"


def add_arguments(parser: ArgumentParser) -> None:
    """DATASET [--json]."""
    parser.add_argument("dataset", metavar="DATASET", help="its name, such as ds7 or ds7+g2")
    parser.add_argument("--json", action="store_true", help="print the story as JSON")


def run(arguments: Namespace) -> int:
    """Tell it; non-zero if there is no such dataset or a marker of its is damaged."""
    at = context.opened(arguments)
    narrator = Narrator(fs=at.fs, clock=at.clock, inspection=PosixInspection(), root=at.root, catalog=at.catalog)
    story = narrator.story(arguments.dataset)
    if arguments.json:
        context.print_json(facts(story))
    else:
        print("\n".join(render(story, at.clock.now())))
    return 0


def render(story: Story, now: float) -> Iterator[str]:
    """Yield the lines of a story."""
    for chapter in story.chapters:
        yield _headline(chapter)
        spent: Ended | None = None
        for tried in chapter.attempts:
            yield from _attempt(tried, spent, now)
            spent = tried.end
        yield from (f"  {line}" for line in chapter.then)
    for lineage in story.lineages:
        yield _lineage(lineage)


def _headline(chapter: Chapter) -> str:
    found = chapter.found
    if chapter.stage is None:
        return f"{found.location}: {found.dataset} is published"
    standing = "done" if found.place is Place.DONE else chapter.standing or "gone"
    if standing is Standing.NO_PERMISSION:
        standing = "out of reach (no permission)"
    title = "" if chapter.stage.title == chapter.stage.name else f" ({chapter.stage.title})"
    return f"{chapter.stage.name}{title}: {found.dataset} is {standing}: {found.path}"


def _attempt(tried: Tried, before: Ended | None, now: float) -> Iterator[str]:
    generation = f" of generation {tried.generation}" if tried.generation > 1 else ""
    if tried.is_virtual:
        yield f"  attempt {tried.number}{generation}: an operator gave the whole budget back, {moment(tried.began)}"
        return
    owner = tried.owner
    job = "" if owner.job == "-" else f" job {owner.job}"
    took = duration((now if tried.finished is None else tried.finished) - tried.began)
    ended = "under way" if tried.end is None else outcome(tried.end, before)
    who = f"on {owner.host} pid {owner.pid}{job}"
    yield f"  attempt {tried.number}{generation}: {moment(tried.began)}, {took}, {who}: {ended}"
    if tried.log is not None:
        yield f"    log: {tried.log}"


def outcome(end: Ended, before: Ended | None) -> str:
    """Say how an attempt ended, and what it cost."""
    failures = end.failures - (before.failures if before else 0)
    lost = end.lost - (before.lost if before else 0)
    match end.kind:
        case EndKind.PUBLISH:
            return "published"
        case EndKind.QUARANTINE:
            return f"quarantined: {end.why}"
        case EndKind.RETRY if failures > 0:
            return f"failed (failure {end.failures}): {end.why}"
        case EndKind.RETRY if lost > 0:
            return f"{end.why} (time {end.lost})"
        case _:
            return f"given back, not counted: {end.why}"


def _lineage(lineage: Lineage) -> str:
    if lineage.broken is not None:
        return f"history NOT verified: {lineage.broken}"
    if not lineage.steps:
        return f"history: {lineage.source} is where it begins"
    bytes_in, bytes_out = lineage.steps[-1].facts.get("bytes_in"), lineage.steps[0].facts.get("bytes_out")
    much = ""
    if isinstance(bytes_in, int) and isinstance(bytes_out, int):
        much = f" ({size(bytes_in)} in, {size(bytes_out)} out)"
    count = len(lineage.steps)
    return f"history verified: {count} manifest{'s' * (count > 1)} from {lineage.result} back to {lineage.source}{much}"


def facts(story: Story) -> dict[str, Json]:
    """The same for programs."""
    return {
        "dataset": story.dataset,
        "chapters": [_chapter_facts(chapter) for chapter in story.chapters],
        "histories": [_lineage_facts(lineage) for lineage in story.lineages],
    }


def _chapter_facts(chapter: Chapter) -> dict[str, Json]:
    found = chapter.found
    return {
        "stage": None if chapter.stage is None else chapter.stage.name,
        "location": found.location,
        "dataset": found.dataset,
        "generation": found.generation,
        "path": found.path,
        "place": found.place,
        "standing": chapter.standing,
        "attempts": _attempts_facts(chapter.attempts),
        "then": list(chapter.then),
    }


def _attempts_facts(attempts: Sequence[Tried]) -> list[Json]:
    return [
        {
            "generation": tried.generation,
            "number": tried.number,
            "token": tried.owner.token,
            "host": tried.owner.host,
            "pid": tried.owner.pid,
            "job": None if tried.owner.job == "-" else tried.owner.job,
            "began": tried.began,
            "finished": tried.finished,
            "log": tried.log,
            **_end_facts(tried.end),
        }
        for tried in attempts
    ]


def _end_facts(end: Ended | None) -> dict[str, Json]:
    return {
        "ended": None if end is None else end.kind,
        "failures": None if end is None else end.failures,
        "lost": None if end is None else end.lost,
        "not_before": None if end is None else end.not_before,
        "why": None if end is None else end.why,
    }


def _lineage_facts(lineage: Lineage) -> dict[str, Json]:
    return {
        "result": lineage.result,
        "source": lineage.source,
        "verified": lineage.verified,
        "broken": lineage.broken,
        "steps": [{"path": step.path, "manifest": dict(step.facts)} for step in lineage.steps],
    }
