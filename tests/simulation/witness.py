"""A witness of what happens to a simulated root: what its end does not show any more."""

from __future__ import annotations

import json
from typing import Final

from stages.engine import names
from stages.engine.fs import Kind
from tests.invariants import Event, EventKind
from tests.simulation.disk import Node, walk
from tests.simulation.world import World


class Witness:
    """Notes publications and archivings. `consumed`: the next stage takes every output at once.

    That is the worst that can happen: nothing is ever in the way of a second output.
    """

    def __init__(self, world: World, *, consumed: bool) -> None:
        self.events: list[Event] = []
        self._world, self._consumed = world, consumed
        top = world.disk.root.entries["r"].entries
        self._writes, self._done = top["PHASE_5"], top["PHASE_4"].entries["_done"]
        world.moved = self._moved

    def _moved(self, node: Node, left: Node) -> None:
        if node.parent is self._writes and node.is_directory and left is not self._writes:
            self._note(EventKind.PUBLISHED, node, manifest_token(node), self._is_durable(node))
            if self._consumed:
                self._consume(node)
        elif node.parent is self._done and left is not self._done:
            dataset, _, token = node.name.partition("~")
            self._note(EventKind.ARCHIVED, node, token, dataset not in self._writes.unsynced)

    def _note(self, kind: EventKind, node: Node, token: str, durable: bool) -> None:
        self.events.append(Event(kind, node.path, node.name.partition("~")[0], token, durable))
        self._world.memory = hash((self._world.memory, self.events[-1]))

    def _is_durable(self, tree: Node) -> bool:
        """Whether the output and the decision to publish it would survive a loss of power."""
        whole = all(node.synced and not node.unsynced for _, node in walk(tree)) and not tree.unsynced
        decided = self._world.attempts.end_of(manifest_token(tree))
        return whole and decided is not None and decided.name not in (decided.parent or decided).unsynced

    def _consume(self, node: Node) -> None:
        name, done = node.name, self._writes.entries["_done"]
        self._world.disk.move(self._writes, name, done, f"{name}~{len(done.entries):08x}")
        self._writes.unsynced |= {name}  # it was not synced for having been taken away


def manifest_token(tree: Node) -> str:
    """Return the token in a tree's manifest; nothing if it has none."""
    manifest: Final = tree.entries.get(names.MANIFEST)
    if manifest is None or manifest.kind is not Kind.FILE or not manifest.content:
        return ""
    return str(json.loads(manifest.content)["token"])
