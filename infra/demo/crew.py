"""The demo's processes: a poller for each stage and a sweeper, none of which knows of the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LETTING_GO_SECONDS = 30.0
LOOK_SECONDS_MAX = 1.0  # an idle poller of the demo looks at least this often
LONG_SECONDS = 3600.0
THREADS = "1"  # five pollers share the cores: none takes all of them


def phaseline(*words: str) -> list[str]:
    """Return the command line of a phaseline command, with this Python."""
    return [sys.executable, "-m", "stages.engine", *words]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One process, and where its own log lines go."""

    title: str
    process: subprocess.Popen[bytes]
    log: Path


class Crew:
    """Starts processes, and ends exactly those."""

    def __init__(self, root: Path, logs: Path) -> None:
        self._logs = logs
        self._environment: Mapping[str, str] = {
            "PHASELINE_LOOK_SECONDS_MAX": str(LOOK_SECONDS_MAX),
            "OMP_NUM_THREADS": THREADS,
            "OPENBLAS_NUM_THREADS": THREADS,
            **os.environ,
            "PHASELINE_ROOT": str(root),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.members: list[Member] = []

    def start(self, stages: Sequence[str]) -> None:
        """Start a poller for each stage, and one sweeper for all."""
        self._logs.mkdir(parents=True, exist_ok=True)
        for stage in stages:
            more = ("--idle-seconds", f"{LONG_SECONDS:.0f}", "--datasets", "1000000")
            self._start(f"poller-{stage}", phaseline("poll", stage, *more))
        self._start("sweeper", phaseline("sweep", "--forever", "--every-seconds", "5"))

    def _start(self, title: str, command: Sequence[str]) -> None:
        log = self._logs / f"{title}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.members.append(Member(title=title, process=process, log=log))

    def fallen(self) -> Member | None:
        """Return a member that has ended by itself: none of them should."""
        return next((member for member in self.members if member.process.poll() is not None), None)

    def stop(self) -> None:
        """Ask all to let go, as a batch system would; kill who does not."""
        for member in self.members:
            member.process.send_signal(signal.SIGTERM)
        for member in self.members:
            try:
                member.process.wait(LETTING_GO_SECONDS)
            except subprocess.TimeoutExpired:
                member.process.kill()
                member.process.wait()
