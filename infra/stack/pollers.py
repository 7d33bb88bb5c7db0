"""The pollers that live on this machine, as jobs of a data root: counted, and asked to end, without any server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from infra.slurm.states import Phase
from infra.slurm.transport import TransportUnavailableError
from infra.slurm.transports import LOCAL, open_transport
from infra.stack.errors import StackError

JOBS = "_jobs"


def living(root: Path) -> list[str]:
    """Return the ids of the jobs of a root that are not over. Raises StackError if the root cannot be read."""
    directory = root / JOBS
    if not directory.is_dir():
        return []
    transport = open_transport(LOCAL, str(directory))
    try:
        tags = [entry.name for entry in os.scandir(directory) if not os.path.lexists(Path(entry, "result"))]
        reports = transport.look([*transport.find(tags).values()])
    except (OSError, TransportUnavailableError) as error:
        raise StackError(f"the pollers of {root} cannot be counted: {error}") from None
    return [job for job, report in reports.items() if report is not None and report.state.phase is not Phase.OVER]


def ask_to_end(root: Path, jobs: Sequence[str]) -> None:
    """Ask jobs to end, as a batch system would: TERM, and KILL after their grace. Raises StackError."""
    try:
        open_transport(LOCAL, str(root / JOBS)).cancel(jobs)
    except TransportUnavailableError as error:
        raise StackError(f"the pollers of {root} cannot be asked to end: {error}") from None
