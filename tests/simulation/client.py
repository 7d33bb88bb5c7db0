"""One client's view of a simulated disk: the engine's file system, every call of it a step at a gate."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from typing import Final, TypeVar

from stages.engine.fs import Entry, Kind
from tests.simulation.beliefs import Cache, Lies
from tests.simulation.calls import Call, Fault, Gate, Look
from tests.simulation.disk import Disk, Node, refusal

T = TypeVar("T")


class SimulatedFileSystem:
    """The engine's `FileSystem` on a simulated disk. Without a gate every call is carried out at once."""

    def __init__(self, disk: Disk, gate: Gate | None = None, cache: Cache | None = None) -> None:
        self.disk, self.cache = disk, cache if cache is not None else Cache()
        self.handles: dict[int, Node] = {}
        self.held: tuple[Node, ...] = ()  # directories that a call in progress has resolved
        self._gate = gate
        self._fault: Fault | None = None

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
            return [_entry(name, top.entries[name]) for name in self._list(top)]

        return self._call(Call("scan", (path,), (Look(path, None, last=True),)), act)

    def opendir(self, path: str) -> int:
        def act() -> int:
            node = self._walk(path)
            if not node.is_directory:
                raise refusal(errno.ENOTDIR, path)
            return self._open(node)

        return self._call(Call("opendir", (path,), (Look(path, None, last=True),)), act)

    def close(self, handle: int) -> None:
        if self.handles.pop(handle, None) is None:
            raise refusal(errno.EBADF)

    def touch(self, place: str | int) -> None:
        looks = () if isinstance(place, int) else (Look(place, None, last=True),)
        self._call(Call("touch", (place,), looks), lambda: self.disk.touch(self._place(place)))

    def mtime_ns(self, path: str) -> int:
        def act() -> int:
            node = self._walk(path)
            if not node.is_directory:
                raise refusal(errno.ENOTDIR, path)
            return node.mtime_ns

        return self._call(Call("mtime_ns", (path,), (Look(path, None, last=True),)), act)

    def device(self, path: str) -> int:
        self._walk(path)
        return 1

    # ---- files

    def read(self, path: str) -> bytes:
        return self._call(Call("read", (path,), (Look(path, None, last=True),)), lambda: self._file(path).content)

    def write_new(self, path: str, content: bytes) -> None:
        made = Node(Kind.FILE)
        self._create("create", path, None, lambda: made)
        self._call(Call("write", (path, content)), lambda: self.disk.write(made, content))

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
        self.write_new(target, content)
        progress()
        node = self._walk(target)
        node.mtime_ns = mtime_ns
        node.changed()

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
        self.cache.knows(target, new)

    def _remove_full(self, path: str) -> bool:
        """Remove what is below, then the directory; what others put there meanwhile stays."""

        def empty() -> None:
            top = self._walk(path)
            for parent, name, directory in list(_below(top)):
                self.disk.remove(parent, name, directory=directory)

        def one() -> bool:
            for parent, name, directory in _below(self._walk(path)):
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

    # ---- resolving names

    def _walk(self, path: str, at: int | None = None, *, last: bool = True) -> Node:
        node = self.disk.root if at is None else self._handle(at)
        parts = _parts(path, last=last)
        if self.cache.lies is not Lies.NONE:
            for part in parts:
                node = self._lookup(node, part)
            return node
        for part in parts:
            child = node.entries.get(part)
            if child is None:
                raise refusal(errno.ENOENT if node.is_directory else errno.ENOTDIR, part)
            node = child
        return node

    def _parent(self, path: str) -> Node:
        return self._walk(path, last=False)

    def _lookup(self, parent: Node, name: str) -> Node:
        if not parent.is_directory:
            raise refusal(errno.ENOTDIR, name)
        node = parent.entries.get(name)
        if self.cache.lies in (Lies.OWN, Lies.ANY):
            known = (parent, name)
            if node is None:
                self.cache.negative.add(known)
            elif known in self.cache.negative:
                if self._fault is Fault.LIE:
                    raise refusal(errno.ENOENT, name)
                self.cache.negative.discard(known)
        if node is None:
            raise refusal(errno.ENOENT, name)
        return node

    def _list(self, node: Node) -> list[str]:
        if not node.is_directory:
            raise refusal(errno.ENOTDIR)
        if self._fault is Fault.HIDE and self._gate is not None:
            hidden = self._gate.hidden()
            return sorted(name for name in node.entries if name != hidden)
        if self.cache.lies is Lies.LISTINGS:
            kept = self.cache.listings.get(node)
            if kept is not None and kept[0] == node.mtime_ns and (self._gate is None or self._fault is Fault.LIE):
                return list(kept[1])
            self.cache.listings[node] = (node.mtime_ns, sorted(node.entries))
        return sorted(node.entries)

    def _file(self, path: str) -> Node:
        node = self._walk(path)
        if node.is_directory:
            raise refusal(errno.EISDIR, path)
        return node

    def _place(self, place: str | int) -> Node:
        return self._handle(place) if isinstance(place, int) else self._walk(place)

    def _handle(self, number: int) -> Node:
        try:
            return self.handles[number]
        except KeyError:
            raise refusal(errno.EBADF) from None

    def _open(self, node: Node) -> int:
        handle = next(number for number in count(3) if number not in self.handles)
        self.handles[handle] = node
        return handle

    # ---- what the scheduler may ask: no steps, and nothing of what this client believes

    def may_lie(self, call: Call) -> bool:
        """Tell whether some look-up of a call could be answered from the cache, and wrongly."""
        match self.cache.lies:
            case Lies.NONE:
                return False
            case Lies.LISTINGS:
                directory = self._listed(call)
                return directory is not None and self.cache.has_old_listing(directory)
            case Lies.OWN | Lies.ANY:
                return bool(self.cache.negative) and any(map(self._may_lie, call.looks))

    def may_hide(self, call: Call) -> list[str]:
        """Return the names that a listing could miss."""
        if self.cache.lies not in (Lies.OWN, Lies.ANY):
            return []
        directory = self._listed(call)
        return [] if directory is None else self.cache.may_hide(directory)

    def is_gone(self, path: str) -> bool:
        """Tell whether there is nothing at a path."""
        return self.disk.find(path) is None

    def _may_lie(self, look: Look) -> bool:
        start = self.disk.root if look.at is None else self.handles.get(look.at)
        return start is not None and self.cache.may_lie(start, _parts(look.path, last=look.last))

    def _listed(self, call: Call) -> Node | None:
        if call.name not in ("listdir", "scan"):
            return None
        place = call.args[0]
        return self.handles.get(place) if isinstance(place, int) else self.disk.find(str(place))


_UNANSWERED: Final[dict[Fault | None, int]] = {
    Fault.NO_ANSWER: errno.EIO,
    Fault.NO_ANSWER_DONE: errno.EIO,
    Fault.STALE: errno.ENOENT,
    Fault.STALE_DONE: errno.ENOENT,
}


@cache
def _parts(path: str, *, last: bool) -> tuple[str, ...]:
    parts = path.split("/")
    return tuple(filter(None, parts if last else parts[:-1]))


def _last(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _entry(name: str, node: Node) -> Entry:
    if node.kind in (Kind.FILE, Kind.DIRECTORY):
        return Entry(name, node.kind, len(node.content), node.mtime_ns, node.mode)
    return Entry(name, node.kind, 0, 0, 0)


def _below(top: Node) -> Iterator[tuple[Node, str, bool]]:
    """Yield what is below a directory in an order in which it can be removed."""
    for name in sorted(top.entries):
        node = top.entries[name]
        if node.is_directory:
            yield from _below(node)
        yield top, name, node.is_directory
