"""Pack: one file of all."""
# ruff: noqa: INP001 - a stage is a folder; the engine imports it by its path

from stages.engine import Attempt


def process(attempt: Attempt) -> None:
    """Put the files one after the other."""
    with (attempt.output / "packed").open("wb") as packed:
        for path in attempt.files:
            packed.write(path.read_bytes())
    (attempt.output / "token.pack").write_text(attempt.output.parent.name.rpartition(".")[2])
