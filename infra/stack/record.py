"""What the stack wrote down of itself: which processes it started, where, and how they can be told from others."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import cast

from infra.stack.errors import StackError

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that was started. Another one that got its number later has other ticks, or another boot id."""

    pid: int
    started_ticks: int  # field 22 of /proc/<pid>/stat, in clock ticks since boot
    boot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A stack as it was left. `processes` by name: `server`, and the pool's name for its worker.

    `deployed` is the fingerprint of what the server was told, `deployments` how many these were;
    `trigger_seconds` the trigger's interval where it is not what prefect.yaml says.
    """

    host: str
    port: int | None = None
    root: str | None = None
    stages: str | None = None
    trigger_seconds: float | None = None
    deployed: str = ""
    deployments: int = 0
    processes: Mapping[str, Process] = field(default_factory=dict[str, Process])

    def started(self, name: str, process: Process) -> Record:
        """Return this record with one process more."""
        return replace(self, processes={**self.processes, name: process})

    def ended(self, name: str) -> Record:
        """Return this record without a process."""
        return replace(self, processes={other: one for other, one in self.processes.items() if other != name})


def read(path: Path) -> Record | None:
    """Return what was left; None if nothing was. Raises StackError if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        facts = cast("dict[str, object]", json.loads(text))
        if facts.pop("version") != VERSION:
            raise StackError(f"{path} was written by another version: end its processes with that one, then rm {path}")
        processes = cast("dict[str, dict[str, object]]", facts.pop("processes"))
        known = {name: Process(**cast("dict[str, int]", one)) for name, one in processes.items()}  # pyright: ignore[reportArgumentType] - read as written
        return Record(processes=known, **facts)  # pyright: ignore[reportArgumentType] - the same
    except (KeyError, TypeError, ValueError):
        raise StackError(f"{path} is damaged: end what runs from {path.parent} by hand, then rm {path}") from None


def write(path: Path, record: Record) -> None:
    """Leave a record: whole, or the one before."""
    write_whole(path, {"version": VERSION, **asdict(record)})


def write_whole(path: Path, facts: Mapping[str, object]) -> None:
    """Write facts as JSON so that a reader finds all of them, or what was there before."""
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(facts, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
