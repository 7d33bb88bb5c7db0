"""Copy: every file once more, and the token of the attempt that did it."""
# ruff: noqa: INP001 - a stage is a folder; the engine imports it by its path

import shutil
from zlib import crc32

from stages.engine import Attempt, TryLater


def process(attempt: Attempt) -> None:
    """Copy, but put every 16th dataset off the first time."""
    if attempt.number == 1 and crc32(attempt.dataset.encode()) % 16 == 0:
        raise TryLater("not yet", after_seconds=0.1)
    for path in attempt.files:
        shutil.copyfile(path, attempt.output / path.name)
    (attempt.output / "token.copy").write_text(attempt.output.parent.name.rpartition(".")[2])
    print("copied", len(attempt.files))
