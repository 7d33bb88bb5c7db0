"""Attempt: what the author of a stage is handed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from stages.engine import names

if TYPE_CHECKING:
    from loguru import Logger


class Attempt:
    """One try at one dataset.

    Whatever is printed or logged goes to the attempt's log, which travels with the dataset.
    """

    def __init__(
        self,
        *,
        dataset: str,
        stage: str,
        number: int,
        input: str,  # noqa: A002 - what authors call it
        output: str,
        scratch: str,
    ) -> None:
        self.dataset = dataset
        self.stage = stage
        self.number = number
        self._input, self._output, self._scratch = input, output, scratch

    def __repr__(self) -> str:
        return f"<attempt {self.number} at {self.dataset} in {self.stage}>"

    @cached_property
    def input(self) -> Path:
        """The dataset's directory, to be read only."""
        return Path(self._input)

    @cached_property
    def output(self) -> Path:
        """An empty directory for the result."""
        return Path(self._output)

    @cached_property
    def scratch(self) -> Path:
        """A directory for what nobody needs afterwards: made when first asked for, gone with the attempt."""
        os.makedirs(self._scratch, exist_ok=True)
        return Path(self._scratch)

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """Every regular file of the dataset, absolute, at any depth, sorted by path; markers and manifest left out.

        A symlink counts if it leads to a regular file of the same dataset.
        """
        return tuple(map(Path, sorted(_walk(self._input, self._input))))

    @property
    def log(self) -> Logger:
        """A loguru logger with dataset, stage and attempt bound; `print` and `logging` do as well."""
        from loguru import logger  # noqa: PLC0415 - a stage that only prints starts faster without

        return logger.bind(dataset=self.dataset, stage=self.stage, attempt=self.number)


def _is_ours(name: str) -> bool:
    return name == names.MANIFEST or names.is_reserved(name)


def _walk(directory: str, top: str) -> Iterator[str]:
    """Yield the path of every regular file below `directory`, which is `top` or below it."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, top)
            elif directory == top and _is_ours(entry.name):
                continue
            elif entry.is_file(follow_symlinks=False) or (entry.is_symlink() and _stays_inside(entry.path, top)):
                yield entry.path


def _stays_inside(link: str, top: str) -> bool:
    """Tell whether a link leads to a regular file below `top`."""
    return os.path.realpath(link).startswith(os.path.realpath(top) + "/") and os.path.isfile(link)
