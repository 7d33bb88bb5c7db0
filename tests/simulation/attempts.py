"""Which attempts there are in a simulated world, by the registers as they are put; and whose is a path."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from stages.engine.records import ADMIN
from tests.simulation.calls import Call
from tests.simulation.disk import Node
from tests.simulation.process import SimulatedIdentity

_PRIVATE: Final = re.compile(r"/_work/[^/]+\.\d+\.([0-9a-f]{8})(/.*)?$")
# What an owner does to its place itself.
_LOOKS: Final = ("touch", "sync", "mtime_ns", "directories", "listdir", "scan")
_READS: Final = ("opendir", "scan", "read", "digest")


class Attempt(NamedTuple):
    """Where an attempt is registered: the dataset's directory, and a register's name without its kind."""

    dataset: Node
    suffix: str


class Attempts:
    """The attempts of a world, by their tokens."""

    def __init__(self) -> None:
        self._attempts: dict[str, Attempt] = {}
        self._quarantined: set[Node] = set()

    def note(self, register: Node, dataset: Node) -> None:
        """Take note of what was created in a directory."""
        if register.name.startswith("taken."):
            token = register.content.decode().split(":", 1)[0]
            if token != ADMIN:
                self._attempts[token] = Attempt(dataset, register.name.removeprefix("taken."))
        elif register.content.startswith(b"quarantine:"):
            self._quarantined.add(dataset)

    def end_of(self, token: str) -> Node | None:
        """Return the register that ends an attempt, if there is one."""
        attempt = self._attempts.get(token)
        return None if attempt is None else attempt.dataset.entries.get(f"ended.{attempt.suffix}")

    def is_open(self, token: str) -> bool:
        """Tell whether an attempt has begun and its end is not decided."""
        return token in self._attempts and self.end_of(token) is None

    def whose(self, call: Call, identity: SimulatedIdentity) -> str | None:
        """Return the token of the attempt of `identity` outside of whose place and input a call touches nothing."""
        if call.name == "symlink":
            _, name, at = call.args
            return None if at is not None else _private(str(name), call.name, identity)
        place = call.args[0]
        if not isinstance(place, str):
            return None
        if call.name in ("rename", "look up"):
            tokens = {_private(str(path), call.name, identity) for path in call.args}
            return tokens.pop() if len(tokens) == 1 else None
        if call.name in _READS and self._is_input(place, identity.latest):
            return identity.latest
        return _private(place, call.name, identity)

    def _is_input(self, path: str, token: str) -> bool:
        """A dataset stays where it is until its attempt ends; one quarantined before does not: settling may be late."""
        attempt = self._attempts.get(token)
        if attempt is None or attempt.dataset in self._quarantined:
            return False
        return f"{path}/".startswith(f"{attempt.dataset.path}/")


def _private(path: str, call: str, identity: SimulatedIdentity) -> str | None:
    found = _PRIVATE.search(path) if "/_work/" in path else None
    if found is None or not identity.is_mine(found[1]):
        return None
    return found[1] if found[2] or call in _LOOKS else None
