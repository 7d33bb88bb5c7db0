"""Doors to the file system that leave a call out, or do not believe it."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from stages.engine.fs import Entry, FileSystem
from tests.simulation.client import SimulatedFileSystem
from tests.simulation.pipeline import WRITES


class Door:
    """Passes every call on; a broken rule overrides some."""

    def __init__(self, inner: FileSystem) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


def door(broken: Callable[[FileSystem], Door]) -> Callable[[FileSystem], FileSystem]:
    """Return a door as the engine takes it."""
    return lambda inner: cast("FileSystem", broken(inner))


def is_handle(place: str | int) -> bool:
    """An open directory."""
    return isinstance(place, int)


def is_private(place: str | int) -> bool:
    """In some attempt's place."""
    return isinstance(place, str) and "/_work/" in place


def is_destination(place: str | int) -> bool:
    """A location."""
    return isinstance(place, str) and "/_work/" not in place


class BelievesItsClaim(Door):
    """CLAIM 2: what was put by path is taken to be behind the handle too."""

    def __init__(self, inner: FileSystem) -> None:
        super().__init__(inner)
        self._put = ""

    def symlink(self, value: str, name: str, at: int | None = None) -> None:
        self._inner.symlink(value, name, at)
        self._put = value

    def readlink(self, name: str, at: int | None = None) -> str:
        if self._put and at is not None and name.startswith("taken."):
            put, self._put = self._put, ""
            return put
        return self._inner.readlink(name, at)


class SyncsNot(Door):
    """COMPLETE 2 and 4: some places are not synced."""

    def __init__(self, inner: FileSystem, is_left_out: Callable[[str | int], bool]) -> None:
        super().__init__(inner)
        self._is_left_out = is_left_out

    def sync(self, place: str | int) -> None:
        if not self._is_left_out(place):
            self._inner.sync(place)


class ListsOnce(Door):
    """ARRIVE: what was listed once is not listed again."""

    def __init__(self, inner: FileSystem) -> None:
        super().__init__(inner)
        self._seen: dict[str, list[Entry]] = {}

    def scan(self, path: str) -> list[Entry]:
        if "/_work/" in path:
            return self._inner.scan(path)
        if path not in self._seen:
            self._seen[path] = self._inner.scan(path)
        return self._seen[path]


class AsksWithoutOpening(Door):
    """STALE and DISCOVERY: a time is asked for by open and fstat, never by stat."""

    def __init__(self, inner: FileSystem, is_meant: Callable[[str], bool]) -> None:
        super().__init__(inner)
        self._is_meant = is_meant

    def mtime_ns(self, path: str) -> int:
        if self._is_meant(path):
            return cast("SimulatedFileSystem", self._inner).stat_mtime_ns(path)
        return self._inner.mtime_ns(path)


class RingsNoLocation(Door):
    """BELL: locations are not touched."""

    def touch(self, place: str | int) -> None:
        if isinstance(place, int) or "/_work/" in place:
            self._inner.touch(place)


class RingsWherePeopleAddOnly(Door):
    """BELL: the locations that stages publish into are touched, too."""

    def touch(self, place: str | int) -> None:
        if isinstance(place, int) or place not in (WRITES.path, WRITES.work):
            self._inner.touch(place)


class ByPath(Door):
    """N7: what is done through a handle is done by the path that was opened."""

    def __init__(self, inner: FileSystem) -> None:
        super().__init__(inner)
        self._opened: dict[int, str] = {}

    def opendir(self, path: str) -> int:
        handle = self._inner.opendir(path)
        self._opened[handle] = path
        return handle

    def symlink(self, value: str, name: str, at: int | None = None) -> None:
        self._inner.symlink(value, name if at is None else f"{self._opened[at]}/{name}")

    def readlink(self, name: str, at: int | None = None) -> str:
        return self._inner.readlink(name if at is None else f"{self._opened[at]}/{name}")

    def rename_at(self, source: str, target: str, at: int) -> None:
        self._inner.rename(f"{self._opened[at]}/{source}", f"{self._opened[at]}/{target}")

    def listdir(self, place: str | int) -> list[str]:
        return self._inner.listdir(self._opened[place] if isinstance(place, int) else place)
