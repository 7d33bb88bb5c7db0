"""manifest.json: what was published, from what, by whom, when; walked back from result to source."""

from __future__ import annotations

import hashlib
import json
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, TypeAlias

from stages.engine import names, tree
from stages.engine.fs import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stages.engine.fs import FileSystem

FORMAT = 1
_NEXT = ",\n  "
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",\n ", ": "))
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def sha256(content: bytes) -> str:
    """Return the name by which a manifest refers to the one before it."""
    return hashlib.sha256(content).hexdigest()


def inputs(fs: FileSystem, top: str, payload: tree.Payload, *, hashing: bool, progress: Callable[[], None]) -> str:
    """Say, in JSON, what a dataset was made of: the upstream manifest, or every file where there is none."""
    if payload.has_manifest:
        upstream = sha256(fs.read(f"{top}/{names.MANIFEST}"))
        return f'{{"manifest_sha256": "{upstream}"}}'
    files = [_input(fs, top, entry, hashing=hashing, progress=progress) for entry in payload.entries]
    return f'{{"files": {_lines(files)}}}'


def _input(fs: FileSystem, top: str, item: Entry, *, hashing: bool, progress: Callable[[], None]) -> str:
    if item.kind is not Kind.FILE:
        return f'{{"path": {encode_basestring(item.name)}, "kind": "{item.kind}"}}'
    digest = fs.digest(f"{top}/{item.name}", progress) if hashing else None
    progress()
    return _file(item.name, item.size, digest)


def render(
    attempt: names.Attempt,
    described: str,
    *,
    started: float,
    ended: float,
    made_of: str,
    bytes_in: int,
    outputs: Sequence[tree.Sealed],
) -> bytes:
    """Write a manifest: JSON with a fact on each line, so that people and `diff` can read it.

    `described` is what all manifests of this poller share, from `share`, `made_of` comes from `inputs`;
    times are in seconds since the epoch, by this host's clock.
    """
    base, number = names.generation(attempt.dataset)
    # Written out rather than encoded: one encoder's set-up costs more than all of these lines.
    text = (
        f'{{"format": {FORMAT},\n "dataset": {encode_basestring(base)},\n "generation": {number},\n'
        f' "attempt": {attempt.number},\n "token": "{attempt.token}",\n'
        f' "started": {started:.3f},\n "ended": {ended:.3f},\n "seconds": {ended - started:.3f},\n'
        f' "bytes_in": {bytes_in},\n "bytes_out": {sum(output.size for output in outputs)},\n'
        f"{described}"
        f' "inputs": {made_of},\n'
        f' "outputs": {_lines([_output(output) for output in outputs])}}}\n'
    )
    return text.encode("utf-8", "backslashreplace")  # a name that is no UTF-8 becomes what JSON escapes it to


def share(stage: str, described: Mapping[str, Json]) -> str:
    """Return the lines that all manifests of one poller have in common."""
    facts = {"stage": stage, **described}
    return "".join(f' "{key}": {_ENCODER.encode(value)},\n' for key, value in facts.items())


def _output(output: tree.Sealed) -> str:
    if output.link is not None:
        return f'{{"path": {encode_basestring(output.path)}, "link": {encode_basestring(output.link)}}}'
    return _file(output.path, output.size, output.sha256)


def _file(path: str, size: int, digest: str | None) -> str:
    sha256 = "null" if digest is None else f'"{digest}"'
    return f'{{"path": {encode_basestring(path)}, "size": {size}, "sha256": {sha256}}}'


def _lines(items: Sequence[str]) -> str:
    """Return a JSON array with an item on each line."""
    return f"[{_NEXT.join(items)}]"
