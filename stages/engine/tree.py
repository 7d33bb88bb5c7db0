"""Whole trees of files: what a dataset holds, and sealing an output before it is published."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple, assert_never

from stages.engine import names
from stages.engine.errors import PhaselineError
from stages.engine.fs import Entry, FileSystem, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

GROUP_READS_AND_WRITES = 0o070


class OutputError(PhaselineError):
    """What the stage wrote cannot be published: the stage's own failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """One file of a sealed output; `sha256` in hex, None where hashing is off or it is a link."""

    path: str
    size: int
    sha256: str | None
    link: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealRule:
    """How an output is sealed. `group_mode` are the permission bits that the group may have at all."""

    hashing: bool
    syncing: bool
    group_mode: int = GROUP_READS_AND_WRITES


class Payload(NamedTuple):
    """What a dataset holds, by relative path: directories, markers and the engine's manifest left out.

    Equal payloads mean that nothing has changed; of links only the names are known.
    """

    entries: list[Entry]
    has_manifest: bool


def payload(fs: FileSystem, top: str) -> Payload:
    """List what a dataset holds."""
    entries: list[Entry] = []
    has_manifest = False
    for entry in _walk(fs, top):
        name = entry.name
        if "/" not in name and (name == names.MANIFEST or names.is_reserved(name)):
            has_manifest = has_manifest or name == names.MANIFEST
        elif entry.kind is not Kind.DIRECTORY:
            entries.append(entry)
    return Payload(entries, has_manifest)


def total_bytes(items: Sequence[Entry]) -> int:
    """Add up the sizes of a payload."""
    return sum(item.size for item in items)


def missing(requires: Sequence[str], items: Sequence[Entry]) -> list[str]:
    """Return the patterns that no file matches; a pattern without `/` looks at names alone."""
    return [
        pattern
        for pattern in requires
        if not any(fnmatchcase(i.name if "/" in pattern else posixpath.basename(i.name), pattern) for i in items)
    ]


def difference(before: Sequence[Entry], after: Sequence[Entry]) -> str:
    """Name the first file in which two payloads differ."""
    changed = set(before) ^ set(after)
    return min(item.name for item in changed) if changed else ""


def seal(fs: FileSystem, out: str, rule: SealRule, progress: Callable[[], None]) -> list[Sealed]:
    """Check, hash and sync an output, file by file; `progress` is called whenever bytes have moved.

    `out` itself is left to be synced when its manifest is in it.

    Raises OutputError for what must not be published, FileNotFoundError if the output is gone.
    """
    sealed: list[Sealed] = []
    directories: list[str] = []
    for entry in _walk(fs, out):
        path = entry.name
        if "/" not in path and (names.is_reserved(path) or path == names.MANIFEST):
            raise OutputError(
                f"the stage wrote {path!r}, a name that is the engine's", todo="let the stage use another name"
            )
        full = f"{out}/{path}"
        _open_to_group(fs, full, entry, rule)
        match entry.kind:
            case Kind.DIRECTORY:
                directories.append(full)
            case Kind.FILE:
                digest = fs.digest(full, progress) if rule.hashing else None
                if rule.syncing:
                    fs.sync(full)
                sealed.append(Sealed(path=path, size=entry.size, sha256=digest))
                progress()
            case Kind.LINK:
                sealed.append(Sealed(path=path, size=0, sha256=None, link=_inner_link(fs.readlink(full), path)))
            case Kind.OTHER:
                raise OutputError(f"the stage left {path!r}, neither file nor directory", todo="let it remove that")
            case _:
                assert_never(entry.kind)
    if rule.syncing:
        for directory in reversed(directories):
            fs.sync(directory)
            progress()
    return sealed


def _inner_link(target: str, path: str) -> str:
    """Return a link's target if it stays valid wherever the output is moved."""
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if posixpath.isabs(target) or inside == ".." or inside.startswith("../"):
        raise OutputError(
            f"the stage left a link {path!r} that leads outside of its output", todo="let it copy the file instead"
        )
    return target


def _open_to_group(fs: FileSystem, path: str, entry: Entry, rule: SealRule) -> None:
    """The next stage may be another user of the group: what the owner may, the group may."""
    wanted = entry.mode | ((entry.mode & 0o700) >> 3 & rule.group_mode)
    if wanted != entry.mode and entry.kind in (Kind.FILE, Kind.DIRECTORY):
        fs.chmod(path, wanted)


def _walk(fs: FileSystem, top: str) -> Iterator[Entry]:
    """Yield everything below `top`, named by its relative path, parents first, without following links."""
    waiting: list[str] = []
    found = fs.scan(top)
    while True:
        for entry in found:
            yield entry
            if entry.kind is Kind.DIRECTORY:
                waiting.append(entry.name)
        if not waiting:
            return
        prefix = waiting.pop()
        found = [entry._replace(name=f"{prefix}/{entry.name}") for entry in fs.scan(f"{top}/{prefix}")]
