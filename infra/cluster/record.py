"""What a private cluster wrote down of itself: its ports, its shape, and which processes it started."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import cast

from infra.cluster.errors import ClusterError
from infra.cluster.shape import Shape
from infra.stack.record import Process, write_whole

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A cluster as it was left. `processes` by the daemon's name, `n1` for the slurmd of that node."""

    host: str
    user: str
    port: int
    shape: Shape
    processes: Mapping[str, Process] = field(default_factory=dict[str, Process])

    def started(self, daemon: str, process: Process) -> Record:
        return replace(self, processes={**self.processes, daemon: process})

    def ended(self, daemon: str) -> Record:
        return replace(self, processes={name: one for name, one in self.processes.items() if name != daemon})


def read(path: Path) -> Record | None:
    """Return what was left; None if nothing was. Raises ClusterError if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ClusterError(f"{path}: {error.strerror}") from None
    try:
        facts = cast("dict[str, object]", json.loads(text))
        if facts.pop("version") != VERSION:
            raise ClusterError(f"{path} was written by another version: end its daemons with that one, then rm {path}")
        shape = Shape(**cast("dict[str, int]", facts.pop("shape")))  # pyright: ignore[reportArgumentType] - read as written
        processes = cast("dict[str, dict[str, int]]", facts.pop("processes"))
        known = {name: Process(**one) for name, one in processes.items()}  # pyright: ignore[reportArgumentType] - the same
        return Record(shape=shape, processes=known, **facts)  # pyright: ignore[reportArgumentType] - the same
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ClusterError(
            f"{path} is damaged: end the daemons that run from {path.parent} by hand, then rm {path}"
        ) from None


def write(path: Path, record: Record) -> None:
    """Leave a record: whole, or the one before."""
    write_whole(path, {"version": VERSION, **asdict(record)})
