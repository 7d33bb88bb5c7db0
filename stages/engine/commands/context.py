"""What a sub-command works on: the root and the stages that were named, opened and checked."""

from __future__ import annotations

import getpass
import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.engine import catalog as catalogs
from stages.engine import settings as environment
from stages.engine.catalog import Catalog
from stages.engine.clock import Clock, SystemClock
from stages.engine.fs import FileSystem
from stages.engine.layout import Root
from stages.engine.manifest import Json
from stages.engine.posix import Posix
from stages.engine.roots import find_root, open_root
from stages.engine.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A root, its stages and the two doors to the outside."""

    settings: Settings
    root: Root
    catalog: Catalog
    fs: FileSystem
    clock: Clock


def closed(arguments: Namespace) -> Context:
    """Return what was named, the root not looked at. Raises UsageError and CatalogError."""
    settings = environment.load()
    named: str | None = arguments.root or settings.root
    stages: str | None = arguments.stages or settings.stages
    root = find_root(None if named is None else str(Path(named).expanduser().resolve()))
    return Context(settings=settings, root=root, catalog=catalogs.load(stages), fs=Posix(), clock=SystemClock())


def opened(arguments: Namespace) -> Context:
    """Return what was named once it is a root with all locations of these stages; raises NotARootError besides."""
    context = closed(arguments)
    open_root(context.fs, context.root, context.catalog.locations)
    return context


def user() -> str:
    """Return who types, for registers that people read."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user database
        return "unknown"


def print_json(facts: Json | Sequence[Json]) -> None:
    """Print one JSON document for programs."""
    print(json.dumps(facts, indent=2, ensure_ascii=False))
