"""What a client of a network file system believes, and so when it may give a wrong answer.

After what was measured on NFS: a client that was told ENOENT for a name keeps that answer and may repeat
it after another client has created the name. An exclusive create, a rename onto the name and whatever
this client made itself come from the server and are true, unless the reply was lost. A listing may miss
a name that another client made, or be a listing of before, while the directory's mtime is the same. A
directory's mtime may be the one that was told before, if it is asked for without an open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from tests.simulation.disk import Node


class Lies(StrEnum):
    """What a client answers from its cache."""

    NONE = "none"
    OWN = "own"  # that a name is not there, which it was told itself
    ANY = "any"  # the same, or which other processes of it were told, just before the name came
    LISTINGS = "listings"  # what a directory holds, while its mtime stays the same
    ATTRIBUTES = "attributes"  # a directory's mtime


@dataclass(slots=True)
class Cache:
    """What one client believes. Shared by the processes of one host."""

    lies: Lies = Lies.NONE
    negative: set[tuple[Node, str]] = field(default_factory=set[tuple[Node, str]])
    fresh: set[tuple[Node, str]] = field(default_factory=set[tuple[Node, str]])
    listings: dict[Node, tuple[int, list[str]]] = field(default_factory=dict[Node, tuple[int, list[str]]])
    times: dict[Node, int] = field(default_factory=dict[Node, int])

    def knows(self, parent: Node, name: str) -> None:
        """This client made the name, or the server told it so."""
        self.negative.discard((parent, name))
        self.fresh.discard((parent, name))

    def was_not_told(self, parent: Node, name: str) -> None:
        """This client made the name, was told that it had not, and goes by what it saw before."""
        self.fresh.add((parent, name))
        self.negative.add((parent, name))

    def others_made(self, parent: Node, name: str) -> None:
        """Another client made the name."""
        self.fresh.add((parent, name))
        if self.lies is Lies.ANY:
            self.negative.add((parent, name))

    def may_lie(self, start: Node, names: Iterable[str]) -> bool:
        """Tell whether a look-up of one name after the other could be answered from here, and wrongly."""
        node = start
        for name in names:
            child = node.entries.get(name)
            if child is None:
                return False
            if (node, name) in self.negative:
                return True
            node = child
        return False

    def may_hide(self, directory: Node) -> list[str]:
        """Return the names that a listing could miss: those that another client made."""
        return [name for name in sorted(directory.entries) if (directory, name) in self.fresh]

    def has_old_listing(self, directory: Node) -> bool:
        """Tell whether a listing from here would differ from the truth, and nobody could tell by the mtime."""
        kept = self.listings.get(directory)
        return kept is not None and kept[0] == directory.mtime_ns and kept[1] != sorted(directory.entries)

    def has_old_time(self, directory: Node) -> bool:
        """Tell whether an mtime from here would differ from the truth."""
        return self.times.get(directory, directory.mtime_ns) != directory.mtime_ns

    def key(self, *, lying: bool, hiding: bool) -> object:
        """What belongs to the state of a world in which clients may still lie, or listings still hide a name.

        Nothing is created in a directory that was removed: what is believed of its names does not matter.
        """
        if not lying:
            return _places(self.fresh) if hiding else None
        return (
            _places(self.negative),
            _places(self.fresh) if hiding else None,
            frozenset((node.identity(), mtime_ns, tuple(kept)) for node, (mtime_ns, kept) in self.listings.items()),
            frozenset((node.identity(), mtime_ns) for node, mtime_ns in self.times.items()),
        )


def _places(entries: Iterable[tuple[Node, str]]) -> frozenset[tuple[str, str]]:
    return frozenset((node.path, name) for node, name in entries if not node.is_removed)
