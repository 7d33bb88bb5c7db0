"""What the stages of these tests do to a dataset."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from stages.engine.attempt import Attempt
from tests.end_to_end.prefect import gates


def carry(attempt: Attempt) -> None:
    """Copy every file."""
    for path in attempt.files:
        shutil.copyfile(path, attempt.output / path.name)


def carry_through_gate(attempt: Attempt) -> None:
    """Copy every file, but wait at the gate `<dataset>.<attempt>` first."""
    gates.hold(f"{attempt.dataset}.{attempt.number}")
    carry(attempt)


def dump_environment(attempt: Attempt) -> None:
    """Copy, and write down the names of all that is in the environment."""
    carry(attempt)
    (attempt.output / "environment").write_text("\n".join(sorted(os.environ)))


def carry_hungry(attempt: Attempt) -> None:
    """Copy every file, with 400 MB more in memory while the file `hungry` stands beside the gates."""
    eaten = bytearray(400 << 20) if Path(os.environ[gates.VARIABLE], "hungry").exists() else b""
    if eaten:
        gates.hold(f"{attempt.dataset}.{attempt.number}")
    carry(attempt)
