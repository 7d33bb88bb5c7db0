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
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",\n ", ": "))
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def sha256(content: bytes) -> str:
    """Return the name by which a manifest refers to the one before it."""
    return hashlib.sha256(content).hexdigest()


def inputs(
    fs: FileSystem, top: str, payload: tree.Payload, *, hashing: bool, progress: Callable[[], None]
) -> dict[str, Json]:
    """Say what a dataset was made of: the upstream manifest, or every file where there is none."""
    if payload.has_manifest:
        return {"manifest_sha256": sha256(fs.read(f"{top}/{names.MANIFEST}"))}
    return {"files": [_input(fs, top, entry, hashing=hashing, progress=progress) for entry in payload.entries]}


def _input(fs: FileSystem, top: str, item: Entry, *, hashing: bool, progress: Callable[[], None]) -> dict[str, Json]:
    if item.kind is not Kind.FILE:
        return {"path": item.name, "kind": str(item.kind)}
    digest = fs.digest(f"{top}/{item.name}", progress) if hashing else None
    progress()
    return {"path": item.name, "size": item.size, "sha256": digest}


def render(
    attempt: names.Attempt,
    described: str,
    *,
    started: float,
    ended: float,
    made_of: Mapping[str, Json],
    bytes_in: int,
    outputs: Sequence[tree.Sealed],
) -> bytes:
    """Write a manifest: JSON with a fact on each line, so that people and `diff` can read it.

    `described` is what all manifests of this poller share, from `share`; times are in seconds since
    the epoch, by this host's clock.
    """
    base, number = names.generation(attempt.dataset)
    # Written out rather than encoded: one encoder's set-up costs more than all of these lines.
    text = (
        f'{{"format": {FORMAT},\n "dataset": {encode_basestring(base)},\n "generation": {number},\n'
        f' "attempt": {attempt.number},\n "token": "{attempt.token}",\n'
        f' "started": {started:.3f},\n "ended": {ended:.3f},\n "seconds": {ended - started:.3f},\n'
        f' "bytes_in": {bytes_in},\n "bytes_out": {sum(output.size for output in outputs)},\n'
        f"{described}"
        f' "inputs": {_ENCODER.encode(made_of)},\n'
        f' "outputs": {_ENCODER.encode([_output(output) for output in outputs]) if outputs else "[]"}}}\n'
    )
    return text.encode("utf-8", "backslashreplace")  # a name that is no UTF-8 becomes what JSON escapes it to


def share(stage: str, described: Mapping[str, Json]) -> str:
    """Return the lines that all manifests of one poller have in common."""
    facts = {"stage": stage, **described}
    return "".join(f' "{key}": {_ENCODER.encode(value)},\n' for key, value in facts.items())


def _output(output: tree.Sealed) -> dict[str, Json]:
    if output.link is not None:
        return {"path": output.path, "link": output.link}
    return {"path": output.path, "size": output.size, "sha256": output.sha256}
