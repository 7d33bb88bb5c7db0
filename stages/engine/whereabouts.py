"""Where in a root a dataset is: every directory of its name, all generations, in every location."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from stages.engine import names
from stages.engine.archive import Archived, parse_archived
from stages.engine.errors import UsageError
from stages.engine.fs import FileSystem
from stages.engine.layout import Root
from stages.engine.registers import Registers

NEAR_MAX = 3
CLOSE_MAX = 2000  # names among which a likeness is looked for


class Place(StrEnum):
    """Where in a location."""

    WAITING = "waiting"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One directory of a dataset; `archived` is what its name in `_done` says."""

    location: str
    place: Place
    dataset: str
    path: str
    archived: Archived | None = None

    @property
    def generation(self) -> int:
        """Its generation."""
        return names.generation(self.dataset).number


def find(fs: FileSystem, root: Root, locations: Sequence[str], dataset: str) -> list[Found]:
    """Return all directories of a dataset, its other generations included: location after location, by generation.

    Raises UsageError, naming what is like it, when nothing of that very name stands anywhere.
    """
    base, number = names.generation(dataset)
    mine = [found for name in locations for found in _in_location(fs, root, name, base)]
    if not any(number in (1, found.generation) for found in mine):
        raise _unknown(fs, root, locations, dataset)
    order = {name: at for at, name in enumerate(locations)}
    return sorted(mine, key=lambda found: (order[found.location], found.generation, found.path))


def _in_location(fs: FileSystem, root: Root, name: str, base: str) -> Iterator[Found]:
    """Among a million of archived datasets only those that begin alike are looked at closer."""
    at = root.location(name)
    for place, path in ((Place.WAITING, at.path), (Place.FAILED, at.failed), (Place.DONE, at.done)):
        for entry in fs.listdir(path):
            if not entry.startswith(base) or entry[0] in "_.":
                continue
            archived = parse_archived(entry) if place is Place.DONE else None
            dataset = entry if archived is None else archived.dataset
            if names.generation(dataset).base == base and (place is Place.DONE) == (archived is not None):
                yield Found(location=name, place=place, dataset=dataset, path=f"{path}/{entry}", archived=archived)


def _unknown(fs: FileSystem, root: Root, locations: Sequence[str], dataset: str) -> UsageError:
    given = Registers(fs).get(root.name(dataset))
    if given is not None:
        stage, _, rest = given.partition(":")
        who = rest.partition(":")[2] or "somebody"
        return UsageError(
            f"the name {dataset!r} was given out for {stage} by {who}, but nothing of that name stands anywhere",
            where=root.path,
            todo=f"if `phaseline add {stage}` broke off, type it again; else its data was taken away",
        )
    ats = [root.location(name) for name in locations]
    listed = (entry for at in ats for path in (at.path, at.failed, at.done) for entry in fs.listdir(path))
    near = alike(dataset, {entry.partition("~")[0] for entry in listed})
    hint = f"did you mean {', '.join(near)}?" if near else "phaseline status shows what there is"
    return UsageError(f"there is no dataset {dataset!r}", where=root.path, todo=hint)


def alike(dataset: str, known: Collection[str]) -> list[str]:
    """Return a few names that begin so, or else look alike."""
    candidates = sorted(name for name in known if name and names.is_candidate(name))
    near = [name for name in candidates if name.startswith(dataset)]
    return near[:NEAR_MAX] or get_close_matches(dataset, candidates[:CLOSE_MAX], n=NEAR_MAX)
