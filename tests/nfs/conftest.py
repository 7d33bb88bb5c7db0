"""A machine for each kind of mount, booted once; where none can be booted, every test here fails and says why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.nfs.machine import MOUNTS, Machine
from tests.nfs.packages import NoRigError

Outcome = dict[str, object]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a machine's tests together, on one process of xdist, the storms last."""
    items.sort(key=lambda item: "storm" in item.name)


class Rig:
    """The machines of a test session, each booted when it is first asked for, and what was played on them."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack, self._machines = stack, dict[str, Machine]()
        self.outcomes: dict[str, dict[str, Outcome]] = {}

    def machine(self, mount: str) -> Machine:
        """Return the machine whose clients mount so; without one the test fails."""
        if mount not in self._machines:
            try:
                self._machines[mount] = self._stack.enter_context(Machine.booted(MOUNTS[mount]))
            except (NoRigError, TimeoutError) as error:
                pytest.fail(f"no NFS here: {error}")
        return self._machines[mount]


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    """Return the session's machines; they end with it."""
    with ExitStack() as stack:
        yield Rig(stack)
