"""What happened to a dataset in one stage: its attempts, one after the other, as its registers tell."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stages.engine import names
from stages.engine.errors import DamagedRegisterError
from stages.engine.fs import FileSystem
from stages.engine.inspection import Inspection
from stages.engine.records import ADMIN, Ended, Taken
from stages.engine.registers import Registers
from stages.engine.state import read_markers


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One attempt. Times are the file server's, in seconds since the epoch; None: it has not ended.

    `log` is the path of the author's output, None if there was none. `generation` is the dataset's at that time.
    """

    generation: int
    number: int
    owner: Taken
    end: Ended | None
    began: float
    finished: float | None
    log: str | None

    @property
    def is_virtual(self) -> bool:
        """Whether a sweeper put it, to carry out an operator's wish: nothing was processed."""
        return self.owner.token == ADMIN


def latest_end(fs: FileSystem, path: str, stage: str, dataset: str) -> Ended | None:
    """Return how a dataset's latest attempt ended, None if it has not, or there was none.

    Raises DamagedRegisterError, and OSError when the dataset cannot be opened.
    """
    handle = fs.opendir(path)
    try:
        markers = read_markers(fs.listdir(handle), stage, dataset)
        if not markers.ended:
            return None
        return Registers(fs).ended(handle, names.tag(stage, dataset), markers.latest)
    finally:
        fs.close(handle)


def attempts(fs: FileSystem, inspection: Inspection, path: str, stage: str) -> list[Tried]:
    """Return the attempts that a dataset's directory tells of, all generations, in order.

    Raises DamagedRegisterError with the whole path of what is damaged, FileNotFoundError when it is gone.
    """
    handle = fs.opendir(path)
    try:
        found = set(fs.listdir(handle))
        marker = re.compile(rf"taken\.{re.escape(stage)}(?:\+g([1-9][0-9]*))?\.([1-9][0-9]*)")
        matches = filter(None, map(marker.fullmatch, found))
        wanted = sorted((int(match[1] or 1), int(match[2])) for match in matches)
        reader = _Reader(fs, inspection, path, handle, found)
        return [reader.attempt(stage, generation, number) for generation, number in wanted]
    except DamagedRegisterError as error:
        raise DamagedRegisterError(error.what, where=f"{path}/{error.where}", todo=error.todo) from None
    finally:
        fs.close(handle)


@dataclass(frozen=True, slots=True)
class _Reader:
    fs: FileSystem
    inspection: Inspection
    path: str
    handle: int
    found: set[str]

    def attempt(self, stage: str, generation: int, number: int) -> Tried:
        registers, tag = Registers(self.fs), names.in_generation(stage, generation)
        owner = registers.taken(self.handle, tag, number)
        if owner is None:
            raise FileNotFoundError(2, "a marker vanished", f"{self.path}/{names.taken(tag, number)}")
        end = registers.ended(self.handle, tag, number) if names.ended(tag, number) in self.found else None
        log = names.log(tag, number, owner.token)
        return Tried(
            generation=generation,
            number=number,
            owner=owner,
            end=end,
            began=self.inspection.made(names.taken(tag, number), self.handle),
            finished=None if end is None else self.inspection.made(names.ended(tag, number), self.handle),
            log=f"{self.path}/{log}" if log in self.found else None,
        )
