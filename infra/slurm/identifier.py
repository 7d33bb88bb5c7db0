"""A job's identifier under SLURM, `<job number>:<directory>`: all that a restarted worker needs to go on. Pure."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class JobId:
    """`number` is SLURM's; `directory` holds what the job's script has left, and is called by its tag."""

    number: int
    directory: str

    def __str__(self) -> str:
        return f"{self.number}:{self.directory}"

    @property
    def tag(self) -> str:
        return os.path.basename(self.directory)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return None for an identifier of another transport."""
        number, _, directory = text.partition(":")
        if not number.isdecimal() or not directory.startswith("/"):
            return None
        return cls(number=int(number), directory=directory)
