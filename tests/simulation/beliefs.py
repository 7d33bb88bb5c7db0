"""What a client of a network file system believes, and so when it may give a wrong answer.

After what was measured on NFS: a client that was told ENOENT for a name keeps that answer and may repeat
it after another client has created the name. An exclusive create, a rename onto the name and whatever
this client made itself come from the server and are true. A listing may miss a name that another client
made, or be a listing of before, while the directory's mtime is the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from tests.simulation.disk import Node


class Lies(StrEnum):
    """Where a client's stale negative entries come from."""

    NONE = "none"
    OWN = "own"  # from its own look-ups that found nothing
    ANY = "any"  # and from those of other processes of this client, just before the name came
    LISTINGS = "listings"  # no such entries; a listing is repeated while the mtime stays the same


@dataclass(slots=True)
class Cache:
    """What one client believes. Shared by the processes of one host."""

    lies: Lies = Lies.NONE
    negative: set[tuple[Node, str]] = field(default_factory=set[tuple[Node, str]])
    fresh: set[tuple[Node, str]] = field(default_factory=set[tuple[Node, str]])
    listings: dict[Node, tuple[int, list[str]]] = field(default_factory=dict[Node, tuple[int, list[str]]])

    def knows(self, parent: Node, name: str) -> None:
        """This client made the name, or the server told it so."""
        self.negative.discard((parent, name))
        self.fresh.discard((parent, name))

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

    def key(self) -> object:
        """What belongs to the state of a world."""
        return (
            frozenset((node.identity(), name) for node, name in self.negative),
            frozenset((node.identity(), name) for node, name in self.fresh),
            frozenset((node.identity(), mtime_ns, tuple(kept)) for node, (mtime_ns, kept) in self.listings.items()),
        )
