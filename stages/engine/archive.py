"""The names in `_done`: which dataset, which attempt published it, and whether its data is still there. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from stages.engine import names


class Data(StrEnum):
    """What became of an archived dataset's data; the value is what its name ends in."""

    KEPT = ""
    PRUNING = "~pruning"
    PRUNED = "~pruned"


class Archived(NamedTuple):
    """One entry of `_done`."""

    dataset: str
    token: str
    data: Data = Data.KEPT

    @property
    def name(self) -> str:
        """Its name."""
        return f"{self.dataset}~{self.token}{self.data}"


def parse_archived(name: str) -> Archived | None:
    """Take a name in `_done` apart; None if it is none of ours."""
    dataset, _, rest = name.partition("~")
    token, wave, data = rest.partition("~")
    if not dataset or not token or name[0] in "_.":
        return None
    try:
        return Archived(dataset, token, Data(wave + data))
    except ValueError:
        return None


def archived(found: Iterable[str]) -> list[Archived]:
    """Return what a listing of `_done` shows, sorted by name."""
    return [entry for name in sorted(found) if (entry := parse_archived(name)) is not None]


def latest(entries: Iterable[Archived]) -> dict[str, Archived]:
    """Return, for each base name, the entry of its highest generation."""
    highest: dict[str, Archived] = {}
    for entry in entries:
        base, number = names.generation(entry.dataset)
        known = highest.get(base)
        if known is None or names.generation(known.dataset).number < number:
            highest[base] = entry
    return highest
