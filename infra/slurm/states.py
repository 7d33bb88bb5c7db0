"""Every state that SLURM gives a job, and what each means for a run: total, an unknown word raises (DESIGN 5)."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """How far a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    OVER = "over"


class UnknownStateError(ValueError):
    """SLURM said a word that is not in its documentation up to 26.05."""


class JobState(StrEnum):
    """A job's state by SLURM's own word; flags such as COMPLETING go before the base state that they stand beside."""

    BOOT_FAIL = "BOOT_FAIL"
    CANCELLED = "CANCELLED"
    COMPLETED = "COMPLETED"
    COMPLETING = "COMPLETING"
    CONFIGURING = "CONFIGURING"
    DEADLINE = "DEADLINE"
    EXPEDITING = "EXPEDITING"
    FAILED = "FAILED"
    LAUNCH_FAILED = "LAUNCH_FAILED"
    NODE_FAIL = "NODE_FAIL"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    PENDING = "PENDING"
    POWER_UP_NODE = "POWER_UP_NODE"
    PREEMPTED = "PREEMPTED"
    RECONFIG_FAIL = "RECONFIG_FAIL"
    REQUEUED = "REQUEUED"
    REQUEUE_FED = "REQUEUE_FED"
    REQUEUE_HOLD = "REQUEUE_HOLD"
    RESIZING = "RESIZING"
    RESV_DEL_HOLD = "RESV_DEL_HOLD"
    REVOKED = "REVOKED"
    RUNNING = "RUNNING"
    SIGNALING = "SIGNALING"
    SPECIAL_EXIT = "SPECIAL_EXIT"
    STAGE_OUT = "STAGE_OUT"
    STEPMGR = "STEPMGR"
    STOPPED = "STOPPED"
    SUSPENDED = "SUSPENDED"
    TIMEOUT = "TIMEOUT"
    UPDATE_DB = "UPDATE_DB"

    @property
    def phase(self) -> Phase:
        """How far a job in this state is; a requeued one waits again, a completing one is not over."""
        if self in _WAITING:
            return Phase.WAITING
        return Phase.OVER if self in _OVER else Phase.RUNNING


def parse_state(word: str) -> JobState:
    """Return the state that SLURM's word names, `CANCELLED by 1000` too. Raises UnknownStateError."""
    first = word.split(maxsplit=1)[0].rstrip("+") if word.strip() else ""
    try:
        return JobState(first)
    except ValueError:
        raise UnknownStateError(f"SLURM gave a job the state {word!r}, which phaseline does not know") from None


_WAITING = frozenset(
    {
        JobState.CONFIGURING,
        JobState.EXPEDITING,
        JobState.LAUNCH_FAILED,
        JobState.PENDING,
        JobState.POWER_UP_NODE,
        JobState.RECONFIG_FAIL,
        JobState.REQUEUED,
        JobState.REQUEUE_FED,
        JobState.REQUEUE_HOLD,
        JobState.RESV_DEL_HOLD,
        JobState.SPECIAL_EXIT,
    }
)
_OVER = frozenset(
    {
        JobState.BOOT_FAIL,
        JobState.CANCELLED,
        JobState.COMPLETED,
        JobState.DEADLINE,
        JobState.FAILED,
        JobState.NODE_FAIL,
        JobState.OUT_OF_MEMORY,
        JobState.PREEMPTED,
        JobState.REVOKED,
        JobState.TIMEOUT,
    }
)
