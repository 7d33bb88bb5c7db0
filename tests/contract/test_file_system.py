"""Does every file system that the engine is given, real, simulated or faulty, keep the same contract?"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from stages.engine.fs import FileSystem, Kind
from stages.engine.posix import Posix
from tests.faults import FaultyFileSystem
from tests.simulation.client import SimulatedFileSystem
from tests.simulation.disk import Disk


class Ground(NamedTuple):
    """A file system and an empty directory on it."""

    fs: FileSystem
    top: str


def _on(fs: FileSystem, directory: str | None) -> Iterator[Ground]:
    with tempfile.TemporaryDirectory(dir=directory) as top:
        yield Ground(fs, top)


def _simulated() -> Iterator[Ground]:
    ticks = count(1)
    fs = SimulatedFileSystem(Disk(lambda: next(ticks)))
    fs.mkdir("/top")
    yield Ground(fs, "/top")


GROUNDS: dict[str, Callable[[], Iterator[Ground]]] = {
    "posix": lambda: _on(Posix(), None),
    "posix on tmpfs": lambda: _on(Posix(), "/dev/shm"),
    "simulated": _simulated,
    "faulty without faults": lambda: _on(FaultyFileSystem(Posix()), None),
}


@pytest.fixture(params=GROUNDS)
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    yield from GROUNDS[request.param]()


def refused(call: Callable[[], object]) -> int | None:
    """The errno of the error that a call raises; None if it raises none."""
    try:
        call()
    except OSError as error:
        return error.errno
    return None


def nothing() -> None:
    """A progress that nobody follows."""


# ---- registers


def test_a_register_is_put_once_with_its_content(ground: Ground) -> None:
    fs, name = ground.fs, f"{ground.top}/taken.phase4.1"
    fs.symlink("ab9c6d45:node17:4711:-", name)
    assert refused(lambda: fs.symlink("another", name)) == errno.EEXIST
    assert fs.readlink(name) == "ab9c6d45:node17:4711:-"


def test_a_register_of_the_longest_value_is_kept_whole(ground: Ground) -> None:
    value = "quarantine:-:3:0:0:" + "w" * 181
    ground.fs.symlink(value, f"{ground.top}/ended.phase4.1")
    assert ground.fs.readlink(f"{ground.top}/ended.phase4.1") == value


def test_a_register_is_put_and_read_through_a_handle(ground: Ground) -> None:
    fs, path = ground.fs, f"{ground.top}/ds"
    fs.mkdir(path)
    handle = fs.opendir(path)
    fs.symlink("value", "taken.phase4.1", handle)
    assert refused(lambda: fs.symlink("value", "taken.phase4.1", handle)) == errno.EEXIST
    assert fs.readlink("taken.phase4.1", handle) == fs.readlink(f"{path}/taken.phase4.1") == "value"
    fs.close(handle)


def test_what_is_no_register_cannot_be_read_as_one(ground: Ground) -> None:
    fs, top = ground.fs, ground.top
    fs.mkdir(f"{top}/directory")
    fs.write_new(f"{top}/file", b"x")
    assert refused(lambda: fs.readlink(f"{top}/directory")) == errno.EINVAL
    assert refused(lambda: fs.readlink(f"{top}/file")) == errno.EINVAL
    assert refused(lambda: fs.readlink(f"{top}/nothing")) == errno.ENOENT


def test_a_register_where_there_is_no_directory_is_refused(ground: Ground) -> None:
    fs, top = ground.fs, ground.top
    fs.write_new(f"{top}/file", b"x")
    assert refused(lambda: fs.symlink("value", f"{top}/gone/taken.phase4.1")) == errno.ENOENT
    assert refused(lambda: fs.symlink("value", f"{top}/file/taken.phase4.1")) == errno.ENOTDIR


# ---- handles


def test_a_handle_stays_with_its_directory_when_that_is_moved(ground: Ground) -> None:
    fs, top = ground.fs, ground.top
    fs.mkdir(f"{top}/ds")
    handle = fs.opendir(f"{top}/ds")
    fs.rename(f"{top}/ds", f"{top}/moved")
    fs.mkdir(f"{top}/ds")
    fs.symlink("value", "taken.phase4.1", handle)
    assert fs.listdir(f"{top}/moved") == fs.listdir(handle) == ["taken.phase4.1"]
    assert fs.listdir(f"{top}/ds") == []
    fs.close(handle)


def test_nothing_is_put_through_the_handle_of_a_removed_directory(ground: Ground) -> None:
    fs, top = ground.fs, ground.top
    fs.mkdir(f"{top}/ds")
    handle = fs.opendir(f"{top}/ds")
    fs.rmdir(f"{top}/ds")
    assert refused(lambda: fs.symlink("value", "taken.phase4.1", handle)) == errno.ENOENT
    assert refused(lambda: fs.readlink("taken.phase4.1", handle)) == errno.ENOENT
    assert refused(lambda: fs.listdir(handle)) in (None, errno.ENOENT)  # nothing is listed; NFS says why
    fs.close(handle)


def test_only_a_directory_gets_a_handle_and_only_once_closed(ground: Ground) -> None:
    fs, top = ground.fs, ground.top
    fs.mkdir(f"{top}/ds")
    fs.write_new(f"{top}/file", b"x")
    fs.symlink("ds", f"{top}/link")
    assert refused(lambda: fs.opendir(f"{top}/gone")) == errno.ENOENT
    assert refused(lambda: fs.opendir(f"{top}/file")) == errno.ENOTDIR
    assert refused(lambda: fs.opendir(f"{top}/link")) == errno.ENOTDIR
    handle = fs.opendir(f"{top}/ds")
    fs.close(handle)
    assert refused(lambda: fs.close(handle)) == errno.EBADF


def test_names_are_moved_behind_a_handle(ground: Ground) -> None:
    fs, top = ground.fs, ground.top
    handle = fs.opendir(top)
    fs.write_new(f"{top}/retry.phase4", b"")
    fs.rename_at("retry.phase4", "retry.phase4.2", handle)
    assert fs.listdir(top) == ["retry.phase4.2"]
    assert refused(lambda: fs.rename_at("retry.phase4", "retry.phase4.2", handle)) == errno.ENOENT
    fs.close(handle)


# ---- directories


def test_directories_are_made_once_and_removed_when_empty(ground: Ground) -> None:
    fs, path = ground.fs, f"{ground.top}/w"
    fs.mkdir(path)
    assert refused(lambda: fs.mkdir(path)) == errno.EEXIST
    assert refused(lambda: fs.mkdir(f"{ground.top}/gone/w")) == errno.ENOENT
    fs.mkdir(f"{path}/out")
    assert refused(lambda: fs.rmdir(path)) == errno.ENOTEMPTY
    fs.rmdir(f"{path}/out")
    fs.rmdir(path)
    assert refused(lambda: fs.rmdir(path)) == errno.ENOENT


def test_a_directory_is_never_moved_onto_a_full_one(ground: Ground) -> None:
    fs, top = ground.fs, ground.top
    for name in ("out", "full", "empty"):
        fs.mkdir(f"{top}/{name}")
    fs.write_new(f"{top}/out/result", b"new")
    fs.write_new(f"{top}/full/result", b"old")
    assert refused(lambda: fs.rename(f"{top}/out", f"{top}/full")) in (errno.ENOTEMPTY, errno.EEXIST)
    assert fs.read(f"{top}/full/result") == b"old"
    fs.rename(f"{top}/out", f"{top}/empty")
    assert fs.read(f"{top}/empty/result") == b"new"
    assert refused(lambda: fs.rename(f"{top}/out", f"{top}/empty")) == errno.ENOENT
    assert refused(lambda: fs.rename(f"{top}/empty", f"{top}/gone/out")) == errno.ENOENT
    assert refused(lambda: fs.rename(f"{top}/empty", f"{top}/empty/below")) == errno.EINVAL


def test_a_directory_is_not_moved_onto_a_file_nor_a_file_onto_it(ground: Ground) -> None:
    fs, top = ground.fs, ground.top
    fs.mkdir(f"{top}/directory")
    fs.write_new(f"{top}/file", b"x")
    assert refused(lambda: fs.rename(f"{top}/directory", f"{top}/file")) == errno.ENOTDIR
    assert refused(lambda: fs.rename(f"{top}/file", f"{top}/directory")) == errno.EISDIR


def test_files_are_unlinked_directories_are_not(ground: Ground) -> None:
    fs, top = ground.fs, ground.top
    fs.mkdir(f"{top}/directory")
    fs.write_new(f"{top}/file", b"x")
    fs.unlink(f"{top}/file")
    assert refused(lambda: fs.unlink(f"{top}/file")) == errno.ENOENT
    assert refused(lambda: fs.unlink(f"{top}/directory")) == errno.EISDIR
    assert refused(lambda: fs.rmdir(f"{top}/file")) == errno.ENOENT


def test_a_directory_shows_its_entries(ground: Ground) -> None:
    fs, top = ground.fs, ground.top
    fs.mkdir(f"{top}/b")
    fs.write_new(f"{top}/c", b"four")
    fs.symlink("value", f"{top}/a")
    entries = fs.scan(top)
    assert [(e.name, e.kind) for e in entries] == [("a", Kind.LINK), ("b", Kind.DIRECTORY), ("c", Kind.FILE)]
    assert entries[2].size == 4
    assert (entries[0].size, entries[0].mtime_ns) == (0, 0)
    assert sorted(fs.listdir(top)) == ["a", "b", "c"]
    assert refused(lambda: fs.scan(f"{top}/gone")) == errno.ENOENT
    assert refused(lambda: fs.listdir(f"{top}/c")) == errno.ENOTDIR


def test_a_tree_is_removed_whole_and_more_than_once(ground: Ground) -> None:
    fs, top = ground.fs, ground.top
    fs.mkdir(f"{top}/w")
    fs.mkdir(f"{top}/w/out")
    fs.write_new(f"{top}/w/out/result", b"x")
    assert fs.remove_tree(f"{top}/w")
    assert fs.remove_tree(f"{top}/w")
    assert fs.listdir(top) == []


def test_a_heartbeat_is_seen(ground: Ground) -> None:
    fs, path = ground.fs, f"{ground.top}/w"
    fs.mkdir(path)
    seen = fs.mtime_ns(path)
    if isinstance(fs, Posix | FaultyFileSystem):
        os.utime(path, ns=(0, 0))
        seen = 0
    fs.touch(path)
    assert fs.mtime_ns(path) > seen
    assert refused(lambda: fs.touch(f"{ground.top}/gone")) == errno.ENOENT
    assert refused(lambda: fs.mtime_ns(f"{ground.top}/gone")) == errno.ENOENT


def test_directories_are_counted_if_at_all(ground: Ground) -> None:
    fs, path = ground.fs, f"{ground.top}/w"
    fs.mkdir(path)
    fs.symlink("{}", f"{path}/attempt.json")
    fs.write_new(f"{path}/file", b"x")
    assert fs.directories(path) in (0, None)
    fs.mkdir(f"{path}/out")
    fs.mkdir(f"{path}/scratch")
    assert fs.directories(path) in (2, None)
    fs.rmdir(f"{path}/scratch")
    assert fs.directories(path) in (1, None)
    assert refused(lambda: fs.directories(f"{ground.top}/gone")) == errno.ENOENT


def test_places_of_one_file_system_are_on_one_device(ground: Ground) -> None:
    fs, top = ground.fs, ground.top
    fs.mkdir(f"{top}/a")
    assert fs.device(f"{top}/a") == fs.device(top)
    assert refused(lambda: fs.device(f"{top}/gone")) == errno.ENOENT


# ---- files


def test_a_file_is_written_once_and_read(ground: Ground) -> None:
    fs, path = ground.fs, f"{ground.top}/attempt.json"
    fs.write_new(path, b"{}", synced=True)
    assert refused(lambda: fs.write_new(path, b"again")) == errno.EEXIST
    assert refused(lambda: fs.write_new(f"{ground.top}/gone/attempt.json", b"")) == errno.ENOENT
    assert fs.read(path) == b"{}"
    assert refused(lambda: fs.read(f"{ground.top}/gone")) == errno.ENOENT
    fs.replace(path, b"other")
    assert fs.read(path) == b"other"
    assert fs.listdir(ground.top) == ["attempt.json"]


def test_a_file_is_hashed_and_copied_with_progress(ground: Ground) -> None:
    fs, top = ground.fs, ground.top
    content, moved = b"z" * 3_000_000, list[None]()
    fs.write_new(f"{top}/file", content)
    assert fs.digest(f"{top}/file", lambda: moved.append(None)) == hashlib.sha256(content).hexdigest()
    assert moved
    moved.clear()
    fs.copy(f"{top}/file", f"{top}/copy", lambda: moved.append(None))
    assert moved
    assert fs.read(f"{top}/copy") == content
    times = {entry.mtime_ns for entry in fs.scan(top)}
    assert len(times) == 1
    assert refused(lambda: fs.copy(f"{top}/file", f"{top}/copy", nothing)) == errno.EEXIST
    assert refused(lambda: fs.digest(f"{top}/gone", nothing)) == errno.ENOENT


def test_a_log_grows_at_its_end_and_travels_with_its_dataset(ground: Ground) -> None:
    fs, top = ground.fs, ground.top
    fs.mkdir(f"{top}/ds")
    handle = fs.opendir(f"{top}/ds")
    log = fs.open_new("log.phase4.1.ab9c6d45", handle)
    assert refused(lambda: fs.open_new("log.phase4.1.ab9c6d45", handle)) == errno.EEXIST
    fs.append(log, b"one ")
    fs.rename(f"{top}/ds", f"{top}/moved")
    fs.append(log, b"two")
    assert fs.read(f"{top}/moved/log.phase4.1.ab9c6d45") == b"one two"
    fs.close(log)
    fs.close(handle)


def test_files_directories_and_handles_are_synced(ground: Ground) -> None:
    fs, top = ground.fs, ground.top
    fs.write_new(f"{top}/file", b"x")
    handle = fs.opendir(top)
    for place in (f"{top}/file", top, handle):
        fs.sync(place)
    fs.close(handle)
    assert refused(lambda: fs.sync(f"{top}/gone")) == errno.ENOENT


def test_permission_bits_are_set(ground: Ground) -> None:
    fs, top = ground.fs, ground.top
    fs.write_new(f"{top}/file", b"x")
    fs.chmod(f"{top}/file", 0o640)
    assert fs.scan(top)[0].mode == 0o640


def test_the_checkout_has_a_tmpfs() -> None:
    """What stands above for a tmpfs is one."""
    assert Path("/dev/shm").is_dir()
