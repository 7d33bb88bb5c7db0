"""A file system that fails as shared storage does: errors, replies that are lost, names that are seen late.

    fs = FaultyFileSystem(Posix(), Fault(calls={"symlink"}, where="ended.", error=errno.EIO, done=True))

A fault strikes calls by their name and by a part of the path (of a handle's directory too); `after` lets
that many pass first, `times` bounds how many it strikes. What other clients make is everything that does
not go through this object.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from stages.engine.fs import Entry, FileSystem

T = TypeVar("T")

#: What a request gets that is sent again after its reply was lost (PROTOCOL 3, ERRORS).
RESENT: Final = {
    "symlink": errno.EEXIST,
    "mkdir": errno.EEXIST,
    "rename": errno.ENOENT,
    "rename_at": errno.ENOENT,
    "unlink": errno.ENOENT,
    "rmdir": errno.ENOENT,
}
CHANGING: Final = frozenset({*RESENT, "touch", "write_new", "replace", "copy", "sync", "chmod", "open_new", "append"})
READING: Final = frozenset({"readlink", "listdir", "scan", "opendir", "mtime_ns", "directories", "read", "digest"})
ALL: Final = CHANGING | READING
GROWING: Final = CHANGING - {"unlink", "rmdir", "touch", "chmod", "sync"}  # what a full disk or quota refuses


@dataclass(slots=True, kw_only=True)
class Fault:
    """Calls named in `calls` whose path holds `where` get `error`; `done`: after having been carried out."""

    error: int
    calls: frozenset[str] | set[str] = ALL
    where: str = ""
    done: bool = False
    after: int = 0
    times: int | None = None
    struck: int = 0

    def strikes(self, call: str, path: str) -> bool:
        """Count a call that is meant; tell whether it fails."""
        if call not in self.calls or self.where not in path:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is not None and self.struck >= self.times:
            return False
        self.struck += 1
        return True


@dataclass(slots=True, kw_only=True)
class LateName:
    """Names that hold `where` and were made by another client are not seen for the first `looks` looks each."""

    where: str
    looks: int
    seen: dict[str, int] = field(default_factory=dict[str, int])

    def hides(self, path: str) -> bool:
        """Count a look; tell whether the name is still hidden from it."""
        if self.where not in path or self.seen.get(path, 0) >= self.looks:
            return False
        self.seen[path] = self.seen.get(path, 0) + 1
        return True

    def reveal(self, path: str) -> None:
        """The server itself spoke of the name, or this client made it."""
        self.seen[path] = self.looks


class LostReply(Fault):
    """The call is carried out; sent again, it gets the error of a second one."""

    def __init__(
        self, *, calls: set[str] | None = None, where: str = "", after: int = 0, times: int | None = 1
    ) -> None:
        super().__init__(error=0, calls=calls or set(RESENT), where=where, done=True, after=after, times=times)


class FaultyFileSystem:
    """A `FileSystem` in front of another one; `faults` may be changed at any time."""

    def __init__(self, inner: FileSystem, *faults: Fault, late: LateName | None = None) -> None:
        self.faults: list[Fault] = list(faults)
        self.late = late
        self._inner = inner
        self._opened: dict[int, str] = {}  # where a handle's directory was when it was opened

    # ---- registers and names

    def symlink(self, value: str, name: str, at: int | None = None) -> None:
        self._make("symlink", self._path(name, at), lambda: self._inner.symlink(value, name, at))

    def readlink(self, name: str, at: int | None = None) -> str:
        return self._look("readlink", self._path(name, at), lambda: self._inner.readlink(name, at))

    def mkdir(self, path: str) -> None:
        self._make("mkdir", path, lambda: self._inner.mkdir(path))

    def rmdir(self, path: str) -> None:
        self._look("rmdir", path, lambda: self._inner.rmdir(path))

    def unlink(self, path: str) -> None:
        self._look("unlink", path, lambda: self._inner.unlink(path))

    def rename(self, source: str, target: str) -> None:
        self._reveal(target)
        self._look("rename", source, lambda: self._inner.rename(source, target))

    def rename_at(self, source: str, target: str, at: int) -> None:
        self._look("rename_at", self._path(source, at), lambda: self._inner.rename_at(source, target, at))

    # ---- directories

    def listdir(self, place: str | int) -> list[str]:
        path = self._path("", place) if isinstance(place, int) else place
        return [
            name for name in self._look("listdir", path, lambda: self._inner.listdir(place)) if self._shows(path, name)
        ]

    def scan(self, path: str) -> list[Entry]:
        return [
            entry for entry in self._look("scan", path, lambda: self._inner.scan(path)) if self._shows(path, entry.name)
        ]

    def opendir(self, path: str) -> int:
        handle = self._look("opendir", path, lambda: self._inner.opendir(path))
        self._opened[handle] = path
        return handle

    def close(self, handle: int) -> None:
        self._opened.pop(handle, None)
        self._inner.close(handle)

    def touch(self, place: str | int) -> None:
        path = self._path("", place) if isinstance(place, int) else place
        self._look("touch", path, lambda: self._inner.touch(place))

    def mtime_ns(self, path: str) -> int:
        return self._look("mtime_ns", path, lambda: self._inner.mtime_ns(path))

    def directories(self, path: str) -> int | None:
        return self._look("directories", path, lambda: self._inner.directories(path))

    def device(self, path: str) -> int:
        return self._look("device", path, lambda: self._inner.device(path))

    # ---- files

    def read(self, path: str) -> bytes:
        return self._look("read", path, lambda: self._inner.read(path))

    def write_new(self, path: str, content: bytes, *, synced: bool = False) -> None:
        self._make("write_new", path, lambda: self._inner.write_new(path, content, synced=synced))

    def replace(self, path: str, content: bytes) -> None:
        self._make("replace", path, lambda: self._inner.replace(path, content))

    def digest(self, path: str, progress: Callable[[], None]) -> str:
        return self._look("digest", path, lambda: self._inner.digest(path, progress))

    def copy(self, source: str, target: str, progress: Callable[[], None]) -> None:
        self._make("copy", target, lambda: self._inner.copy(source, target, progress))

    def sync(self, place: str | int) -> None:
        path = self._path("", place) if isinstance(place, int) else place
        self._look("sync", path, lambda: self._inner.sync(place))

    def chmod(self, path: str, mode: int) -> None:
        self._look("chmod", path, lambda: self._inner.chmod(path, mode))

    def remove_tree(self, path: str) -> bool:
        return self._inner.remove_tree(path)

    def open_new(self, name: str, at: int) -> int:
        return self._make("open_new", self._path(name, at), lambda: self._inner.open_new(name, at))

    def append(self, descriptor: int, content: bytes) -> None:
        self._strike("append", self._path("", descriptor), lambda: self._inner.append(descriptor, content))

    # ---- what may happen to a call

    def _look(self, call: str, path: str, act: Callable[[], T]) -> T:
        """A call that resolves its last name too, perhaps from this client's cache."""
        if self.late is not None and self.late.hides(path):
            raise _error(errno.ENOENT, path)
        return self._strike(call, path, act)

    def _make(self, call: str, path: str, act: Callable[[], T]) -> T:
        """An exclusive create: the server answers it."""
        self._reveal(path)
        return self._strike(call, path, act)

    def _strike(self, call: str, path: str, act: Callable[[], T]) -> T:
        fault = next((fault for fault in self.faults if fault.strikes(call, path)), None)
        if fault is None:
            return act()
        if fault.done:
            act()
        raise _error(fault.error or RESENT[call], path)

    def _shows(self, path: str, name: str) -> bool:
        return self.late is None or not self.late.hides(f"{path.rstrip('/')}/{name}")

    def _reveal(self, path: str) -> None:
        if self.late is not None:
            self.late.reveal(path)

    def _path(self, name: str, at: int | None) -> str:
        return name if at is None else f"{self._opened.get(at, '')}/{name}"


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)
