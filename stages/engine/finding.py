"""What a sweeper did, or found and could not do, in words for people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What became of a dataset that a sweep opened."""

    REQUEUED = "requeued"  # its owner was gone
    GRANTED = "granted"  # an operator's retry mark was carried out
    QUARANTINED = "quarantined"
    PUBLISHED = "published"  # its owner died between commit and publication
    CLEANED = "cleaned"  # what an ended attempt left behind was removed
    SUSPECTED = "suspected"  # silent for a lease; looked at once more before anything is decided
    BLOCKED = "blocked"
    NO_PERMISSION = "no permission"
    NOT_A_DATASET = "not a dataset"
    DAMAGED = "damaged"
    UNKNOWN_ATTEMPT = "unknown attempt"
    STORAGE = "storage"

    @property
    def needs_a_person(self) -> bool:
        """Whether nothing goes on here until somebody has looked."""
        return self in _FOR_A_PERSON


_FOR_A_PERSON = frozenset(
    {
        Action.QUARANTINED,
        Action.BLOCKED,
        Action.NO_PERMISSION,
        Action.NOT_A_DATASET,
        Action.DAMAGED,
        Action.UNKNOWN_ATTEMPT,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One dataset, what a sweep did about it, and why; `where` is a path to look at."""

    dataset: str
    action: Action
    where: str
    why: str = ""
