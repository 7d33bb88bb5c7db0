"""What stands in a root, simulated or real: an observation for the invariants to judge."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple, cast

from stages.engine import names
from stages.engine.fs import FileSystem, Kind
from stages.engine.layout import Location, Root


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
    """A dataset's directory. `publication` is the token behind `~` in `_done`; `files` is what it holds."""

    location: str
    place: Place
    name: str
    path: str
    publication: str | None = None
    registers: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, File] = field(default_factory=dict[str, File])
    manifest: Mapping[str, object] | None = None
    manifest_sha256: str = ""


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
            described = Dataset(
                location=location, place=place, name=name, path=f"{path}/{entry.name}", publication=token or None
            )
            yield _opened(fs, described)


def _opened(fs: FileSystem, described: Dataset) -> Dataset:
    """Return what is known of a dataset, and what is in it."""
    path = described.path
    registers, files = dict[str, str](), dict[str, File]()
    manifest: Mapping[str, object] | None = None
    manifest_sha256 = ""
    for inner, kind in _walk(fs, path):
        if inner == names.MANIFEST:
            content = fs.read(f"{path}/{inner}")
            manifest = cast("dict[str, object]", json.loads(content))
            manifest_sha256 = hashlib.sha256(content).hexdigest()
        elif "/" not in inner and names.is_reserved(inner):
            if kind is Kind.LINK:
                registers[inner] = fs.readlink(f"{path}/{inner}")
        elif kind is not Kind.DIRECTORY:
            full = f"{path}/{inner}"
            content = fs.readlink(full).encode() if kind is Kind.LINK else fs.read(full)
            files[inner] = File(len(content), hashlib.sha256(content).hexdigest())
    return replace(described, registers=registers, files=files, manifest=manifest, manifest_sha256=manifest_sha256)


def _walk(fs: FileSystem, top: str, prefix: str = "") -> Iterator[tuple[str, Kind]]:
    for entry in fs.scan(f"{top}/{prefix}" if prefix else top):
        yield prefix + entry.name, entry.kind
        if entry.kind is Kind.DIRECTORY:
            yield from _walk(fs, top, f"{prefix}{entry.name}/")
