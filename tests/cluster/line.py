"""A line of stages whose pollers are jobs of a cluster."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from stages.engine.records import parse_taken
from tests.end_to_end.fleet import living
from tests.end_to_end.prefect.line import END_SECONDS, Line
from tests.waiting import wait_until


@dataclass(kw_only=True)
class ClusterLine(Line):
    """As a line, but its jobs have numbers of SLURM's."""

    def number_of(self, run: UUID) -> str:
        """Return the number of a run's job. One run, one job: raises ValueError."""
        (directory,) = self.jobs.glob(f"{run}.*")
        return os.readlink(directory / "job")

    def dataset_of(self, run: UUID) -> str:
        """Return the dataset that a run's job holds."""
        number, stage = self.number_of(run), self.stages[0]
        for taken in Path(self.root / "RAW").glob(f"*/taken.{stage}.*"):
            dataset = taken.parent.name
            if parse_taken(os.readlink(taken), dataset).job.partition(".")[0] == number:
                return dataset
        raise LookupError(f"job {number} holds nothing")

    def end(self) -> None:
        """Kill what is left of its jobs: whoever still holds something has failed its test."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if f"PHASELINE_ROOT={self.root}".encode() in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                continue
        wait_until(lambda: not living(self.root), END_SECONDS, lambda: f"still there: {living(self.root)}")
