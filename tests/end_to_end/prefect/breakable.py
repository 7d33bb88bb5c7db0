"""What a stage does that cannot be set up while the file `broken` stands beside the gates."""

from __future__ import annotations

import os
from pathlib import Path

from stages.engine.attempt import Attempt
from tests.end_to_end.prefect import carried, gates


def setup() -> None:
    """Fail before the first claim."""
    if Path(os.environ[gates.VARIABLE], "broken").exists():
        raise RuntimeError("the model is missing")


def breakable(attempt: Attempt) -> None:
    """Copy every file."""
    carried.carry(attempt)
