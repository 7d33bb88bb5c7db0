"""From a result back to its source: manifest by manifest, each checked against the one after it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from stages.engine import names
from stages.engine.catalog import Catalog
from stages.engine.fs import FileSystem
from stages.engine.history import Tried
from stages.engine.manifest import Json, sha256
from stages.engine.records import EndKind
from stages.engine.spec import StageSpec
from stages.engine.whereabouts import Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One stage's part in a result; `facts` is the manifest that it wrote into `path`."""

    stage: str
    path: str
    token: str
    facts: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A result's history, last stage first. `broken` says why it cannot be followed further, None if it was verified.

    `source` is the path of the dataset from which it begins, as far as it could be followed.
    """

    result: str
    steps: tuple[Step, ...]
    source: str
    broken: str | None = None

    @property
    def verified(self) -> bool:
        """Whether every manifest on the way is the one that the next was made from."""
        return self.broken is None


class BrokenError(Exception):
    """The history cannot be followed further."""


Known = Mapping[Found, Sequence[Tried]]


def trace(fs: FileSystem, catalog: Catalog, known: Known, result: Found) -> Lineage:
    """Walk back from a dataset. `known` are all directories of its name, with the attempts that they tell of."""
    steps: list[Step] = []
    at = result
    try:
        while (step := _step(fs, catalog, at)) is not None:
            before = _input(known, step, catalog.stage(step.stage))
            _check(fs, step, before)
            steps.append(step)
            at = before
    except BrokenError as error:
        return Lineage(result=result.path, steps=tuple(steps), source=at.path, broken=str(error))
    return Lineage(result=result.path, steps=tuple(steps), source=at.path)


def _step(fs: FileSystem, catalog: Catalog, at: Found) -> Step | None:
    """Read what a stage of ours wrote into a dataset; None: it was brought in from outside."""
    path = f"{at.path}/{names.MANIFEST}"
    writer = next((spec for spec in catalog.stages if spec.writes == at.location), None)
    if writer is None:
        return None
    try:
        facts = cast("Json", json.loads(fs.read(path)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        raise BrokenError(f"{path} cannot be read as JSON") from None
    if not isinstance(facts, dict) or not isinstance(facts.get("inputs"), dict):
        raise BrokenError(f"{path} is no manifest of phaseline")
    if facts.get("stage") != writer.name:
        raise BrokenError(f"{path} was not written by {writer.name}: the dataset was brought in from elsewhere")
    return Step(stage=writer.name, path=at.path, token=str(facts.get("token")), facts=facts)


def _input(known: Known, step: Step, spec: StageSpec) -> Found:
    """Return the dataset from which a manifest's attempt published."""
    for found, attempts in known.items():
        if found.location == spec.reads and any(_published(tried, step.token) for tried in attempts):
            return found
    raise BrokenError(f"no dataset in {spec.reads} says that attempt {step.token} was published")


def _published(tried: Tried, token: str) -> bool:
    return tried.end is not None and tried.end.kind is EndKind.PUBLISH and tried.end.token == token


def _check(fs: FileSystem, step: Step, before: Found) -> None:
    """Compare the manifest that the input holds now with the one that it held then."""
    inputs = step.facts["inputs"]
    wanted = inputs.get("manifest_sha256") if isinstance(inputs, dict) else None
    path = f"{before.path}/{names.MANIFEST}"
    try:
        content = fs.read(path)
    except FileNotFoundError:
        if wanted is not None:
            raise BrokenError(f"{path} is gone, from which {step.path} was made") from None
        return
    if wanted != sha256(content):
        raise BrokenError(f"{path} is not what it was when {step.path} was made from it")
