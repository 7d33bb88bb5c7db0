"""A disk in memory: directories, links and files, as the server keeps them; what survives a loss of power."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator

from stages.engine.fs import Kind


def refusal(number: int, where: str = "") -> OSError:
    """Return the error that a system call would raise. What it was raised for is in the trace.

    It does not name `where`: actors that differ in nothing but the name in a message are the same.
    """
    del where
    return OSError(number, os.strerror(number), "(simulated)")


class Node:
    """A directory, link or file. It knows its parent, so that a handle's path can be told at any time.

    `unsynced` are the names in a directory that came after its last sync; `synced` tells the same of a
    file's bytes. `_key` is kept until something below changes: states are hashed often.
    """

    __slots__ = ("_key", "content", "entries", "kind", "mode", "mtime_ns", "name", "parent", "synced", "unsynced")

    def __init__(self, kind: Kind, content: bytes = b"", mtime_ns: int = 0) -> None:
        self.kind, self.content, self.mtime_ns = kind, content, mtime_ns
        self.mode = 0o755 if kind is Kind.DIRECTORY else 0o644
        self.entries: dict[str, Node] = {}
        self.unsynced: frozenset[str] = frozenset()
        self.synced = kind is not Kind.FILE
        self.parent: Node | None = None
        self.name = ""
        self._key: int | None = None

    @property
    def is_directory(self) -> bool:
        return self.kind is Kind.DIRECTORY

    @property
    def is_removed(self) -> bool:
        """Whether a directory is in no other: nothing can be created in it any more."""
        return self.parent is None and self.name != "/"

    @property
    def path(self) -> str:
        """Where the node is now; a removed one has no path, and says so."""
        if self.parent is None:
            return "" if self.name == "/" else f"(removed {self.name})"
        return f"{self.parent.path}/{self.name}"

    def copied(self) -> Node:
        """Return a copy of this node and all below."""
        made = Node(self.kind, self.content, self.mtime_ns)
        made.mode, made.unsynced, made.synced, made.name = self.mode, self.unsynced, self.synced, self.name
        for name, node in self.entries.items():
            made.entries[name] = below = node.copied()
            below.parent = made
        return made

    def key(self) -> int:
        """A hash of everything below, times and durability included."""
        if self._key is None:
            below = tuple((name, self.entries[name].key()) for name in sorted(self.entries))
            self._key = hash((self.kind, self.content, self.mtime_ns, self.synced, self.unsynced, below))
        return self._key

    def identity(self) -> object:
        """What tells this node from others in a state: its path, or its content once it has none."""
        top = self
        while top.parent is not None:
            top = top.parent
        return self.path if top.name == "/" else (self.path, top.key())

    def changed(self) -> None:
        """Forget the keys of this node and of all above it."""
        node: Node | None = self
        while node is not None and node._key is not None:
            node._key = None
            node = node.parent


class Disk:
    """Calls as the server carries them out: whole, one after another. Names are already resolved.

    `moved` is called after each rename with the node and the directory that it left.
    """

    def __init__(self, time_ns: Callable[[], int]) -> None:
        self.root = Node(Kind.DIRECTORY)
        self.root.name = "/"
        self.moved: Callable[[Node, Node], None] = lambda node, left: None
        self.created: Callable[[Node], None] = lambda node: None
        self._time_ns = time_ns

    def find(self, path: str) -> Node | None:
        """Return what stands at a path, if anything does."""
        node = self.root
        for name in filter(None, path.split("/")):
            if name not in node.entries:
                return None
            node = node.entries[name]
        return node

    def create(self, parent: Node, name: str, node: Node) -> None:
        """Put a new node in place, exclusively."""
        if not parent.is_directory:
            raise refusal(errno.ENOTDIR, name)
        if parent.is_removed:
            raise refusal(errno.ENOENT, name)
        if name in parent.entries:
            raise refusal(errno.EEXIST, name)
        node.mtime_ns = self._time_ns()
        self._attach(parent, name, node)
        self.created(node)

    def remove(self, parent: Node, name: str, *, directory: bool) -> None:
        """Remove a file or link, or an empty directory."""
        node = parent.entries.get(name)
        if node is None:
            raise refusal(errno.ENOENT, name)
        if directory and not node.is_directory:
            raise refusal(errno.ENOTDIR, name)
        if not directory and node.is_directory:
            raise refusal(errno.EISDIR, name)
        if node.entries:
            raise refusal(errno.ENOTEMPTY, name)
        self._detach(parent, name)

    def move(self, source: Node, old: str, target: Node, new: str) -> None:
        """Rename: onto an empty directory it replaces it silently, onto a full one it is refused."""
        node, there = source.entries.get(old), target.entries.get(new)
        if node is None or target.is_removed:
            raise refusal(errno.ENOENT, old)
        if node is there:
            return
        if _is_below(target, node):
            raise refusal(errno.EINVAL, new)
        if there is not None:
            if node.is_directory and not there.is_directory:
                raise refusal(errno.ENOTDIR, new)
            if there.is_directory and not node.is_directory:
                raise refusal(errno.EISDIR, new)
            if there.entries:
                raise refusal(errno.ENOTEMPTY, new)
            self._detach(target, new)
        self._detach(source, old)
        self._attach(target, new, node)
        self.moved(node, source)

    def write(self, node: Node, content: bytes) -> None:
        """Replace a file's bytes."""
        node.content, node.synced = content, False
        self.touch(node)

    def sync(self, node: Node) -> None:
        """Make a file's bytes, or a directory's names, survive a loss of power."""
        if not node.synced or node.unsynced:
            node.synced, node.unsynced = True, frozenset()
            node.changed()

    def touch(self, node: Node) -> None:
        """Set the time to the server's now."""
        node.mtime_ns = self._time_ns()
        node.changed()

    def _attach(self, parent: Node, name: str, node: Node) -> None:
        node.parent, node.name = parent, name
        parent.entries[name] = node
        parent.unsynced |= {name}
        self.touch(parent)

    def _detach(self, parent: Node, name: str) -> None:
        parent.entries.pop(name).parent = None
        parent.unsynced -= {name}
        self.touch(parent)


def _is_below(node: Node, top: Node) -> bool:
    at: Node | None = node
    while at is not None:
        if at is top:
            return True
        at = at.parent
    return False


def walk(top: Node, prefix: str = "") -> Iterator[tuple[str, Node]]:
    """Yield everything below a directory by its relative path, sorted, parents first."""
    for name in sorted(top.entries):
        node = top.entries[name]
        yield prefix + name, node
        if node.is_directory:
            yield from walk(node, f"{prefix}{name}/")


def below(top: Node) -> Iterator[tuple[Node, str, bool]]:
    """Yield what is below a directory in an order in which it can be removed."""
    for name in sorted(top.entries):
        node = top.entries[name]
        if node.is_directory:
            yield from below(node)
        yield top, name, node.is_directory
