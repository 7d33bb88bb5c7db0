"""A job's result: how it ended, one JSON line in its directory, written by one rename.

Under `local` the launcher writes `result`. Under SLURM the script writes `result.<job id>.<restart>`, one for each
start, so that a requeued job is not taken for ended; it says how the command ended only, and is missing after a KILL.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import cast

from infra.slurm.states import JobState, parse_state
from infra.slurm.transport import JobReport


class UnreadableResultError(ValueError):
    """There is a result, but nobody who writes results has written it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a job ended, by its directory. `started` and `ended` in epoch seconds; `started` None: it never began.

    `signal` and `exit_code`: what ended the command, at most one of them. A shell's 128 + n counts as signal n.
    """

    state: JobState
    reason: str
    exit_code: int | None
    signal: int | None
    restarts: int
    started: float | None
    ended: float
    node: str

    @property
    def report(self) -> JobReport:
        return JobReport(
            state=self.state,
            reason=self.reason,
            exit_code=self.exit_code,
            signal=self.signal,
            node=self.node,
            restarts=self.restarts,
        )


def read_result(directory: str, name: str = "result") -> Result | None:
    """Return the result in a job's directory, None if there is none. Raises OSError, UnreadableResultError."""
    path = os.path.join(directory, name)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return None
    try:
        said = cast("dict[str, object]", json.loads(text))
        return Result(
            state=parse_state(str(said["state"])),
            reason=str(said.get("reason", "")),
            exit_code=_number(said["exit_code"]),
            signal=_number(said["signal"]),
            restarts=_number(said["restarts"]) or 0,
            started=_seconds(said["started"]),
            ended=_seconds(said["ended"]) or 0.0,
            node=str(said["node"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableResultError(f"{path} is no result of a job: {error!r}") from None


def _number(value: object) -> int | None:
    return None if value is None else int(cast("int", value))


def _seconds(value: object) -> float | None:
    return None if value is None else float(cast("float", value))
