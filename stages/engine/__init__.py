"""The coordination engine; this face of it is what the author of a stage sees."""

from stages.engine.attempt import Attempt
from stages.engine.errors import RejectDataset, TryLater

__all__ = ["Attempt", "RejectDataset", "TryLater"]
