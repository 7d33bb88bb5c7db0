"""The conditions that datasets can be brought back from."""

from __future__ import annotations

from enum import StrEnum


class Condition(StrEnum):
    """What may be brought back."""

    QUARANTINED = "quarantined"
    BACKING_OFF = "backing_off"
    DONE = "done"
