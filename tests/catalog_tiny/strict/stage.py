"""Strict: rejects what is called reject, and can do nothing with what is called poison."""
# ruff: noqa: INP001 - a stage is a folder; the engine imports it by its path

import shutil

from stages.engine import Attempt, RejectDataset


def process(attempt: Attempt) -> None:
    """Copy what is good."""
    if attempt.dataset.startswith("reject"):
        raise RejectDataset("it is called reject")
    if attempt.dataset.startswith("poison"):
        raise ValueError("it is called poison")
    for path in attempt.files:
        shutil.copyfile(path, attempt.output / path.name)
    (attempt.output / "token.strict").write_text(attempt.output.parent.name.rpartition(".")[2])
