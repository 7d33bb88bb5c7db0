"""The door to the file system: the calls that the engine makes, and nothing else of `os`.

Tests put a scheduler, a fault or a lying cache behind the same protocol. A *handle* names a
directory: it stays with the directory itself, wherever that is moved (PROTOCOL 8, N7). To get one
costs a file server nothing; what is read through it is opened anew, so that the server is asked.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Kind(StrEnum):
    """What a directory entry is, links not followed."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"


class Entry(NamedTuple):
    """One name in a directory; `size` in bytes and `mode` are 0 where they were not asked for."""

    name: str
    kind: Kind
    size: int
    mtime_ns: int
    mode: int


class FileSystem(Protocol):
    """What the engine needs of a shared file system. Every method may raise OSError.

    A name that is gone is FileNotFoundError, also when the server says ESTALE for a handle.
    """

    def symlink(self, value: str, name: str, at: int | None = None) -> None:
        """Create `name` with its content in one exclusive step (the register of PROTOCOL 2)."""
        ...

    def readlink(self, name: str, at: int | None = None) -> str:
        """Return the value of a register; EINVAL when the name is no symlink."""
        ...

    def mkdir(self, path: str) -> None:
        """Create a directory, exclusively."""
        ...

    def rmdir(self, path: str) -> None:
        """Remove an empty directory; the server decides whether it is empty."""
        ...

    def unlink(self, path: str) -> None:
        """Remove a file or link."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Move; onto a directory that is not empty: ENOTEMPTY or EEXIST."""
        ...

    def rename_at(self, source: str, target: str, at: int) -> None:
        """Move within the directory behind a handle."""
        ...

    def listdir(self, place: str | int) -> list[str]:
        """Return the names in a directory, in any order."""
        ...

    def scan(self, path: str) -> list[Entry]:
        """Return one directory's entries, sorted by name."""
        ...

    def opendir(self, path: str) -> int:
        """Return a handle of a directory (never through a symlink in its last part)."""
        ...

    def close(self, handle: int) -> None:
        """Give a handle back."""
        ...

    def touch(self, place: str | int) -> None:
        """Set the times to the file server's now."""
        ...

    def mtime_ns(self, path: str) -> int:
        """Return a directory's mtime by open + fstat, never by stat (0 s against 30 s of lies on NFS)."""
        ...

    def directories(self, path: str) -> int | None:
        """Return how many directories are in one that only this host changes.

        None where the file system keeps no count. It may be answered from this host's cache.
        """
        ...

    def device(self, path: str) -> int:
        """Return the number of the device that holds `path`."""
        ...

    def read(self, path: str) -> bytes:
        """Return a small file's content."""
        ...

    def write_new(self, path: str, content: bytes, *, synced: bool = False) -> None:
        """Create a file exclusively, then write it. Never for decisions (PROTOCOL 8, N4)."""
        ...

    def replace(self, path: str, content: bytes) -> None:
        """Put a file in place whole: temporary name, fsync, rename."""
        ...

    def digest(self, path: str, progress: Callable[[], None]) -> str:
        """Return the SHA-256 of a file in hex; `progress` is called after each MiB."""
        ...

    def copy(self, source: str, target: str, progress: Callable[[], None]) -> None:
        """Copy one file's bytes and times, exclusively; `progress` is called after each MiB."""
        ...

    def sync(self, place: str | int) -> None:
        """Make a file or directory durable (fsync)."""
        ...

    def chmod(self, path: str, mode: int) -> None:
        """Set permission bits."""
        ...

    def remove_tree(self, path: str) -> bool:
        """Remove a directory and all below it; True if nothing is left there."""
        ...

    def open_new(self, name: str, at: int) -> int:
        """Create a file in the directory behind `at`; returns a descriptor for `append` and `close`."""
        ...

    def append(self, descriptor: int, content: bytes) -> None:
        """Write at the end."""
        ...
