"""The data root: made once, opened and checked by every command."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from stages.engine.errors import NotARootError, UsageError
from stages.engine.fs import FileSystem
from stages.engine.layout import PROTOCOL, Root
from stages.engine.registers import Registers

SHARED = 0o2775  # the group of a location is inherited, and may write


def find_root(path: str | None) -> Root:
    """Return the root meant by `path`, absolute; raises UsageError when none is given."""
    if path is None:
        raise UsageError("no data root is given", todo="say --root DIR, or set PHASELINE_ROOT")
    return Root(path)


def open_root(fs: FileSystem, root: Root, locations: Sequence[str]) -> None:
    """Check that `root` is a root of our protocol and has all `locations`.

    Raises NotARootError, DamagedRegisterError where something else stands in the register's place.
    """
    if read_protocol(fs, root) is None:
        raise _no_root(fs, root.path)
    for name in locations:
        for directory in root.location(name).directories:
            if not _is_directory(fs, directory):
                raise NotARootError(
                    "a directory of this pipeline is missing",
                    where=directory,
                    todo=f"phaseline init --root {root.path}",
                )


def read_protocol(fs: FileSystem, root: Root) -> str | None:
    """Return what the root's register says, None if it has none; raises NotARootError for another protocol."""
    try:
        found = Registers(fs).get(root.protocol)
    except NotADirectoryError:
        return None
    if found is not None and found != PROTOCOL:
        raise NotARootError(
            f"this root was made under {found!r}, this phaseline keeps {PROTOCOL!r}",
            where=root.path,
            todo="use the phaseline that made it",
        )
    return found


def make_directories(fs: FileSystem, root: Root, locations: Sequence[str]) -> list[str]:
    """Make what is missing below an existing root; returns what was made."""
    wanted = [*root.directories, *(path for name in locations for path in root.location(name).directories)]
    return [path for path in wanted if make_directory(fs, path)]


def make_directory(fs: FileSystem, path: str) -> bool:
    """Make one directory that the group shares; False if it was there."""
    try:
        fs.mkdir(path)
    except FileExistsError:
        if not _is_directory(fs, path):
            raise NotARootError("something else stands where a directory belongs", where=path) from None
        return False
    with suppress(PermissionError):  # a file system without setgid: the doctor says so
        fs.chmod(path, SHARED)
    return True


def seal_root(fs: FileSystem, root: Root) -> None:
    """Put the register that makes it a root: the last step."""
    Registers(fs).put(root.protocol, PROTOCOL)


def _no_root(fs: FileSystem, path: str) -> NotARootError:
    make, what = f"make it one: phaseline init --root {path}", "this is no data root of phaseline"
    try:
        fs.mtime_ns(path)
    except FileNotFoundError:
        what = "the data root does not exist"
    except OSError as error:
        what, make = f"this is no data root ({error.strerror})", "name a directory with --root"
    return NotARootError(what, where=path, todo=make)


def _is_directory(fs: FileSystem, path: str) -> bool:
    try:
        fs.mtime_ns(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError:
        return True
    return True
