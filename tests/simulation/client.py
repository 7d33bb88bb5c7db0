"""The engine's file system on a simulated disk, as one client sees it: every call of it a step at a gate."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from typing import Final, TypeVar

from stages.engine.fs import Entry, Kind
from tests.simulation.beliefs import Cache
from tests.simulation.calls import Call, Fault, Gate, Look
from tests.simulation.disk import Disk, Node, below, refusal
from tests.simulation.view import View, entry

T = TypeVar("T")


class SimulatedFileSystem(View):
    """The engine's `FileSystem` on a simulated disk. Without a gate every call is carried out at once."""

    def __init__(self, disk: Disk, gate: Gate | None = None, cache: Cache | None = None) -> None:
        super().__init__(disk, gate, cache)
        self.held: tuple[Node, ...] = ()  # directories that a call in progress has resolved

    # ---- registers and names

    def symlink(self, value: str, name: str, at: int | None = None) -> None:
        self._create("symlink", name, at, lambda: Node(Kind.LINK, value.encode()), value)

    def readlink(self, name: str, at: int | None = None) -> str:
        def act() -> str:
            node = self._walk(name, at)
            if node.kind is not Kind.LINK:
                raise refusal(errno.EINVAL, name)
            return node.content.decode()

        return self._call(Call("readlink", (name, at), (Look(name, at, last=True),)), act)

    def mkdir(self, path: str) -> None:
        self._create("mkdir", path, None, lambda: Node(Kind.DIRECTORY))

    def rmdir(self, path: str) -> None:
        self._remove("rmdir", path, directory=True)

    def unlink(self, path: str) -> None:
        self._remove("unlink", path, directory=False)

    def rename(self, source: str, target: str) -> None:
        held = self._hold(source, target)

        def act() -> None:
            parents = held or (self._parent(source), self._parent(target))
            self._move(parents[0], _last(source), parents[1], _last(target))

        looks = (Look(source, None, last=True), Look(target, None, last=False))
        self._call(Call("rename", (source, target), looks, errno.ENOENT), act)

    def rename_at(self, source: str, target: str, at: int) -> None:
        def act() -> None:
            self._move(self._handle(at), source, self._handle(at), target)

        self._call(Call("rename_at", (source, target, at), (Look(source, at, last=True),), errno.ENOENT), act)

    # ---- directories

    def listdir(self, place: str | int) -> list[str]:
        looks = () if isinstance(place, int) else (Look(place, None, last=True),)
        return self._call(Call("listdir", (place,), looks), lambda: self._list(self._place(place)))

    def scan(self, path: str) -> list[Entry]:
        def act() -> list[Entry]:
            top = self._walk(path)
            return [entry(name, top.entries[name]) for name in self._list(top)]

        return self._call(Call("scan", (path,), (Look(path, None, last=True),)), act)

    def opendir(self, path: str) -> int:
        call = Call("opendir", (path,), (Look(path, None, last=True),))
        return self._call(call, lambda: self._open(self._directory(path)))

    def close(self, handle: int) -> None:
        if self.handles.pop(handle, None) is None:
            raise refusal(errno.EBADF)

    def touch(self, place: str | int) -> None:
        looks = () if isinstance(place, int) else (Look(place, None, last=True),)
        self._call(Call("touch", (place,), looks), lambda: self.disk.touch(self._place(place)))

    def mtime_ns(self, path: str) -> int:
        """By open and fstat: the server is asked."""
        call = Call("mtime_ns", (path,), (Look(path, None, last=True),))
        return self._call(call, lambda: self._time(self._directory(path)))

    def stat_mtime_ns(self, path: str) -> int:
        """By stat, as the engine must not: it may be answered from the cache."""
        call = Call("stat", (path,), (Look(path, None, last=True),))
        return self._call(call, lambda: self._time(self._directory(path)))

    def directories(self, path: str) -> int | None:
        def act() -> int:
            return sum(node.is_directory for node in self._directory(path).entries.values())

        return self._call(Call("directories", (path,), (Look(path, None, last=True),)), act)

    def device(self, path: str) -> int:
        self._walk(path)
        return 1

    # ---- files

    def read(self, path: str) -> bytes:
        return self._call(Call("read", (path,), (Look(path, None, last=True),)), lambda: self._file(path).content)

    def write_new(self, path: str, content: bytes, *, synced: bool = False) -> None:
        made = Node(Kind.FILE)
        self._create("create", path, None, lambda: made)
        self._call(Call("write", (path, content)), lambda: self.disk.write(made, content))
        if synced:
            self._call(Call("sync", (path,)), lambda: self.disk.sync(made))

    def replace(self, path: str, content: bytes) -> None:
        made = Node(Kind.FILE, content)
        made.synced = True

        def act() -> None:
            parent, name = self._parent(path), _last(path)
            temporary = f"{name}.tmp"
            self.disk.create(parent, temporary, made)
            self.disk.move(parent, temporary, parent, name)

        self._call(Call("replace", (path, content), (Look(path, None, last=False),)), act)

    def digest(self, path: str, progress: Callable[[], None]) -> str:
        call = Call("digest", (path,), (Look(path, None, last=True),))
        found = self._call(call, lambda: hashlib.sha256(self._file(path).content).hexdigest())
        progress()
        for _ in range(self._gate.hashing() if self._gate is not None else 0):
            self._call(call, lambda: None)
            progress()
        return found

    def copy(self, source: str, target: str, progress: Callable[[], None]) -> None:
        content, mtime_ns = self._call(
            Call("read", (source,), (Look(source, None, last=True),)),
            lambda: (self._file(source).content, self._file(source).mtime_ns),
        )
        made = Node(Kind.FILE)
        self._create("create", target, None, lambda: made)
        self._call(Call("write", (target, content)), lambda: self.disk.write(made, content))
        progress()
        made.mtime_ns = mtime_ns
        made.changed()

    def sync(self, place: str | int) -> None:
        looks = () if isinstance(place, int) else (Look(place, None, last=True),)
        self._call(Call("sync", (place,), looks), lambda: self.disk.sync(self._place(place)))

    def chmod(self, path: str, mode: int) -> None:
        def act() -> None:
            self._walk(path).mode = mode

        self._call(Call("chmod", (path, mode), (Look(path, None, last=True),)), act)

    def remove_tree(self, path: str) -> bool:
        try:
            self.rmdir(path)
        except FileNotFoundError:
            return True
        except OSError:
            return self._remove_full(path)
        return True

    def open_new(self, name: str, at: int) -> int:
        made = Node(Kind.FILE)
        self._create("open_new", name, at, lambda: made)
        return self._open(made)

    def append(self, descriptor: int, content: bytes) -> None:
        """Nobody decides by what stands in a log, so this is no step of its own."""
        node = self._handle(descriptor)
        self.disk.write(node, node.content + content)

    # ---- the call itself

    def _call(self, call: Call, act: Callable[[], T]) -> T:
        gate = self._gate
        if gate is None:
            return act()
        fault = self._fault = gate.enter(call)
        try:
            if fault in (Fault.NO_ANSWER, Fault.STALE):
                raise refusal(_UNANSWERED[fault])
            result = act()
            after = call.resent if fault is Fault.LOST_REPLY else _UNANSWERED.get(fault)
            if after is not None:
                raise refusal(after)
        except OSError as error:
            gate.leave(errno.errorcode.get(error.errno or 0, error.errno))
            raise
        finally:
            self._fault, self.held = None, ()
        gate.leave(result)
        return result

    def _create(self, call: str, path: str, at: int | None, make: Callable[[], Node], value: str | None = None) -> None:
        held = self._hold(path) if at is None else ()

        def act() -> None:
            parent, name = held[0] if held else self._walk(path, at, last=False), _last(path)
            try:
                self.disk.create(parent, name, make())
            finally:  # made, or refused by the server because it is there
                self.cache.knows(parent, name)

        looks = () if held else (Look(path, at, last=False),)
        args = (path, at) if value is None else (value, path, at)
        self._call(Call(call, args, looks, errno.EEXIST if call in ("symlink", "mkdir") else None), act)

    def _remove(self, call: str, path: str, *, directory: bool) -> None:
        held = self._hold(path)

        def act() -> None:
            parent, name = held[0] if held else self._parent(path), _last(path)
            self._lookup(parent, name)
            self.disk.remove(parent, name, directory=directory)

        self._call(Call(call, (path,), (Look(path, None, last=True),), errno.ENOENT), act)

    def _move(self, source: Node, old: str, target: Node, new: str) -> None:
        self._lookup(source, old)
        self.disk.move(source, old, target, new)
        if self._fault is Fault.LOST_REPLY:  # it hears ENOENT, and has looked for `new` before it sent the first one
            self.cache.was_not_told(target, new)
        else:
            self.cache.knows(target, new)

    def _remove_full(self, path: str) -> bool:
        """Remove what is below, then the directory; what others put there meanwhile stays."""

        def empty() -> None:
            top = self._walk(path)
            for parent, name, directory in list(below(top)):
                self.disk.remove(parent, name, directory=directory)

        def one() -> bool:
            for parent, name, directory in below(self._walk(path)):
                self.disk.remove(parent, name, directory=directory)
                return True
            return False

        look = (Look(path, None, last=True),)
        try:
            if self._gate is not None and self._gate.fine:
                while self._call(Call("remove one below", (path,), look), one):
                    pass
            else:
                self._call(Call("remove all below", (path,), look), empty)
            self.rmdir(path)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def _hold(self, *paths: str) -> tuple[Node, ...]:
        """Resolve parents in a step of its own: the kernel and NFS act on a directory, not on a path."""
        if self._gate is None or not self._gate.split:
            return ()
        looks = tuple(Look(path, None, last=False) for path in paths)
        found: list[Node] = []

        def act() -> None:
            found.extend(map(self._parent, paths))

        self._call(Call("look up", paths, looks), act)
        self.held = tuple(found)
        return self.held


_UNANSWERED: Final[dict[Fault | None, int]] = {
    Fault.NO_ANSWER: errno.EIO,
    Fault.NO_ANSWER_DONE: errno.EIO,
    Fault.STALE: errno.ENOENT,
    Fault.STALE_DONE: errno.ENOENT,
}


def _last(path: str) -> str:
    return path.rsplit("/", 1)[-1]
