"""Calls on the seam as a scheduler sees them, what may happen to one, and the gate where it waits for its turn."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple, Protocol

_READING: Final = (
    "readlink",
    "listdir",
    "scan",
    "opendir",
    "mtime_ns",
    "stat",
    "directories",
    "read",
    "digest",
    "look up",
)


class Fault(StrEnum):
    """What may happen to one call."""

    CRASH = "crash"  # the actor dies before it
    LOST_REPLY = "lost"  # carried out; the request, sent again, gets the error of a second one
    NO_ANSWER = "eio"  # not carried out, EIO
    NO_ANSWER_DONE = "eio-done"  # carried out, EIO
    STALE = "estale"  # not carried out, ESTALE, which the door turns into ENOENT
    STALE_DONE = "estale-done"  # the same, carried out
    LIE = "lie"  # all that this client may answer from its cache is answered from there
    HIDE = "hide"  # a listing without one name


class Look(NamedTuple):
    """A path that a call resolves; the last part too, or left to the server."""

    path: str
    at: int | None
    last: bool


class Call(NamedTuple):
    """A call on the seam, as the scheduler sees it. `resent` is the errno that a second request gets."""

    name: str
    args: tuple[object, ...]
    looks: tuple[Look, ...] = ()
    resent: int | None = None

    @property
    def changes(self) -> bool:
        """Whether the call changes what is on disk."""
        return self.name not in _READING

    def __str__(self) -> str:
        return f"{self.name}({', '.join(str(a) for a in self.args if a is not None)})".replace("/r/", "")


class Gate(Protocol):
    """Where a call waits for its turn."""

    split: bool  # whether a path's parents are resolved in a step of their own
    fine: bool  # whether a tree is removed name by name

    def enter(self, call: Call) -> Fault | None:
        """Wait; returns what is to happen to the call. `detail` of HIDE is asked for with `hidden`."""
        ...

    def leave(self, result: object) -> None:
        """Take note of what the call returned, or of its errno."""
        ...

    def hidden(self) -> str:
        """Return the name that the present listing hides."""
        ...

    def hashing(self) -> int:
        """Return in how many steps more a file is hashed; each takes its time."""
        ...
