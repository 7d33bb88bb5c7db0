"""Names: of datasets, stages and locations, and of every marker (PROTOCOL 2)."""

from __future__ import annotations

import re
from typing import NamedTuple

from stages.engine.errors import NameNotAllowedError

MANIFEST = "manifest.json"
ATTEMPT = "attempt.json"  # in an attempt's private place, a symlink as its register is: what does not fit there
STORAGE_NOTE = "storage.json"  # attempt.json is renamed to this when the storage made its owner give up
OUTPUT = "out"  # in an attempt's private place: what becomes the published dataset
SCRATCH = "scratch"  # the same: the author's, gone before the commit
NAME_BYTES_MAX = 200  # leaves room below NAME_MAX = 255 for `+g<n>`, `.<k>.<token>` and `~<token>`

_GENERATION = re.compile(r"\+g([1-9][0-9]*)$")
_STAGE = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_LOCATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LOG = re.compile(r"log\.[a-z][a-z0-9_-]*(\+g[0-9]+)?\.[0-9]+\.[0-9a-f]{8}")
_OURS = ("taken.", "ended.", "retry.", "ready.")


def check_dataset(name: str) -> str:
    """Return `name` if a dataset may be called that.

    Raises NameNotAllowedError, naming the rule that it breaks (PROTOCOL 2).
    """
    broken = _broken_rule(name)
    if broken is not None:
        raise NameNotAllowedError(
            f"a dataset cannot be called {name!r}: {broken}", todo="rename it, or give another name with --as"
        )
    return name


def why_not(name: str) -> str | None:
    """Return the rule that a waiting directory's name breaks, None for a dataset's in any generation: cheap."""
    return _broken_rule(generation(name).base if "+g" in name else name)


def _broken_rule(name: str) -> str | None:
    if not name:
        return "the name is empty"
    if name[0] in "_.":
        return "names that begin with '_' or '.' are the engine's"
    if "~" in name or "/" in name:
        return "'~' and '/' are not allowed"
    if not name.isprintable():
        return "it holds a character that cannot be printed"
    if _GENERATION.search(name):
        return "'+g<number>' at the end is given by `phaseline rerun` only"
    if len(name.encode()) > NAME_BYTES_MAX:
        return f"it is longer than {NAME_BYTES_MAX} bytes"
    return None


def check_stage(name: str) -> str:
    """Return `name` if a stage may be called that; raises NameNotAllowedError."""
    if name == "engine" or not _STAGE.fullmatch(name):
        raise NameNotAllowedError(
            f"a stage cannot be called {name!r}: a small letter, then at most 30 of a-z 0-9 _ - (and not 'engine')",
            todo="rename its folder",
        )
    return name


def is_location(name: str) -> bool:
    """Tell whether `name` may stand in `reads` or `writes`."""
    return _LOCATION.fullmatch(name) is not None


def is_candidate(name: str) -> bool:
    """Tell whether an entry of a location can be a dataset: cheap, for 100,000 of them."""
    return name[0] not in "_." and "~" not in name


class Generation(NamedTuple):
    """A dataset's name taken apart: `ds7+g2` is base `ds7`, number 2; without a suffix it is number 1."""

    base: str
    number: int


def generation(dataset: str) -> Generation:
    """Take a dataset's name apart."""
    found = _GENERATION.search(dataset) if "+g" in dataset else None
    return Generation(dataset[: found.start()], int(found[1])) if found else Generation(dataset, 1)


def in_generation(base: str, number: int) -> str:
    """Return the name of a dataset's `number`th generation."""
    return base if number == 1 else f"{base}+g{number}"


def tag(stage: str, dataset: str) -> str:
    """Return what stands in the markers of `dataset` in `stage`: `phase4`, or `phase4+g2`."""
    if "+g" not in dataset:
        return stage
    return in_generation(stage, generation(dataset).number)


def taken(tag: str, number: int) -> str:
    """Return the register of who owns attempt `number`."""
    return f"taken.{tag}.{number}"


def ended(tag: str, number: int) -> str:
    """Return the register of how attempt `number` ended."""
    return f"ended.{tag}.{number}"


def ready(stage: str) -> str:
    """Return the marker that says that a dataset copied in place is complete."""
    return f"ready.{stage}"


def log(tag: str, number: int, token: str) -> str:
    """Return the name of the author's output of one attempt."""
    return f"log.{tag}.{number}.{token}"


class Attempt(NamedTuple):
    """Which attempt a directory in `_work` belongs to."""

    dataset: str
    number: int
    token: str

    @property
    def directory(self) -> str:
        """The name of its private place in `_work`."""
        return f"{self.dataset}.{self.number}.{self.token}"

    @property
    def archived(self) -> str:
        """The name of its dataset in `_done` once this attempt is published."""
        return f"{self.dataset}~{self.token}"


def parse_attempt(directory: str) -> Attempt | None:
    """Return which attempt a name in `_work` belongs to, or None if it is no attempt's."""
    parts = directory.rsplit(".", 2)
    if len(parts) != 3 or not parts[1].isdecimal() or not parts[0]:  # noqa: PLR2004 - dataset, number, token
        return None
    return Attempt(parts[0], int(parts[1]), parts[2])


def is_reserved(name: str) -> bool:
    """Tell whether a name at the top of a dataset is a marker of ours, hidden from authors."""
    return name.startswith(_OURS) or (name.startswith("log.") and _LOG.fullmatch(name) is not None)
