"""Where a dataset stands in a stage, in the words that people read. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from stages.engine.records import Ended, EndKind
from stages.engine.state import Markers


class Standing(StrEnum):
    """Where a dataset stands that is not done yet."""

    ARRIVING = "arriving"  # its ready marker is not there yet
    WAITING = "waiting"
    IN_FLIGHT = "in flight"
    BACKING_OFF = "backing off"
    STALE = "stale"  # its owner has been silent for longer than its lease
    BLOCKED = "blocked"  # published, and something stands where the output belongs
    NO_PERMISSION = "no permission"
    QUARANTINED = "quarantined"
    DAMAGED = "damaged"
    NOT_A_DATASET = "not a dataset"

    @property
    def needs_a_person(self) -> bool:
        """Whether nothing goes on here until somebody has looked."""
        return self in _FOR_A_PERSON


_FOR_A_PERSON = frozenset(
    {
        Standing.BLOCKED,
        Standing.NO_PERMISSION,
        Standing.QUARANTINED,
        Standing.DAMAGED,
        Standing.NOT_A_DATASET,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at a dataset's directory showed; `end` is that of the latest attempt.

    `silent_seconds` is the age of the heartbeat, None if there is no attempt under way or none was seen.
    """

    markers: Markers
    end: Ended | None = None
    silent_seconds: float | None = None
    may_write: bool = True
    ready: bool = True
    in_the_way: bool = False


def judge(look: Look, *, now: float, expires_seconds: float) -> Standing:
    """Say where a dataset stands; `now` in seconds since the epoch. For people: decisions never use clocks so."""
    if look.markers.latest and look.end is None:
        is_stale = look.silent_seconds is not None and look.silent_seconds > expires_seconds
        return Standing.STALE if is_stale else Standing.IN_FLIGHT
    if look.end is not None:
        match look.end.kind:
            case EndKind.PUBLISH:
                return Standing.BLOCKED if look.in_the_way else Standing.IN_FLIGHT
            case EndKind.QUARANTINE:
                return Standing.QUARANTINED
            case EndKind.RETRY:
                pass
            case _:
                assert_never(look.end.kind)
    if not look.may_write:
        return Standing.NO_PERMISSION
    if not look.ready:
        return Standing.ARRIVING
    return Standing.BACKING_OFF if look.end is not None and look.end.not_before > now else Standing.WAITING
