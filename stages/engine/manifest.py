"""manifest.json: what was published, from what, by whom, when; walked back from result to source."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from stages.engine import names, tree
from stages.engine.fs import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stages.engine.fs import FileSystem

FORMAT = 1
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is said of an attempt: times in seconds since the epoch, by its host's clock."""

    attempt: names.Attempt
    stage: str
    started: float
    ended: float


def sha256(content: bytes) -> str:
    """Return the name by which a manifest refers to the one before it."""
    return hashlib.sha256(content).hexdigest()


def inputs(
    fs: FileSystem, top: str, items: Sequence[tree.Item], *, hashing: bool, progress: Callable[[], None]
) -> dict[str, Json]:
    """Say what a dataset was made of: the upstream manifest, or every file where there is none."""
    try:
        upstream = fs.read(f"{top}/{names.MANIFEST}")
    except FileNotFoundError:
        return {"files": [_input(fs, top, item, hashing=hashing, progress=progress) for item in items]}
    return {"manifest_sha256": sha256(upstream)}


def _input(
    fs: FileSystem, top: str, item: tree.Item, *, hashing: bool, progress: Callable[[], None]
) -> dict[str, Json]:
    if item.kind is not Kind.FILE:
        return {"path": item.path, "kind": str(item.kind)}
    digest = fs.digest(f"{top}/{item.path}", progress) if hashing else None
    progress()
    return {"path": item.path, "size": item.size, "sha256": digest}


def render(
    work: Work,
    described: Mapping[str, Json],
    *,
    made_of: Mapping[str, Json],
    bytes_in: int,
    outputs: Sequence[tree.Sealed],
) -> bytes:
    """Write a manifest: JSON with a line for each fact, so that people and `diff` can read it."""
    base, number = names.generation(work.attempt.dataset)
    facts: dict[str, Json] = {
        "format": FORMAT,
        "dataset": base,
        "generation": number,
        "stage": work.stage,
        "attempt": work.attempt.number,
        "token": work.attempt.token,
        "started": round(work.started, 3),
        "ended": round(work.ended, 3),
        "seconds": round(work.ended - work.started, 3),
        "bytes_in": bytes_in,
        "bytes_out": sum(output.size for output in outputs),
        **described,
        "inputs": dict(made_of),
        "outputs": [_output(output) for output in outputs],
    }
    lines = ",\n".join(f'  "{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in facts.items())
    return f"{{\n{lines}\n}}\n".encode("utf-8", "surrogateescape")


def _output(output: tree.Sealed) -> dict[str, Json]:
    if output.link is not None:
        return {"path": output.path, "link": output.link}
    return {"path": output.path, "size": output.size, "sha256": output.sha256}
