"""A job as the worker hands it in, and the script that carries it out: pure (DESIGN 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One job. `tag` names it for ever: `<flow-run id>.<run count>`; `directory` is its own, on shared storage.

    `name` is for people. `environment` is all that the job gets of ours. The job's `script`, its
    `output` (stdout and stderr together) and its `result` stand in `directory`.
    """

    tag: str
    name: str
    directory: str
    command: tuple[str, ...]
    working_directory: str
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    time_limit_seconds: int | None = None
    grace_seconds: int = 30
    cpus: int = 1
    memory_mb: int | None = None
    gpus: int = 0
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
