"""All stages of a pipeline, checked against each other: one chain, first to last."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from stages.engine import names
from stages.engine.errors import CatalogError, UsageError
from stages.engine.layout import Passage, Root
from stages.engine.spec import StageSpec, parse_spec

STAGE_FILE = "stage.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The stages in the order in which a dataset passes through them; never empty."""

    directory: str
    stages: tuple[StageSpec, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The stages' names, in order."""
        return tuple(spec.name for spec in self.stages)

    @property
    def locations(self) -> tuple[str, ...]:
        """The locations in order; the last one is where results are."""
        return (*(spec.reads for spec in self.stages), self.stages[-1].writes)

    def stage(self, name: str) -> StageSpec:
        """Return a stage by its name; raises UsageError with the names that there are."""
        for spec in self.stages:
            if spec.name == name:
                return spec
        close = get_close_matches(name, self.names, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(
            f"there is no stage {name!r}", where=self.directory, todo=f"{hint}stages here: {', '.join(self.names)}"
        )

    def chosen(self, wanted: Sequence[str]) -> tuple[StageSpec, ...]:
        """Return the stages named, all of them if none is; raises UsageError."""
        return tuple(self.stage(name) for name in wanted) or self.stages

    def after(self, spec: StageSpec) -> StageSpec | None:
        """Return the stage that reads what `spec` writes, None if these are the results."""
        return next((other for other in self.stages if other.reads == spec.writes), None)


def passage(root: Root, spec: StageSpec) -> Passage:
    """Return where a stage reads and publishes under `root`."""
    return Passage(spec.name, root.location(spec.reads), root.location(spec.writes))


def shipped() -> str:
    """Return the folder that holds the engine: its neighbours are the stages that came with it."""
    return str(Path(__file__).resolve().parent.parent)


def load(directory: str | None = None) -> Catalog:
    """Read every folder of `directory` that holds a stage.toml (default: `shipped()`).

    Raises CatalogError, UsageError when there is no stage at all.
    """
    top = Path(directory or shipped()).absolute()
    if not top.is_dir():
        raise UsageError("the directory of stages does not exist", where=top, todo="give another with --stages DIR")
    try:
        found = [_load_stage(file) for file in sorted(top.glob(f"*/{STAGE_FILE}"))]
    except OSError as error:
        raise CatalogError(f"cannot be read ({error.strerror})", where=error.filename) from None
    if not found:
        raise UsageError(
            f"no folder here holds a {STAGE_FILE}",
            where=top,
            todo="give the directory of your stages with --stages DIR",
        )
    return Catalog(directory=str(top), stages=in_order(found))


def _load_stage(file: Path) -> StageSpec:
    name = names.check_stage(file.parent.name)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogError(f"this is no TOML ({error})", where=file) from None
    return parse_spec(table, name=name, directory=str(file.parent), where=str(file))


def in_order(found: Sequence[StageSpec]) -> tuple[StageSpec, ...]:
    """Return the stages first to last.

    Raises CatalogError unless they form one chain: each location is read by at most one stage and
    written by at most one, no circle, no two chains.
    """
    readers, writers = _one_each(found, "read"), _one_each(found, "written")
    for spec in found:
        if spec.arrival.ready_marker and spec.reads in writers:
            raise CatalogError(
                f"stage {spec.name!r} waits for a ready marker, but reads {spec.reads}, which stage "
                f"{writers[spec.reads].name!r} publishes without one",
                where=f"{spec.directory}/{STAGE_FILE}",
                todo="remove ready_marker: what a stage publishes is complete",
            )
    firsts = [spec for spec in found if spec.reads not in writers]
    if not firsts:
        circle = " -> ".join((*_follow(found[0], readers), found[0].reads))
        raise CatalogError(f"the stages form a circle: {circle}", todo="let one of them write to another location")
    chain = [firsts[0]]
    while (following := readers.get(chain[-1].writes)) is not None:
        chain.append(following)
    if len(chain) < len(found):
        raise _not_one_chain(chain, [spec for spec in found if spec not in chain])
    return tuple(chain)


def _one_each(found: Sequence[StageSpec], what: str) -> dict[str, StageSpec]:
    """Return the stage by the location that is read (or written) by it."""
    by: dict[str, StageSpec] = {}
    for spec in found:
        location = spec.reads if what == "read" else spec.writes
        other = by.setdefault(location, spec)
        if other is not spec:
            raise CatalogError(
                f"{location} is {what} by two stages, {other.name!r} and {spec.name!r}",
                where=f"{spec.directory}/{STAGE_FILE}",
                todo="each location has at most one reader and one writer",
            )
    return by


def _follow(spec: StageSpec, readers: dict[str, StageSpec]) -> list[str]:
    """Return the locations read on the way from `spec` on, each once."""
    way: list[str] = []
    at: StageSpec | None = spec
    while at is not None and at.reads not in way:
        way.append(at.reads)
        at = readers.get(at.writes)
    return way


def _not_one_chain(chain: list[StageSpec], rest: list[StageSpec]) -> CatalogError:
    writes = {spec.writes for spec in (*chain, *rest)}
    loose = next((spec for spec in rest if spec.reads not in writes), None)
    first = " -> ".join((*(spec.reads for spec in chain), chain[-1].writes))
    if loose is None:
        names_left = ", ".join(spec.name for spec in rest)
        return CatalogError(f"the stages form no single chain: beside {first} there is a circle of {names_left}")
    return CatalogError(
        f"the stages form no single chain: beside {first} stage {loose.name!r} reads {loose.reads}, "
        "which no stage writes",
        where=f"{loose.directory}/{STAGE_FILE}",
        todo="let it read what another stage writes, or move it to a directory of stages of its own",
    )
