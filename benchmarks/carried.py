"""What is done to a dataset in the benchmarks: a stage's callables, and what the plain loop calls too."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks import gate
from stages.engine.attempt import Attempt

LINE = b"carried through one more stage\n"
GATE = "PHASELINE_BENCH_GATE"


def setup() -> None:
    """Wait at the gate, if there is one: the poller claims nothing before."""
    path = os.environ.get(GATE)
    if path:
        gate.pass_through(path)


def copy_with_a_line_more(attempt: Attempt) -> None:
    """Write each file once more, with a line more."""
    for file in attempt.files:
        (attempt.output / file.name).write_bytes(file.read_bytes() + LINE)


def nothing(attempt: Attempt) -> None:
    del attempt


def memory_of_the_poller(attempt: Attempt) -> None:
    """Write down the most memory that the poller, which is this child's parent, has had so far, in kB."""
    status = Path(f"/proc/{os.getppid()}/status").read_text(encoding="ascii")
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    (attempt.output / "peak_kb").write_text(peak)
