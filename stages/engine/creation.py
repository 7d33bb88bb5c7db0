"""Making a root: probed before, and a root only at the very end."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from stages.engine import doctor, roots
from stages.engine.clock import Clock
from stages.engine.errors import NotARootError
from stages.engine.fs import FileSystem
from stages.engine.layout import Root


def create(fs: FileSystem, clock: Clock, root: Root, locations: Sequence[str]) -> list[str]:
    """Make a root, or what is missing of one; returns the directories made.

    Raises UnfitRootError when the file system does not do what the protocol needs. The register that
    makes it a root comes last, so that nobody works in one that was refused half-way.
    """
    roots.read_protocol(fs, root)
    made = _make_above(fs, root.path)
    try:
        doctor.refuse(doctor.try_out(fs, clock, root.path))
    except BaseException:
        for path in reversed(made):
            fs.rmdir(path)
        raise
    made += roots.make_directories(fs, root, locations)
    directories = [path for name in locations for path in root.location(name).directories]
    doctor.refuse([doctor.one_file_system(fs, directories)])
    roots.seal_root(fs, root)
    return made


def _make_above(fs: FileSystem, path: str) -> list[str]:
    """Make a directory and what is missing above it; returns what was made, top first."""
    try:
        return [path] if roots.make_directory(fs, path) else []
    except FileNotFoundError:
        above = posixpath.dirname(path)
        made = _make_above(fs, above)
        roots.make_directory(fs, path)
        return [*made, path]
    except NotADirectoryError:
        raise NotARootError("this cannot be a directory: a file is in the way", where=path) from None
