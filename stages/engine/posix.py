"""The real file system, as any process of this host sees it: what the engine asks of it is `fs.FileSystem`."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stages.engine.fs import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

CHUNK_BYTES = 1 << 20
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.LINK}


def _unstale(error: OSError) -> OSError:
    """ESTALE means that another client removed the directory (PROTOCOL 3, ERRORS): glusterfs says it of paths, too."""
    if error.errno == errno.ESTALE:
        return FileNotFoundError(errno.ENOENT, "another client has removed it", error.filename)
    return error


@contextmanager
def _opened(place: str | int) -> Generator[int]:
    """Open a file or directory by its path, or the directory behind a handle."""
    try:
        if isinstance(place, int):
            descriptor = os.open(".", _OPEN_DIRECTORY, dir_fd=place)
        else:
            descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unstale(error) from None


class Posix:
    """The real file system."""

    def symlink(self, value: str, name: str, at: int | None = None) -> None:
        try:
            os.symlink(value, name, dir_fd=at)
        except OSError as error:
            raise _unstale(error) from None

    def readlink(self, name: str, at: int | None = None) -> str:
        try:
            return os.readlink(name, dir_fd=at)
        except OSError as error:
            raise _unstale(error) from None

    def mkdir(self, path: str) -> None:
        try:
            os.mkdir(path)
        except OSError as error:
            raise _unstale(error) from None

    def rmdir(self, path: str) -> None:
        try:
            os.rmdir(path)
        except OSError as error:
            raise _unstale(error) from None

    def unlink(self, path: str) -> None:
        try:
            os.unlink(path)
        except OSError as error:
            raise _unstale(error) from None

    def rename(self, source: str, target: str) -> None:
        try:
            os.rename(source, target)
        except OSError as error:
            raise _unstale(error) from None

    def rename_at(self, source: str, target: str, at: int) -> None:
        try:
            os.rename(source, target, src_dir_fd=at, dst_dir_fd=at)
        except OSError as error:
            raise _unstale(error) from None

    def listdir(self, place: str | int) -> list[str]:
        if isinstance(place, int):
            with _opened(place) as descriptor:
                return os.listdir(descriptor)
        try:
            return os.listdir(place)
        except OSError as error:
            raise _unstale(error) from None

    def scan(self, path: str) -> list[Entry]:
        try:
            return self._scan(path)
        except OSError as error:
            raise _unstale(error) from None

    def _scan(self, path: str) -> list[Entry]:
        entries: list[Entry] = []
        with os.scandir(path) as found:
            for each in found:
                # Size and times are asked for of files and directories only: markers are links, and many.
                if each.is_symlink():
                    entries.append(Entry(each.name, Kind.LINK, 0, 0, 0))
                else:
                    facts = each.stat(follow_symlinks=False)
                    mode = facts.st_mode
                    kind = _KINDS.get(stat.S_IFMT(mode), Kind.OTHER)
                    entries.append(Entry(each.name, kind, facts.st_size, facts.st_mtime_ns, stat.S_IMODE(mode)))
        entries.sort()
        return entries

    def opendir(self, path: str) -> int:
        return os.open(path, _NAME_DIRECTORY)

    def close(self, handle: int) -> None:
        os.close(handle)

    def touch(self, place: str | int) -> None:
        try:
            if isinstance(place, int):
                os.utime(".", dir_fd=place)
            else:
                os.utime(place)
        except OSError as error:
            raise _unstale(error) from None

    def mtime_ns(self, path: str) -> int:
        try:
            handle = os.open(path, _OPEN_DIRECTORY)
            try:
                return os.fstat(handle).st_mtime_ns
            finally:
                os.close(handle)
        except OSError as error:
            raise _unstale(error) from None

    def directories(self, path: str) -> int | None:
        links = os.stat(path).st_nlink  # itself, its name, and the parent of each directory in it
        return links - 2 if links > 1 else None

    def device(self, path: str) -> int:
        return os.stat(path).st_dev

    def read(self, path: str) -> bytes:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            chunks: list[bytes] = []
            while chunk := os.read(descriptor, CHUNK_BYTES):
                chunks.append(chunk)
            return b"".join(chunks)
        finally:
            os.close(descriptor)

    def write_new(self, path: str, content: bytes, *, synced: bool = False) -> None:
        try:
            descriptor = os.open(path, _CREATE, 0o666)
        except OSError as error:
            raise _unstale(error) from None
        try:
            self.append(descriptor, content)
            if synced:
                os.fsync(descriptor)
        except OSError as error:
            error.filename = path  # write(2) knows none, and a full disk is to be named
            raise
        finally:
            os.close(descriptor)

    def replace(self, path: str, content: bytes) -> None:
        temporary = f"{path}.{os.getpid()}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            self.append(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)

    def digest(self, path: str, progress: Callable[[], None]) -> str:
        found = hashlib.sha256()
        with open(path, "rb", buffering=0) as source:
            while chunk := source.read(CHUNK_BYTES):
                found.update(chunk)
                progress()
        return found.hexdigest()

    def copy(self, source: str, target: str, progress: Callable[[], None]) -> None:
        with open(source, "rb", buffering=0) as reader, open(target, "xb", buffering=0) as writer:
            try:
                while chunk := reader.read(CHUNK_BYTES):
                    self.append(writer.fileno(), chunk)
                    progress()
            except OSError as error:
                error.filename = target
                raise
        shutil.copystat(source, target)

    def sync(self, place: str | int) -> None:
        with _opened(place) as descriptor:
            os.fsync(descriptor)

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(path, mode)

    def remove_tree(self, path: str) -> bool:
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return True
        except OSError:
            shutil.rmtree(path, ignore_errors=True)
            return not os.path.lexists(path)
        return True

    def open_new(self, name: str, at: int) -> int:
        return os.open(name, _CREATE | os.O_APPEND, 0o666, dir_fd=at)

    def append(self, descriptor: int, content: bytes) -> None:
        written = os.write(descriptor, content)
        while written < len(content):
            written += os.write(descriptor, memoryview(content)[written:])
