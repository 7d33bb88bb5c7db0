"""What the two sides of a play have measured on a file system, as it is handed on through that file system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import TypeAdapter, ValidationError

from stages.engine.mounts import Mount

THERE, NOT_THERE, CHANGED = "+", "-", "!"
MOVED, NAMESAKE = "moved", "namesake"


class Contest(StrEnum):
    """What both sides try at once, and one of them may succeed in."""

    SYMLINK = "symlink"
    MKDIR = "mkdir"
    RENAME = "rename of one source"


class Look(StrEnum):
    """A way to see what the other side has written, of which this side has a word in its caches."""

    LISTING = "a new name in a listing"
    HEARTBEAT = "a heartbeat"
    REGISTER = "a register through a handle"
    STALE = "a register that was looked for before"  # without opening its directory anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """One side's account of a contest. `won`: a digit for each round, 1 if this side won it.

    `read`: what was found once both had tried, a letter for each round: of a symlink whose it is, or CHANGED if that
    was another one before; of a directory THERE; of either NOT_THERE; nothing of a rename. `told`: errors other than
    that somebody was faster.
    """

    contest: Contest
    won: str
    read: str = ""
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Early:
    """Names looked for before the other side made them, then tried to make.

    `refused`: how many were; `read`: at how many the other side's value was read then, at once.
    """

    tried: int
    refused: int
    read: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerClock:
    """The file server's clock: so far ahead of this host's, within so much. `tick_seconds` None: it did not move."""

    ahead_seconds: float
    within_seconds: float
    tick_seconds: float | None
    touch_seconds: float  # the slowest change of times


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that one side has to say. `looks`: seconds until it saw; None where it has not, in `look_seconds`.

    `landed`: where what the other side wrote through an open directory has landed: MOVED, NAMESAKE or nowhere.
    """

    who: str
    boot: str
    mount: Mount | None
    clock: ServerClock
    races: tuple[Race, ...]
    early: Early
    landed: str
    looks: Mapping[Look, tuple[float | None, ...]]
    look_seconds: float


_REPORT: TypeAdapter[Report] = TypeAdapter(Report)


def encode(report: Report) -> bytes:
    """Return a report as the file that it is handed on in."""
    return _REPORT.dump_json(report)


def decode(content: bytes) -> Report:
    """Read a report. Raises ValueError."""
    try:
        return _REPORT.validate_json(content)
    except ValidationError as error:
        raise ValueError(f"no report of a side: {error.errors(include_url=False)[0]['msg']}") from None
