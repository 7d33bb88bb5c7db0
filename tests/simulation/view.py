"""What one client sees of a simulated disk: names, listings and times, as they are or as it was told before."""

from __future__ import annotations

import errno
from functools import cache
from itertools import count

from stages.engine.fs import Entry, Kind
from tests.simulation.beliefs import Cache, Lies
from tests.simulation.calls import Call, Fault, Gate, Look
from tests.simulation.disk import Disk, Node, refusal


class View:
    """A disk as one client sees it. What its cache may get wrong comes out wrong when the present call is a LIE."""

    def __init__(self, disk: Disk, gate: Gate | None, cache: Cache | None) -> None:
        self.disk, self.cache = disk, cache if cache is not None else Cache()
        self.handles: dict[int, Node] = {}
        self._gate = gate
        self._fault: Fault | None = None  # of the present call

    # ---- what the scheduler may ask: no steps, and nothing of what this client believes

    def may_lie(self, call: Call) -> bool:
        """Tell whether a call could be answered from the cache, and wrongly."""
        match self.cache.lies:
            case Lies.NONE:
                return False
            case Lies.LISTINGS:
                directory = self._listed(call)
                return directory is not None and self.cache.has_old_listing(directory)
            case Lies.ATTRIBUTES:
                directory = self.disk.find(str(call.args[0])) if call.name == "stat" else None
                return directory is not None and self.cache.has_old_time(directory)
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

    # ---- resolving names

    def _walk(self, path: str, at: int | None = None, *, last: bool = True) -> Node:
        node = self.disk.root if at is None else self._handle(at)
        parts = _parts(path, last=last)
        if self.cache.negative:  # else there is nothing to be told wrongly
            for part in parts:
                node = self._lookup(node, part)
            return node
        for part in parts:
            child = node.entries.get(part)
            if child is None:
                return self._lookup(node, part)  # which refuses
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

    def _file(self, path: str) -> Node:
        node = self._walk(path)
        if node.is_directory:
            raise refusal(errno.EISDIR, path)
        return node

    def _directory(self, path: str) -> Node:
        node = self._walk(path)
        if not node.is_directory:
            raise refusal(errno.ENOTDIR, path)
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

    # ---- what a directory holds, and since when

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

    def _time(self, node: Node) -> int:
        """Return a directory's mtime; a LIE is the one that this client was told before."""
        if self.cache.lies is Lies.ATTRIBUTES:
            if self._fault is Fault.LIE:
                return self.cache.times[node]
            self.cache.times[node] = node.mtime_ns
        return node.mtime_ns


@cache
def _parts(path: str, *, last: bool) -> tuple[str, ...]:
    parts = path.split("/")
    return tuple(filter(None, parts if last else parts[:-1]))


def entry(name: str, node: Node) -> Entry:
    """Return what a scan tells of a node."""
    if node.kind in (Kind.FILE, Kind.DIRECTORY):
        return Entry(name, node.kind, len(node.content), node.mtime_ns, node.mode)
    return Entry(name, node.kind, 0, 0, 0)
