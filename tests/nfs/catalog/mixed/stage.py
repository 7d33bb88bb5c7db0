"""Mixed: one stage that does all that the five tiny ones do to a dataset, for storms where each call is dear."""
# ruff: noqa: INP001 - a stage is a folder; the engine imports it by its path

import shutil
from zlib import crc32

from stages.engine import Attempt, RejectDataset, TryLater


def process(attempt: Attempt) -> None:
    """Copy, after what this dataset is for."""
    chance = crc32(attempt.dataset.encode())
    if attempt.dataset.startswith("reject"):
        raise RejectDataset("this one is rejected")
    if attempt.dataset.startswith("poison"):
        raise RuntimeError("this one always fails")
    if attempt.number == 1 and chance % 16 == 0:
        raise TryLater("not yet", after_seconds=0.1)
    if attempt.number == 1 and chance % 16 == 1:
        raise RuntimeError("the first attempt fails")
    for path in attempt.files:
        shutil.copyfile(path, attempt.output / path.name)
    (attempt.output / "token.mixed").write_text(attempt.output.parent.name.rpartition(".")[2])
