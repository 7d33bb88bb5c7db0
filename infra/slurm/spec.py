"""A job as the worker hands it in: what to start, where, and what to ask of the cluster for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class JobSpecError(ValueError):
    """No script can carry this job out; the text says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One job. `tag` names it for ever: `<flow-run id>.<run count>`; `directory` is its own, on shared storage.

    `name` is for people. `environment` is all that the job gets of ours. The job's `script`, its `output` (stdout and
    stderr together) and its `result` stand in `directory`. `warning_seconds`: see `notice_seconds`.
    `exclude`: nodes not to use. `gres`: resources of any kind beside `gpus`, such as `shard:2`. `directives`: more
    options of sbatch, `licenses=matlab:1`. `requeue`: may start again after a failed node or a preemption.
    """

    tag: str
    name: str
    directory: str
    command: tuple[str, ...]
    working_directory: str
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    time_limit_seconds: int | None = None
    grace_seconds: int = 30
    warning_seconds: int | None = None
    cpus: int = 1
    memory_mb: int | None = None
    gpus: int = 0
    gres: tuple[str, ...] = ()
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    reservation: str = ""
    exclude: str = ""
    requeue: bool = True
    directives: tuple[str, ...] = ()

    @property
    def notice_seconds(self) -> int:
        """How long before its time limit a job is sent USR1: as it says, else its grace; at most half of its time."""
        wanted = self.grace_seconds if self.warning_seconds is None else self.warning_seconds
        return min(wanted, (self.time_limit_seconds or 0) // 2)
