"""How much survives a loss of power: what COMPLETE makes durable before and after the commit."""

from __future__ import annotations

from enum import StrEnum


class Durability(StrEnum):
    """Setting of a stage (PROTOCOL 3, COMPLETE 2). Loss of processes and clients is survived under all.

    `FULL` syncs the output, its directories, the dataset's markers and the destination: only under it
    does "published at most once" survive a loss of power. `DATA` syncs the output. `NONE` syncs nothing.
    """

    FULL = "full"
    DATA = "data"
    NONE = "none"

    @property
    def syncs_output(self) -> bool:
        """Whether the output is synced before the commit."""
        return self is not Durability.NONE

    @property
    def syncs_markers(self) -> bool:
        """Whether the decision is synced before its consequence, and the destination after it."""
        return self is Durability.FULL
