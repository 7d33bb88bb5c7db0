"""What a test needs of the machine: named where it is missing, and never passed over in CI."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

import pytest


def need(command: Sequence[str], otherwise: str) -> None:
    """Try a command: where it fails a test is skipped, saying what is missing, and fails in CI (`CI` is set)."""
    try:
        tried = subprocess.run(command, capture_output=True, text=True, check=False)
        said = "" if tried.returncode == 0 else tried.stderr.strip() or f"exit code {tried.returncode}"
    except FileNotFoundError as error:
        said = str(error)
    if not said:
        return
    if os.environ.get("CI"):
        pytest.fail(f"{otherwise} ({said})")
    pytest.skip(f"{otherwise} ({said})")
