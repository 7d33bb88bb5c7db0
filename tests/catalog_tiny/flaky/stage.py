"""Flaky: fails at some datasets, but never more often than their budget allows."""
# ruff: noqa: INP001 - a stage is a folder; the engine imports it by its path

import shutil
from zlib import crc32

from stages.engine import Attempt


def process(attempt: Attempt) -> None:
    """Copy; every 5th dataset fails in its first attempt, every 25th in its second one too."""
    number = crc32(attempt.dataset.encode())
    (attempt.output / "half").write_text("written before it failed")
    if number % 5**attempt.number == 0 and attempt.number <= 2:
        raise RuntimeError(f"attempt {attempt.number} fails")
    (attempt.output / "half").unlink()
    for path in attempt.files:
        shutil.copyfile(path, attempt.output / path.name)
    (attempt.output / "token.flaky").write_text(attempt.output.parent.name.rpartition(".")[2])
